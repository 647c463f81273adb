"""What people see of a cluster: ``ostiary get`` and ``ostiary status``.

It reads, and never writes.
"""
