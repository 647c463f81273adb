"""Reasons of UpstreamHealthy: how the server of an MCPProxy has been doing, by what the gateways saw of it."""

from ostiary_core import upstream_faults as faults
from ostiary_operator.api.reason import NOTHING, WAIT, Reason


class UpstreamHealthyReason(Reason):
    """Reasons of UpstreamHealthy, which is no part of Ready. Most are the kinds of fault that callers are told, too."""

    UPSTREAM_HEALTHY = ("UpstreamHealthy", "The server answered the last call.", NOTHING)
    PENDING = ("Pending", "The operator has not heard of the gateways yet.", WAIT)
    NO_TRAFFIC = (
        "NoTraffic",
        "No call has gone to the server since it was configured, so nothing is known of it.",
        "Call it once; `ostiary doctor` does.",
    )
    UNREACHABLE = (
        faults.UNREACHABLE,
        "Its name does not resolve, or nothing accepts connections at its address.",
        (
            "Start the server, and correct its name and port; the gateway connects from its own Pod, where localhost "
            "is that Pod: name a Service; a NetworkPolicy may also keep it away."
        ),
    )
    ADDRESS_FORBIDDEN = (
        faults.ADDRESS_FORBIDDEN,
        "Its name resolves to an address that gateways refuse (loopback, link-local, metadata, the API server).",
        "Name another server, or have the platform team grant `addresses` in the gateway's settings.",
    )
    TLS_FAILED = (
        faults.TLS_FAILED,
        "Its certificate cannot be verified, or it speaks no TLS.",
        (
            "Let the server's certificate name its host (or set tls.hostname), and set tls.caCertificateRefs if its "
            "authority is your own."
        ),
    )
    UNAUTHORIZED = (
        faults.UNAUTHORIZED,
        "The server, or a proxy before it, wants credentials, and gateways cannot have any yet.",
        (
            "Let the server accept the gateway without (a NetworkPolicy keeps all others from it), or put a proxy "
            "between them that adds them."
        ),
    )
    HOST_REFUSED = (
        faults.HOST_REFUSED,
        "The server refuses requests (403 or 421) and asks for no credentials: most often it checks the header Host.",
        "Add the host that the gateway sends to the server's allowed hosts, or set `host` to one of them.",
    )
    REDIRECTED = (
        faults.REDIRECTED,
        "The server redirects to another place, which is not followed.",
        "Write the URL or path that the message names into the spec, if that is where the server is.",
    )
    LOOP = (
        faults.LOOP,
        "The server's address is the gateway's own, or leads back to this MCPProxy.",
        "Point the server at the MCP server itself, not at the gateway, its Service or its Ingress.",
    )
    EGRESS_FAILED = (
        faults.EGRESS_FAILED,
        "The egress proxy that leads to the server fails or refuses.",
        "See egressProxy in the gateway's settings, or HTTPS_PROXY and NO_PROXY, and the egress proxy's own rules.",
    )
    UNAVAILABLE = (
        faults.UNAVAILABLE,
        "The server answers that it cannot serve now (429 or 5xx).",
        "See the server's own log.",
    )
    CONNECT_TIMEOUT = (
        faults.CONNECT_TIMEOUT,
        "Nothing answers at the server's address in time.",
        "See its name, its port, and NetworkPolicies; timeouts.connect is how long it may take.",
    )
    TIMEOUT = (
        faults.TIMEOUT,
        "The server does not answer within timeouts.request, or falls silent.",
        "See the server's own log, or raise the timeout.",
    )
    INVALID = (
        faults.INVALID,
        "What the server answers is not MCP.",
        "Correct the path of its URL, which often ends in /mcp.",
    )
    RESET = (faults.RESET, "The server broke off its answer.", "See the server's own log.")
    TOO_LARGE = (
        faults.TOO_LARGE,
        "The server's answer exceeds bounds.messageBytes of the gateway's settings.",
        "Raise the bound, or have the server send less.",
    )
