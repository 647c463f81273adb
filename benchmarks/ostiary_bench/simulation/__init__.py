"""``make simulate``: what an installation of many gateways costs, by the project's own code on generated resources.

fleet          the resources: gateways that select their shard of the MCPProxies by label, with two policies each
config_fanout  compiles them, cuts each gateway's config into parts, and edits one policy: time, memory, bytes
lease_traffic  lets replicas count limits by leases as they do, against the store's arithmetic: messages a call
store_capacity what one message about limits costs a real Redis
curves         draws the figures as SVG
page           writes docs/scaling.md
"""
