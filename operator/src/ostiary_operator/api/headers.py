"""Headers to add to every request to a server.

None may be a credential, or a header that the gateway writes itself.
"""

from typing import Annotated

from pydantic import StrictStr, StringConstraints

from ostiary_core.content.transforms.header_names import CREDENTIALS, OWNED, ROUTING
from ostiary_operator.api.base_model import ApiModel
from ostiary_operator.api.constraints import Pattern, excludes

HeaderName = Annotated[
    StrictStr,
    StringConstraints(min_length=1, max_length=64),
    Pattern(
        "^[A-Za-z0-9]([-A-Za-z0-9_]*[A-Za-z0-9])?$",
        "is not the name of a header",
        "use letters, digits and hyphens, such as X-Tenant",
    ),
    excludes(
        f"(?i)^({OWNED})$",
        "names a header that the gateway writes itself",
        "remove it; for Host there is the field `host` of the server",
    ),
    excludes(
        f"(?i)^({ROUTING})$",
        "names a header that makes servers use another host, path or address than the request's",
        "remove it; for Host there is the field `host` of the server, for a path its URL",
    ),
    excludes(
        f"(?i)^({CREDENTIALS})$",
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
