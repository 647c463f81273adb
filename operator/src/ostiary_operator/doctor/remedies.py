"""What to do about a server that a gateway cannot use, by the reason that callers are told."""

from typing import Final

#: The reasons are those of ``ostiary_gateway.upstream.faults``; a test holds them together.
UPSTREAM: Final = {
    "UpstreamUnreachable": (
        "start the server, and correct its name and port; the gateway connects from its own Pod, where localhost is "
        "that Pod: name a Service; a NetworkPolicy may also keep it away"
    ),
    "UpstreamAddressForbidden": (
        "the name resolves to an address that gateways refuse (loopback, link-local, the API server): name another "
        "server, or have the platform team grant `addresses` in the gateway's settings"
    ),
    "UpstreamTLSFailed": (
        "let the server's certificate name its host (or set tls.hostname), and set tls.caCertificateRefs if its "
        "authority is your own"
    ),
    "UpstreamUnauthorized": (
        "the server wants credentials, and gateways cannot have any yet: let the server accept the gateway without (a "
        "NetworkPolicy keeps all others from it), or put a proxy between them that adds them"
    ),
    "UpstreamUnavailable": "the server answers that it cannot serve now (429 or 5xx): see its own log",
    "UpstreamConnectTimeout": "nothing answers at the server's address: see its name, its port, and NetworkPolicies",
    "UpstreamTimeout": "the server takes longer than timeouts.request: see its own log, or raise the timeout",
    "UpstreamInvalidAnswer": "what answers there speaks no MCP: correct the path of its URL, which often ends in /mcp",
    "UpstreamFull": "all connections to this server are in use: see why it is slow, and how many calls it is given",
    "GatewayFull": (
        "this replica holds as many bytes of answers as it may: add replicas, or raise its bounds in the settings"
    ),
    "UpstreamReset": "the server broke off its answer: see its own log",
    "UpstreamAnswerTooLarge": (
        "the server's answer exceeds bounds.messageBytes of the gateway's settings: raise it, or have it send less"
    ),
}
