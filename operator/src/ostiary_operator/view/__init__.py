"""What people see of a cluster, in commands and on the pages of the console.

It reads, and never writes.

cluster_reader    reads resources, gateways and their configs; ``governed_proxies``: what was delivered
rows              the shown fields of each, with its readiness; ``proxy_details``: everything about one MCPProxy
listing           ``ostiary get``; ``summary``: ``ostiary status``; both as ``tables``
unproxied_servers ``ostiary discover``
admin_ports       finds the replicas of gateways; ``admin_client`` asks them
evidence          what replicas recorded of their traffic
traffic_report    totals, durations and rankings of a range (``traffic_numbers``, ``traffic_text``)
activity_report   what each MCP server was used for
shadow_report     what policies in Shadow mode would have denied
limit_usage       what callers have used of limits
call_lines        calls as lines; ``captured_logs`` and ``exchange_text``: exchanges of a debug capture
"""
