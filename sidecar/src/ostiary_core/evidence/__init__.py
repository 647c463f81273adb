"""What gateways keep in memory of the requests that they served, for people who look at it.

Each replica serves it as JSON under ``/evidence`` of its admin port; readers join what several replicas answer. It is
pure: documents, their bounds and their arithmetic. The gateway's own store is :mod:`ostiary_gateway.evidence`.

    document         the base of all documents, the paths, and the types of their members
    latency          the boundaries of latency buckets, and quantiles as Prometheus computes them
    traffic_window   what was counted in one slot of ten seconds, or in one quarter of an hour
    name_use         the most used tools, resources and prompts of one proxy
    proxy_traffic    the windows and names of one proxy, and the document of all proxies
    recorded_call    one call: who called what, how it ended, and why
    refusals         distinct refusals with how often each occurred, those of Shadow policies too
    definitions      what the servers of one proxy have listed, and what differs from the lock
"""
