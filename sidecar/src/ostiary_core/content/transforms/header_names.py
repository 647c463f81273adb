"""Headers that only the gateway writes, and why no transformation may touch them.

What decides where a request goes, how it is framed, what proves who sends it, and who that is, stays the gateway's. The
API refuses the same headers, by the same expressions: they are RE2, match whole names in lower case, and take an
underscore for a hyphen, as servers do that pass headers on as variables.
"""

import re
from typing import Final


def _either(expression: str) -> str:
    """Take an underscore for each hyphen; no part of an expression has classes of characters."""
    return expression.replace("-", "[-_]")


#: Message framing, MCP, hop-by-hop HTTP (RFC 9110 §7.6.1) and tracing, and others that the gateway writes.
OWNED: Final = _either(
    "accept|accept-encoding|baggage|connection|content-.*|date|expect|forwarded|host|keep-alive|last-event-id"
    "|max-forwards|mcp-.*|origin|proxy(-.*)?|te|trace(parent|state)|trailer|transfer-encoding|upgrade|via"
)
#: With these a client can make proxies and servers use another host, path, method or address.
ROUTING: Final = _either(
    "x-forwarded(-(by|client-cert|email|for|groups|preferred-username|server|uri|user))?|x-original-.*|x-rewrite-.*"
    "|x-host|x-http-host-override|x-(http-)?method(-override)?|x-real-ip|x-client-ip|true-client-ip"
    "|x-cluster-client-ip|cf-connecting-ip|x-envoy-.*|x-accel-.*|x-sendfile"
)
#: These carry credentials, by a standard or by convention.
CREDENTIALS: Final = _either(
    "authorization|cookie2?|set-cookie2?|www-authenticate|dpop|(.*-)?(api-?key|key|token|secret|password|auth|jwt"
    "|credentials?|signature|session)(-.*)?"
)
#: By these servers learn who the caller is, or where.
IDENTITY: Final = _either(
    "(x-)?(remote|authenticated|auth|webauth|forwarded|end|verified)-?(user|email|groups?|roles?|name|id)(-.*)?"
    "|x-(user|userinfo|username|consumer|principal|subject|client-id|client-cert|client-dn|ssl|goog|amzn|ms-client"
    "|impersonate|remote)(-.*)?|(impersonate|ssl-client|x-forwarded)-.*|from|client-cert(-chain)?"
)
#: What browsers and tracers write, what names a part of a resource, and the gateway's own.
RESERVED: Final = _either("referer|range|http2-settings|(sec|access-control|(x-)?ostiary|x-b3)-.*|b3")

_NAME: Final = re.compile(r"[!#$%&'*+\-.^_`|~0-9a-z]{1,128}")
_KINDS: Final = tuple(
    (re.compile(expression), kind)
    for expression, kind in (
        (OWNED, "framing or tracing"),
        (ROUTING, "routing"),
        (CREDENTIALS, "credential"),
        (IDENTITY, "identity"),
        (RESERVED, "reserved"),
    )
)


def refused_header(name: str) -> str:
    """Return why a header cannot be transformed, to continue a sentence; empty where it can.

    ``name`` is in lower case.
    """
    if _NAME.fullmatch(name) is None:
        return "is no name of a header: write 1 to 128 letters, digits and hyphens, in lower case"
    kind = next((kind for expression, kind in _KINDS if expression.fullmatch(name)), "")
    return f"is a {kind} header, which the gateway writes itself: choose another name" if kind else ""
