"""The settings of a gateway: one YAML document in a ConfigMap that the chart owns, beside the gateway's Service.

They belong to the platform team, like the gateway itself. Every field has a default, so `{}` is a valid document.
"""

import enum
from typing import Annotated

from pydantic import Field, StrictInt

from ostiary_operator.api.constraints import Unique
from ostiary_operator.api.durations import Duration, between
from ostiary_operator.api.grants import Cidr, Grant
from ostiary_operator.api.model import ApiModel
from ostiary_operator.api.numbers import INTEGRAL
from ostiary_operator.api.quantities import Size, between_sizes
from ostiary_operator.api.urls import EgressProxyUrl, HttpOrigin, NoProxyItem, Origin


class Tenancy(enum.StrEnum):
    """Whether the namespaces trust each other."""

    SINGLE = "Single"
    MULTI = "Multi"


class WithoutPolicy(enum.StrEnum):
    """What happens at a door that no policy governs."""

    ALLOW = "Allow"
    DENY = "Deny"


Count = Annotated[StrictInt, Field(ge=1, le=1_000_000), INTEGRAL]
"""How many of something; at least one."""

Bytes = Annotated[Size, between_sizes("1Ki", "1Ti")]
"""How many bytes of something."""


class PerSource(ApiModel):
    """What one source address may hold of a replica before anybody knows who it is; an IPv6 source is a /64.

    The defaults leave a quarter of a replica to all others, and no more than that: a load balancer that is not in
    `trustedProxies` is one source for all callers behind it.
    """

    connections: Count = 12288
    """Connections of one source; 1 to 1000000. More are answered with 503 and closed. Those of `trustedProxies` are not
    counted. Example: `500`."""

    requests_in_flight: Count = 3072
    """Requests of one source that are worked on at a time; 1 to 1000000. More are told to come again.
    Example: `200`."""

    streams: Count = 3072
    """Streams that one source keeps open at a time; 1 to 1000000. More are told to come again. Example: `200`."""

    bytes_in_flight: Bytes = Size.parse("96Mi")
    """Bytes of requests and answers held for one source at a time; 1Ki to 1Ti. Example: `32Mi`."""


class PerPrincipal(ApiModel):
    """What one authenticated caller may hold of a replica at one MCPProxy. Callers without credentials are bounded by
    their source alone.
    """

    requests_in_flight: Count = 1024
    """Requests of one principal that are worked on at a time; 1 to 1000000. More are told to come again.
    Example: `100`."""

    streams: Count = 1024
    """Streams that one principal keeps open at a time; 1 to 1000000. More are told to come again. Example: `100`."""

    bytes_in_flight: Bytes = Size.parse("64Mi")
    """Bytes of requests and answers held for one principal at a time; 1Ki to 1Ti. Example: `32Mi`."""


class PerProxy(ApiModel):
    """What one MCPProxy may hold of a replica, so that a server that hangs leaves room for the others."""

    requests_in_flight: Count = 2048
    """Requests at one MCPProxy that are worked on at a time; 1 to 1000000. More are told to come again.
    Example: `1000`."""

    streams: Count = 2048
    """Streams that are open at one MCPProxy at a time; 1 to 1000000. More are told to come again. Example: `1000`."""

    bytes_in_flight: Bytes = Size.parse("64Mi")
    """Bytes of requests and answers held for one MCPProxy at a time; 1Ki to 1Ti. Example: `32Mi`."""


class PerServer(ApiModel):
    """What one replica asks of one upstream server."""

    connections: Count = 4096
    """Connections of one replica to one server; 1 to 1000000. Each request and each stream takes one. Beyond, a request
    waits for a free one as long as for a connection (`timeouts.connect`), then it is refused. Example: `100`."""


