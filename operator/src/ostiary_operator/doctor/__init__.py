"""``ostiary doctor``: walks from a resource to an answer, link by link, and names the first broken one with the remedy.

It reads the cluster with the caller's rights, asks replicas where it can reach them, and knocks at the door as a client
would. What it may not read it says, and goes on. It writes nothing, and shows no Secret.
"""
