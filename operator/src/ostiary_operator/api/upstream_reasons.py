"""Reasons of UpstreamHealthy: the state of an MCPProxy's server as gateways observed it."""

from ostiary_core import upstream_faults as faults
from ostiary_operator.api.reasons import NOTHING, WAIT, Reason


class UpstreamHealthyReason(Reason):
    """Reasons of UpstreamHealthy, which is not part of Ready.

    Most are the fault kinds that callers get as well.
    """

    UPSTREAM_HEALTHY = ("UpstreamHealthy", "The server answered the last call.", NOTHING)
    PENDING = ("Pending", "The gateways have not reported to the operator yet.", WAIT)
    NO_TRAFFIC = (
        "NoTraffic",
        "No call has gone to the server since it was configured, so its state is not known.",
        "Call it once, for example with `ostiary doctor`.",
    )
    UNREACHABLE = (
        faults.UNREACHABLE,
        "Its name does not resolve, or nothing accepts connections at its address.",
        (
            "Start the server, or correct its name and port. The gateway connects from its own Pod, where localhost "
            "is that Pod: name a Service instead. Check that no NetworkPolicy blocks the connection."
        ),
    )
    ADDRESS_FORBIDDEN = (
        faults.ADDRESS_FORBIDDEN,
        "Its name resolves to an address that gateways refuse (loopback, link-local, metadata, the API server).",
        "Name another server, or ask the platform team to grant `addresses` in the gateway's settings.",
    )
    TLS_FAILED = (
        faults.TLS_FAILED,
        "Its certificate cannot be verified, or the server does not speak TLS.",
        (
            "Use a certificate that names the server's host (or set tls.hostname), and set tls.caCertificateRefs if "
            "its CA is your own."
        ),
    )
    UNAUTHORIZED = (
        faults.UNAUTHORIZED,
        "The server, or a proxy in front of it, requires credentials, and the gateway sends it none.",
        "Set `credential` of the server, or let it accept the gateway without one.",
    )
    CREDENTIAL_REFUSED = (
        faults.CREDENTIAL_REFUSED,
        "The server refuses the credential that the gateway sends it.",
        "Put a valid credential into the Secret that `credential` names, and check header, scopes and audience.",
    )
    CREDENTIAL_UNAVAILABLE = (
        faults.CREDENTIAL_UNAVAILABLE,
        "The gateway has no credential to send: the token endpoint gives it none, or it has no key to sign with.",
        "Check tokenEndpoint, clientId, the secret, scopes and audience, and that gateways reach the endpoint.",
    )
    EXCHANGE_REFUSED = (
        faults.EXCHANGE_REFUSED,
        "The token endpoint of `credential.tokenExchange` refuses the tokens of callers.",
        "Check that it accepts tokens for this MCPProxy, and its resource, audience, scopes and subjectTokenType.",
    )
    HOST_REFUSED = (
        faults.HOST_REFUSED,
        "The server refuses requests (403 or 421) without asking for credentials; usually it checks the header Host.",
        "Add the host that the gateway sends to the server's allowed hosts, or set `host` to one of them.",
    )
    REDIRECTED = (
        faults.REDIRECTED,
        "The server redirects to another URL, which the gateway does not follow.",
        "Set the URL or path that the message names in the spec, if that is where the server is.",
    )
    LOOP = (
        faults.LOOP,
        "The server's address is the gateway's own, or the request comes back to this MCPProxy.",
        "Name the MCP server itself, not the gateway, its Service or its Ingress.",
    )
    EGRESS_FAILED = (
        faults.EGRESS_FAILED,
        "The egress proxy fails or refuses the connection to the server.",
        "Check egressProxy in the gateway's settings, or HTTPS_PROXY and NO_PROXY, and the egress proxy's own rules.",
    )
    UNAVAILABLE = (
        faults.UNAVAILABLE,
        "The server responds that it cannot serve now (429 or 5xx).",
        "Read the server's own log.",
    )
    CONNECT_TIMEOUT = (
        faults.CONNECT_TIMEOUT,
        "No connection to the server's address was established within timeouts.connect.",
        "Check its name, its port and NetworkPolicies, or raise timeouts.connect.",
    )
    TIMEOUT = (
        faults.TIMEOUT,
        "The server does not respond within timeouts.request, or a stream stays silent for timeouts.idle.",
        "Read the server's own log, or raise the timeout.",
    )
    INVALID = (
        faults.INVALID,
        "The server's response is not MCP.",
        "Correct the path of its URL, which often ends in /mcp.",
    )
    RESET = (
        faults.RESET,
        "The server closed the connection before its response was complete.",
        "Read the server's own log.",
    )
    TOO_LARGE = (
        faults.TOO_LARGE,
        "The server's response exceeds bounds.messageBytes of the gateway's settings.",
        "Raise the limit, or make the server send less.",
    )
