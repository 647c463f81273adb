"""Everything between a proxy and its upstream servers.

allowed_addresses    which addresses may be connected to, checked when connecting
http1                a small HTTP/1.1 client: connecting through that check, connections, responses
egress_route         request heads and connections for a server, directly or through an egress proxy
server               one upstream server: its pool, its TLS, its timeouts
endpoint_set         the endpoints of a server that has several, and which one gets a request
endpoint             one endpoint with its connections, which ``endpoint_factory`` makes at an ``endpoint_place``
load_balancing       which of several endpoints gets the next request
passive_ejection     takes endpoints out of use at which requests fail; ``endpoint_probes`` asks whether they respond
credentials          the credential that the gateway sends to one server, ``client_credentials`` its tokens
caller               the caller of a request, for credentials that depend on it
token_exchange       access tokens for callers, in exchange for theirs; ``access_token`` is one that is replaced in time
identity_assertion   a signed statement about the caller, for one server; ``assertion_keys`` sign it
document_client      fetches small JSON documents of identity providers, such as key sets and metadata
tls_contexts         the TLS settings of connections, shared by all servers with the same authorities
via                  ``Via`` marks of the proxies that a request has passed, which end loops
egress               the egress proxy that leads to servers
redirects            where a redirect leads, and whether it is followed
health               the last faults of a server, for the operator
pools                servers by their description, so that a policy edit keeps the connections
faults               what can fail upstream, and which response a caller gets
"""
