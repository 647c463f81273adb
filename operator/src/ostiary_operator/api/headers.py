"""Headers to add to every request to a server.

None may be a credential, or a header that the gateway writes itself.
"""

from typing import Annotated, Final

from pydantic import StrictStr, StringConstraints

from ostiary_operator.api.base_model import ApiModel
from ostiary_operator.api.constraints import Pattern, excludes

#: Headers of message framing, MCP, hop-by-hop HTTP and tracing, and others that the gateway writes. Servers that pass
#: headers on as variables treat an underscore like a hyphen.
_OWNED: Final = (
    "accept|accept-encoding|baggage|connection|content-.*|date|expect|forwarded|host|keep-alive|last-event-id"
    "|max-forwards|mcp-.*|origin|proxy(-.*)?|te|trace(parent|state)|trailer|transfer-encoding|upgrade|via"
).replace("-", "[-_]")
#: Headers with which a client can make proxies and servers use another host, path, method or address.
_ROUTING: Final = (
    "x-forwarded(-(by|client-cert|email|for|groups|preferred-username|server|uri|user))?|x-original-.*|x-rewrite-.*"
    "|x-host|x-http-host-override|x-(http-)?method(-override)?|x-real-ip|x-client-ip|true-client-ip"
    "|x-cluster-client-ip|cf-connecting-ip|x-envoy-.*|x-accel-.*|x-sendfile"
).replace("-", "[-_]")
#: Headers that carry credentials, by a standard or by convention.
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
        "names a header that makes servers use another host, path or address than the request's",
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
    """A header that is added to every request to a server."""

    name: HeaderName
    """Name of the header. It must not be one that holds credentials (Authorization, Cookie, X-Api-Key), that the
    gateway writes (Host, Content-Type, Mcp-*, Via, traceparent), or that changes routing (X-Real-IP, X-Original-*).
    Where tenants share a gateway, X-Forwarded-Host needs the same grant as `host`. Example: `X-Tenant`."""

    value: HeaderValue
    """Value of the header. Everyone with read access to the resource can see it. Example: `sales`."""
