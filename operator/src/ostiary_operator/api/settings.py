"""The settings of a gateway: one YAML document in a ConfigMap that the chart owns, beside the gateway's Service.

They belong to the platform team, like the gateway itself. Every field has a default, so `{}` is a valid document.
"""

import enum
from typing import Annotated

from pydantic import Field, StrictInt

from ostiary_operator.api.constraints import Unique
from ostiary_operator.api.durations import Duration, between
from ostiary_operator.api.grants import Grant
from ostiary_operator.api.model import ApiModel
from ostiary_operator.api.numbers import INTEGRAL
from ostiary_operator.api.quantities import Size, between_sizes
from ostiary_operator.api.urls import HttpOrigin, Origin


class Tenancy(enum.StrEnum):
    """Whether the namespaces trust each other."""

    SINGLE = "Single"
    MULTI = "Multi"


class WithoutPolicy(enum.StrEnum):
    """What happens at a door that no policy governs."""

    ALLOW = "Allow"
    DENY = "Deny"


class Bounds(ApiModel):
    """Limits of one gateway process."""

    request_bytes: Annotated[Size, between_sizes("1Ki", "1Gi")] = Size.parse("4Mi")
    """Largest body of a request; 1Ki to 1Gi. A larger one is refused before it is read. Example: `4Mi`."""

    message_bytes: Annotated[Size, between_sizes("1Ki", "1Gi")] = Size.parse("16Mi")
    """Largest message of a server that a rule must see whole, such as a list that is filtered; 1Ki to 1Gi. A larger
    one is refused, never passed on unseen. Example: `16Mi`."""

    requests_in_flight: Annotated[StrictInt, Field(ge=1, le=1_000_000), INTEGRAL] = 4096
    """Requests that one replica works on at a time; 1 to 1000000. More are told to come again. Example: `1000`."""

    streams: Annotated[StrictInt, Field(ge=1, le=1_000_000), INTEGRAL] = 4096
    """Streams that one replica keeps open at a time; 1 to 1000000. More are told to come again. Example: `1000`."""

    session_max_age: Annotated[Duration, between("1m", "720h")] = Duration.parse("24h")
    """How long a session may live, and a key that seals sessions is kept; 1m to 720h. Example: `8h`."""


class GatewaySettings(ApiModel):
    """What holds for a whole gateway."""

    external_url: HttpOrigin | None = Field(default=None, alias="externalURL")
    """Scheme, host and port under which clients reach the gateway; the URLs in `status` begin with it. Absent means
    the address of the gateway's Service. Example: `https://mcp.example.com`."""

    tenancy: Tenancy = Tenancy.SINGLE
    """Single: the namespaces trust each other, and any may use any path, hostname and server. Multi: what lies outside
    a namespace needs a grant. Example: `Multi`."""

    without_policy: WithoutPolicy = WithoutPolicy.ALLOW
    """What happens at an MCPProxy that no MCPPolicy governs. Example: `Deny`."""

    allowed_origins: Annotated[tuple[Origin, ...], Field(max_length=64), Unique()] = ()
    """Origins of web pages that may use the gateway, besides its own. A request of any other origin is refused; one
    without an Origin header is no browser's and passes. Example: `["https://app.example.com"]`."""

    grants: Annotated[tuple[Grant, ...], Field(max_length=256)] = ()
    """What namespaces may use besides what is theirs anyway.
    Example: `[{namespaces: [sales], paths: [/crm], upstreams: ["*.example.com"]}]`."""

    bounds: Bounds = Bounds()
    """Limits of one gateway process. Example: `{requestBytes: 1Mi}`."""
