"""What people see of a cluster: ``ostiary get`` and ``ostiary status``.

It reads, and never writes.

cluster_reader   reads resources, gateways and their configs
rows             the shown fields of each, with its readiness
listing          ``ostiary get``; ``summary``: ``ostiary status``; both as ``tables``
"""
