"""Benchmarks.

All variants run in one run, because ratios are comparable between machines and times are not.

load            wrk in a closed loop, and our own open loop for latencies, with ``messages``
meters, probes  CPU and memory of a process tree, from /proc; whether a server is ready
servers         nginx as the upstream and as the baseline, ``pass_through`` as the comparison
gateways_under_test    the gateway itself, with a config compiled from YAML
calls           one table row per way to call a tool or list them; spans go to ``otlp_collector``
access          the cost of callers, rules and conditions, with ``access_resources``, in pairs with calls without them
streams         the memory of open streams, which ``stream_server`` keeps open
isolation       latency and memory while clients, or ``hostile_server``, are hostile
edit_latency    the time from an edit until every replica enforces it
scale           the same for many proxies: a platform of many teams (``scale_resources``) on a real API server
                (``scale_platform``, ``scale_probes``), a gateway that loads it (``scale_gateway``, ``scale_client``)
report          the table, latest.json, docs/benchmarks.md
profile         ``make profile``: CPU time by stage and function, from ``sampling_profiler``
"""
