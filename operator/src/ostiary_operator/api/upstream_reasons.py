"""Reasons of the conditions on an MCPProxy's server as gateways observe it."""

from ostiary_core import upstream_faults as faults
from ostiary_core.auth_discovery import DiscoveryOutcome
from ostiary_operator.api.reasons import NOTHING, WAIT, Reason


class UpstreamHealthyReason(Reason):
    """Reasons of UpstreamHealthy and of UpstreamsHealthy, which are not part of Ready.

    A proxy with several servers has the second one. Most are the fault kinds that callers get as well.
    """

    UPSTREAM_HEALTHY = ("UpstreamHealthy", "The server answered the last call.", NOTHING)
    UPSTREAMS_HEALTHY = ("UpstreamsHealthy", "Every server that was called answered its last call.", NOTHING)
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
        (
            "Put a valid credential into the Secret that `credential` names, and check header, scopes and audience. "
            "With identityAssertion, check how the server verifies it."
        ),
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
    CIRCUIT_OPEN = (
        faults.CIRCUIT_OPEN,
        "So many requests failed that gateways send none for `circuitBreaker.openFor`: to the server, or to a tool.",
        (
            "Read the server's own log, and `ostiary_upstream_faults_total` for what failed. A trial every "
            "circuitBreaker.openFor finds out whether it works again."
        ),
    )


class AuthDiscoveryReason(Reason):
    """Reasons of AuthDiscovery: can OAuth clients find the server's authorization server?

    Only MCPProxies with passthrough authentication have the condition, and it is not part of Ready.
    """

    COMPLETE = (
        DiscoveryOutcome.COMPLETE,
        "The server asks for a token, and its metadata name an authorization server.",
        NOTHING,
    )
    PENDING = (DiscoveryOutcome.PENDING, "No gateway has checked the server yet.", WAIT)
    SERVER_UNAVAILABLE = (
        DiscoveryOutcome.SERVER_UNAVAILABLE,
        "The server cannot be checked: it does not respond, or cannot serve now.",
        "See UpstreamHealthy, and the server's own log. The check is repeated every minute.",
    )
    NO_UNAUTHORIZED = (
        DiscoveryOutcome.NO_UNAUTHORIZED,
        "The server does not respond with 401 to a request without a token, so clients never begin to authenticate.",
        (
            "Enable OAuth in the server, and correct its URL or `host` if the status shows that another server "
            "responds. If it authenticates no caller, replace `passthrough` by another method of `authentication`."
        ),
    )
    NOT_NAMED = (
        DiscoveryOutcome.NOT_NAMED,
        "The server's 401 has no `resource_metadata`, and there are no metadata at the paths of RFC 9728.",
        (
            "Make the server publish protected resource metadata at /.well-known/oauth-protected-resource, followed by "
            "the path of its URL."
        ),
    )
    ELSEWHERE = (
        DiscoveryOutcome.ELSEWHERE,
        "The server's metadata are at another path than RFC 9728 gives them. Gateways read them only there.",
        (
            "Make the server publish them at /.well-known/oauth-protected-resource, followed by the path of its URL, "
            "and name that URL in `resource_metadata`."
        ),
    )
    UNREADABLE = (
        DiscoveryOutcome.UNREADABLE,
        "Gateways cannot read the server's protected resource metadata.",
        (
            "Make the server serve them without authentication, as a JSON object of at most 512 KiB with status 200. "
            "Outside the cluster the server's URL must be https."
        ),
    )
    INVALID = (
        DiscoveryOutcome.INVALID,
        "A member of the server's metadata has the wrong shape, so gateways do not relay them.",
        "Make `authorization_servers` (at most 16) and `scopes_supported` (at most 200) lists of texts.",
    )
    NO_AUTHORIZATION_SERVER = (
        DiscoveryOutcome.NO_AUTHORIZATION_SERVER,
        "The server's metadata name no authorization server, so clients do not know where to get a token.",
        "Add `authorization_servers` with the issuer's URL to the server's metadata (RFC 9728 §2).",
    )
