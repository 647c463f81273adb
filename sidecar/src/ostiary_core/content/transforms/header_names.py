"""Headers that no transformation may touch, each with its reason.

What decides where a request goes, how it is framed, what proves who sends it, and who that is, stays the gateway's.
"""

import re
from typing import Final

_NAME: Final = re.compile(r"[!#$%&'*+\-.^_`|~0-9a-z]{1,128}")
_ROUTING: Final = frozenset({"host", "via", "origin", "referer", "max-forwards", "last-event-id"})
#: RFC 9110 §7.6.1, and what frames or describes a body.
_HOP_BY_HOP: Final = frozenset(
    {
        "connection",
        "keep-alive",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "expect",
        "http2-settings",
        "accept",
        "accept-encoding",
        "range",
    }
)
_CREDENTIALS: Final = frozenset(
    {"authorization", "cookie", "set-cookie", "x-api-key", "api-key", "apikey", "x-auth-token", "x-csrf-token", "dpop"}
)
_IDENTITY: Final = frozenset(
    {
        "forwarded",
        "from",
        "remote-user",
        "remote-groups",
        "impersonate-user",
        "impersonate-group",
        "impersonate-uid",
        "x-real-ip",
        "x-client-ip",
        "x-cluster-client-ip",
        "x-original-url",
        "x-rewrite-url",
        "x-http-method-override",
        "true-client-ip",
        "cf-connecting-ip",
        "x-client-cert",
        "x-ssl-client-cert",
        "x-user",
        "x-user-id",
        "x-username",
        "x-webauth-user",
        "x-ms-client-principal",
        "x-ms-client-principal-id",
        "x-ms-client-principal-name",
        "client-cert",
        "client-cert-chain",
    }
)
_TELEMETRY: Final = frozenset({"traceparent", "tracestate", "baggage", "b3"})
#: The starts of names, with the same reasons.
_STARTS: Final = {
    "mcp-": "routing",
    ":": "routing",
    "proxy-": "hop-by-hop",
    "content-": "hop-by-hop",
    "sec-": "routing",
    "access-control-": "routing",
    "x-forwarded-": "identity",
    "x-envoy-": "routing",
    "x-remote-": "identity",
    "x-auth-request-": "identity",
    "x-amzn-oidc-": "identity",
    "x-goog-authenticated-": "identity",
    "x-goog-iap-": "identity",
    "x-b3-": "telemetry",
    "impersonate-extra-": "identity",
    "ostiary-": "routing",
    "x-ostiary-": "routing",
}
_REASON: Final = {
    **dict.fromkeys(_ROUTING, "routing"),
    **dict.fromkeys(_HOP_BY_HOP, "hop-by-hop"),
    **dict.fromkeys(_CREDENTIALS, "credential"),
    **dict.fromkeys(_IDENTITY, "identity"),
    **dict.fromkeys(_TELEMETRY, "telemetry"),
}


def refused_header(name: str) -> str:
    """Return why a header cannot be transformed, to continue a sentence; empty where it can.

    ``name`` is in lower case.
    """
    if _NAME.fullmatch(name) is None:
        return "is no name of a header: write 1 to 128 letters, digits and hyphens, in lower case"
    kind = _REASON.get(name) or next((kind for start, kind in _STARTS.items() if name.startswith(start)), "")
    return f"is a {kind} header, which the gateway writes itself: choose another name" if kind else ""
