"""The limits of policies: counters, and what callers are told at a limit.

The bounds of the process itself are elsewhere (:mod:`ostiary_gateway.limits`).

store            the interface of counters
local_counters   counters in the memory of this process
key_counters     the counter of one key
limit_words      what a caller is told at a limit
flood_guard      callers that go on calling although they are refused
exhausted_keys   the quotas that are exhausted now
usage_report     the page ``/limits`` of the admin port
"""
