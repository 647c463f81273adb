"""Headers that every request to a server has: plain data, never a credential, and none that the gateway writes."""

from typing import Annotated, Final

from pydantic import StrictStr, StringConstraints

from ostiary_operator.api.constraints import Pattern, excludes
from ostiary_operator.api.model import ApiModel

#: What frames a message, what MCP, HTTP's hops and tracing say, and what the gateway fills in. Servers that pass
#: headers on as variables take an underscore for a hyphen.
_OWNED: Final = (
    "accept|accept-encoding|baggage|connection|content-.*|date|expect|forwarded|host|keep-alive|last-event-id"
    "|max-forwards|mcp-.*|origin|proxy(-.*)?|te|trace(parent|state)|trailer|transfer-encoding|upgrade|via"
).replace("-", "[-_]")
#: By what proxies and servers take another host, path, method or address for that of the request.
_ROUTING: Final = (
    "x-forwarded(-(by|client-cert|email|for|groups|preferred-username|server|uri|user))?|x-original-.*|x-rewrite-.*"
    "|x-host|x-http-host-override|x-(http-)?method(-override)?|x-real-ip|x-client-ip|true-client-ip"
    "|x-cluster-client-ip|cf-connecting-ip|x-envoy-.*|x-accel-.*|x-sendfile"
).replace("-", "[-_]")
#: Where credentials are put, by standards and by habit.
_CREDENTIALS: Final = (
    "authorization|cookie2?|set-cookie2?|www-authenticate|(.*[-_])?(api-?key|key|token|secret|password|auth|jwt"
    "|credentials?|signature|session)([-_].*)?"
)

HeaderName = Annotated[
    StrictStr,
    StringConstraints(min_length=1, max_length=64),
    Pattern(
        "^[A-Za-z0-9]([-A-Za-z0-9_]*[A-Za-z0-9])?$",
        "is not the name of a header",
        "use letters, digits and hyphens, such as X-Tenant",
    ),
    excludes(
        f"(?i)^({_OWNED})$",
        "names a header that the gateway writes itself",
        "remove it; for Host there is the field `host` of the server",
    ),
    excludes(
        f"(?i)^({_ROUTING})$",
        "names a header by which servers take another host, path or address for the request's",
        "remove it; for Host there is the field `host` of the server, for a path its URL",
    ),
    excludes(
        f"(?i)^({_CREDENTIALS})$",
        "names a header that holds credentials",
        "remove it: credentials are never written into a spec",
    ),
]
"""The name of a header that may be set."""

HeaderValue = Annotated[
    StrictStr,
    StringConstraints(max_length=1024),
    Pattern(
        "^([!-~]([ -~]*[!-~])?)?$",
        "is not the value of a header",
        "use printable ASCII without a blank at either end",
    ),
]
"""The value of a header."""


class Header(ApiModel):
    """A header for every request to a server."""

    name: HeaderName
    """Name of the header. None that holds credentials (Authorization, Cookie, X-Api-Key), that the gateway writes
    (Host, Content-Type, Mcp-*, Via, traceparent), or that routes (X-Real-IP, X-Original-*). Where tenants share a
    gateway, X-Forwarded-Host needs the grant that `host` needs. Example: `X-Tenant`."""

    value: HeaderValue
    """Value of the header, in plain sight of all who may read the resource. Example: `sales`."""