class Bounds(ApiModel):
    """Limits of one gateway process. At a bound the caller gets a clear refusal, and nobody else notices."""

    request_bytes: Annotated[Size, between_sizes("1Ki", "1Gi")] = Size.parse("4Mi")
    """Largest body of a request; 1Ki to 1Gi. A larger one is refused before it is read. Example: `4Mi`."""

    message_bytes: Annotated[Size, between_sizes("1Ki", "1Gi")] = Size.parse("16Mi")
    """Largest message of a server: an answer, or one event of a stream; 1Ki to 1Gi. Each is read whole before it is
    passed on, whether or not a rule governs it, so a larger one is refused. How long a stream is has no bound.
    Example: `16Mi`."""

    message_values: Annotated[Count, Field(ge=5000)] = 100_000
    """Values of one message, of a caller or of a server, since a message costs what it holds, not only its bytes: each
    object, each array and each member of an object counts one, elements of an array a quarter more; 5000 to 1000000. A
    message of more is refused. An answer that no rule has to read may hold three times as many. Example: `50000`."""

    connections: Count = 16384
    """Connections of callers to one replica; 1 to 1000000. More are answered with 503 and closed. A replica takes fewer
    where the system lets it open fewer files: two for each connection. Example: `4000`."""

    requests_in_flight: Count = 4096
    """Requests that one replica works on at a time; 1 to 1000000. More are told to come again. Example: `1000`."""

    streams: Count = 4096
    """Streams that one replica keeps open at a time; 1 to 1000000. More are told to come again. Example: `1000`."""

    bytes_in_flight: Bytes = Size.parse("128Mi")
    """Bytes of requests being read and of answers being held by one replica at a time; 1Ki to 1Ti. A request beyond is
    told to come again, an answer beyond becomes an error; one message alone always passes, up to its own bound.
    A quarter is kept for messages of up to 64 KiB. Example: `256Mi`."""

    per_source: PerSource = PerSource()
    """What one source address may hold of these. Example: `{connections: 500, requestsInFlight: 200}`."""

    per_principal: PerPrincipal = PerPrincipal()
    """What one authenticated caller may hold of these at one MCPProxy. Example: `{requestsInFlight: 100}`."""

    per_proxy: PerProxy = PerProxy()
    """What one MCPProxy may hold of these. Example: `{requestsInFlight: 1000}`."""

    per_server: PerServer = PerServer()
    """What one upstream server is asked for. Example: `{connections: 100}`."""

    session_max_age: Annotated[Duration, between("1m", "720h")] = Duration.parse("24h")
    """How long a session may live, and a key that seals sessions is kept; 1m to 720h. Example: `8h`."""


class EgressProxy(ApiModel):
    """The HTTP proxy of the network that leads to servers."""

    url: EgressProxyUrl
    """Where it listens: `http://`, host and port. It holds no credentials: a proxy that wants them is named in the
    environment of the gateway. Example: `http://proxy.corp:3128`."""

    no_proxy: Annotated[tuple[NoProxyItem, ...], Field(max_length=256), Unique()] = ()
    """Servers that are connected to directly: a name with all names below it, an address, a CIDR, each with a port if
    need be, or `*`. Loopback, and names that end in `.svc` or `.svc.cluster.local`, always are.
    Example: `["*.corp", "10.0.0.0/8"]`."""


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
    """Origins of web pages that may use the gateway, besides its own and, at each MCPProxy, its own hostnames. One of
    any other origin is refused; a request without an Origin header is no browser's and passes. Pages of these origins
    are answered as CORS demands, preflights too: they may send `Authorization` and the headers of MCP, and no cookies.
    Example: `["https://app.example.com"]`."""

    trusted_proxies: Annotated[tuple[Cidr, ...], Field(max_length=64), Unique()] = ()
    """Addresses of load balancers and ingress controllers, as CIDRs, whose `X-Forwarded-For` is believed: its rightmost
    address that is not among them is the caller's. Without them every caller is known by the address that he connects
    from. Example: `["10.0.0.0/8"]`."""

    grants: Annotated[tuple[Grant, ...], Field(max_length=256)] = ()
    """What namespaces may use besides what is theirs anyway.
    Example: `[{namespaces: [sales], paths: [/crm], upstreams: ["*.example.com"]}]`."""

    egress_proxy: EgressProxy | None = None
    """The HTTP proxy that leads to servers, in place of `HTTPS_PROXY`, `HTTP_PROXY` and `NO_PROXY` of the gateway's
    environment, which count where this is absent. Servers with TLS are reached through a tunnel (`CONNECT`), others are
    asked for by their whole URL. A change holds for new connections. Example: `{url: "http://proxy.corp:3128"}`."""

    bounds: Bounds = Bounds()
    """Limits of one gateway process. Example: `{requestBytes: 1Mi}`."""
