"""What gateways recorded of their traffic, as all of their ready replicas report it.

What replicas send is untrusted input.

reader           asks all ready replicas at the same time; ``port_finders``: which those are
replica_requests one request to one replica, within a deadline and a bound
proxy_scope      of which proxies evidence is wanted
gathered         an answer of several replicas: what they said together, and which of them did not answer
call_stream      calls as they come
capture_log      the exchanges of a debug capture
"""
