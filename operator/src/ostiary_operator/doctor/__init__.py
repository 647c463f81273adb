"""``ostiary doctor``: runs a chain of checks, and names the first that fails.

Each check is a *link* of the chain: it depends on those before it. The doctor reads the cluster with the user's rights,
queries replicas that it can reach, and connects to the endpoint as a client would. A check that lacks a right reports
that, and the next one runs. It writes nothing, and shows no Secret.
"""
