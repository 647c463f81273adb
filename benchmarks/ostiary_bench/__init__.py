"""What a call costs, measured side by side in one run, because machines differ and ratios do not.

load       wrk in a closed loop, and our own open loop for latencies
meters     CPU and memory of a process tree, from /proc
servers    nginx as the upstream and as the floor, a plain aiohttp pass-through as the comparison
doors      the gateway itself, compiled from YAML as users write it
calls      one table row per way to call a tool or list them
change     how long an edit takes until every replica enforces it
scale      the same for many proxies, by size: a platform of many teams (scale_world) on a real API server
           (scale_platform, scale_probes), and a gateway that loads it (scale_gateway, scale_caller)
report     the table, latest.json, docs/benchmarks.md
"""
