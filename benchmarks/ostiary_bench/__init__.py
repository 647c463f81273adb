"""Benchmarks.

All variants run in one run, because ratios are comparable between machines and times are not.

load       wrk in a closed loop, and our own open loop for latencies
meters     CPU and memory of a process tree, from /proc
servers    nginx as the upstream and as the baseline, a plain aiohttp pass-through as the comparison
gateways   the gateway itself, with a config compiled from YAML
calls      one table row per way to call a tool or list them
change     the time from an edit until every replica enforces it
scale      the same for many proxies: a platform of many teams (scale_world) on a real API server
           (scale_platform, scale_probes), and a gateway that loads it (scale_gateway, scale_caller)
report     the table, latest.json, docs/benchmarks.md
"""
