"""The settings of a gateway: one YAML document in a ConfigMap of the chart.

The ConfigMap is in the namespace of the gateway's Service. The settings belong to the platform team, like the gateway
itself. Every field has a default, so `{}` is a valid document.
"""

import enum
from typing import Annotated

from pydantic import Field, StrictInt

from ostiary_operator.api.audit import GatewayAudit
from ostiary_operator.api.base_model import ApiModel
from ostiary_operator.api.blocks import Blocked
from ostiary_operator.api.constraints import Rule, Unique
from ostiary_operator.api.durations import Duration, between
from ostiary_operator.api.grants import Cidr, Grant
from ostiary_operator.api.limit_store import LimitStore
from ostiary_operator.api.quantities import INTEGRAL, Size, between_sizes
from ostiary_operator.api.selectors import LabelSelector
from ostiary_operator.api.urls import EgressProxyUrl, HttpOrigin, NoProxyItem, Origin


class Tenancy(enum.StrEnum):
    """Whether the namespaces trust each other."""

    SINGLE = "Single"
    MULTI = "Multi"


class WithoutPolicy(enum.StrEnum):
    """What happens at an MCPProxy that no policy governs."""

    ALLOW = "Allow"
    DENY = "Deny"


class SessionNotePlace(enum.StrEnum):
    """Where gateways note what they learn of a session after its id was given."""

    LOCAL = "Local"
    SHARED = "Shared"
    NONE = "None"


class EvidenceRecording(enum.StrEnum):
    """Whether replicas keep evidence of requests in memory."""

    ON = "On"
    OFF = "Off"


Count = Annotated[StrictInt, Field(ge=1, le=1_000_000), INTEGRAL]
"""How many of something; at least one."""

Bytes = Annotated[Size, between_sizes("1Ki", "1Ti")]
"""How many bytes of something."""


class EvidenceSettings(ApiModel):
    """What replicas keep in memory of the requests that they served, for people who look at it."""

    recording: EvidenceRecording = EvidenceRecording.ON
    """Whether counts, the latest calls and refusals are kept. They hold no arguments, results or headers, and are
    masked. Off: nothing is kept, and `/evidence` of the admin port says so; metrics, traces and audit records go on.
    Example: `Off`."""


class PerSource(ApiModel):
    """Limits per source address, which apply before authentication; an IPv6 source is a /64.

    The defaults reserve a quarter of a replica for all other sources, and no more than that: a load balancer that is
    not in `trustedProxies` is one source for all callers behind it.
    """

    connections: Count = 12288
    """Connections of one source; 1 to 1000000. Further ones get 503 and are closed. Those of `trustedProxies` are not
    counted. Example: `500`."""

    requests_in_flight: Count = 3072
    """Requests of one source in flight at a time; 1 to 1000000. Further ones get 503 with Retry-After.
    Example: `200`."""

    streams: Count = 3072
    """Streams that one source keeps open at a time; 1 to 1000000. Further ones get 503 with Retry-After.
    Example: `200`."""

    bytes_in_flight: Bytes = Size.parse("96Mi")
    """Bytes of requests and responses in memory for one source at a time; 1Ki to 1Ti. Example: `32Mi`."""


class PerPrincipal(ApiModel):
    """Limits per authenticated caller at one MCPProxy. For callers without credentials
    only the limits of their source apply.
    """

    requests_in_flight: Count = 1024
    """Requests of one principal in flight at a time; 1 to 1000000. Further ones get 503 with Retry-After.
    Example: `100`."""

    streams: Count = 1024
    """Streams that one principal keeps open at a time; 1 to 1000000. Further ones get 503 with Retry-After.
    Example: `100`."""

    bytes_in_flight: Bytes = Size.parse("64Mi")
    """Bytes of requests and responses in memory for one principal at a time; 1Ki to 1Ti. Example: `32Mi`."""


class PerProxy(ApiModel):
    """Limits per MCPProxy, so that a server that hangs leaves room for the others."""

    requests_in_flight: Count = 2048
    """Requests to one MCPProxy in flight at a time; 1 to 1000000. Further ones get 503 with Retry-After.
    Example: `1000`."""

    streams: Count = 2048
    """Streams that are open at one MCPProxy at a time; 1 to 1000000. Further ones get 503 with Retry-After.
    Example: `1000`."""

    bytes_in_flight: Bytes = Size.parse("64Mi")
    """Bytes of requests and responses in memory for one MCPProxy at a time; 1Ki to 1Ti. Example: `32Mi`."""


class PerServer(ApiModel):
    """Limits of one replica per upstream server."""

    connections: Count = 4096
    """Connections of one replica to one server, or to one endpoint of a server with several; 1 to 1000000. Each request
    and each stream takes one. If all are in use, a request waits for a free one for at most `timeouts.connect`, then it
    is refused. Example: `100`."""


class Bounds(ApiModel):
    """Limits of one gateway process. At a limit the caller gets a clear refusal, and
    no other caller is affected.
    """

    request_bytes: Annotated[Size, between_sizes("1Ki", "1Gi")] = Size.parse("4Mi")
    """Largest body of a request; 1Ki to 1Gi. A larger one is refused before it is read. Example: `4Mi`."""

    message_bytes: Annotated[Size, between_sizes("1Ki", "1Gi")] = Size.parse("16Mi")
    """Largest message of a server: a response, or one event of a stream; 1Ki to 1Gi. Each is read completely before it
    is passed on, whether or not a rule applies to it, so a larger one is refused. The length of a stream has no limit.
    Example: `16Mi`."""

    message_values: Annotated[Count, Field(ge=5000)] = 100_000
    """Values in one message of a caller or a server, because the cost of a message depends on its values and not only
    on its bytes; 5000 to 1000000. Each object, each array and each member of an object counts as one, each element of
    an array as a further quarter. A message with more is refused. A response that no rule has to read may have three
    times as many. Example: `50000`."""

    connections: Count = 16384
    """Connections of callers to one replica; 1 to 1000000. Further ones get 503 and are closed. A replica accepts fewer
    if the system's limit of open files is lower than two per connection. Example: `4000`."""

    requests_in_flight: Count = 4096
    """Requests of one replica in flight at a time; 1 to 1000000. Further ones get 503 with Retry-After.
    Example: `1000`."""

    streams: Count = 4096
    """Streams that one replica keeps open at a time; 1 to 1000000. Further ones get 503 with Retry-After.
    Example: `1000`."""

    bytes_in_flight: Bytes = Size.parse("128Mi")
    """Bytes of requests and responses in the memory of one replica at a time; 1Ki to 1Ti. Beyond it a request gets 503
    with Retry-After, and a response becomes an error. A message that is alone always passes, up to its own limit.
    A quarter is reserved for messages of up to 64 KiB. Example: `256Mi`."""

    per_source: PerSource = PerSource()
    """Limits per source address. Example: `{connections: 500, requestsInFlight: 200}`."""

    per_principal: PerPrincipal = PerPrincipal()
    """Limits per authenticated caller at one MCPProxy. Example: `{requestsInFlight: 100}`."""

    per_proxy: PerProxy = PerProxy()
    """Limits per MCPProxy. Example: `{requestsInFlight: 1000}`."""

    per_server: PerServer = PerServer()
    """Limits per upstream server. Example: `{connections: 100}`."""

    limit_refusals: Count = 100
    """How many requests of one caller limits of policies may refuse on one connection within 10 seconds; 1 to 1000000.
    After that it gets 429 with Retry-After there, before the body of a request is read, until the limit lets a request
    through, at most for a minute. Example: `20`."""

    session_max_age: Annotated[Duration, between("1m", "720h")] = Duration.parse("24h")
    """How long a session may last, and how long a key that seals sessions is kept; 1m to 720h. Example: `8h`."""


class EgressProxy(ApiModel):
    """The network's HTTP proxy, through which the gateway connects to servers."""

    url: EgressProxyUrl
    """Where it listens: `http://`, host and port, without credentials. Set a proxy that requires credentials in the
    environment of the gateway instead. Example: `http://proxy.corp:3128`."""

    no_proxy: Annotated[tuple[NoProxyItem, ...], Field(max_length=256), Unique()] = ()
    """Servers to connect to directly: a name with all names below it, an address, a CIDR, each with an optional port,
    or `*`. The gateway always connects directly to loopback and to names that end in `.svc` or `.svc.cluster.local`.
    Example: `["*.corp", "10.0.0.0/8"]`."""


class GatewaySettings(ApiModel):
    """The settings that apply to a whole gateway."""

    external_url: HttpOrigin | None = Field(default=None, alias="externalURL")
    """Scheme, host and port at which clients reach the gateway; the URLs in `status` begin with it. Absent means the
    address of the gateway's Service. Example: `https://mcp.example.com`."""

    tenancy: Tenancy = Tenancy.SINGLE
    """Single: the namespaces trust each other, and each may use any path, hostname and server. Multi: a namespace needs
    a grant for everything outside it. Example: `Multi`."""

    proxy_selector: LabelSelector | None = None
    """Which MCPProxies the gateway serves of those that name no gateway themselves, by their labels: so many of them
    can be divided among several gateways. It is a rule of placement, no permission: an MCPProxy that names the gateway
    in `spec.gateways` is served whatever its labels are. Absent means all.
    Example: `{matchLabels: {shard: a}}`."""

    without_policy: WithoutPolicy = WithoutPolicy.ALLOW
    """What happens at an MCPProxy that no MCPPolicy governs. Example: `Deny`."""

    allowed_origins: Annotated[tuple[Origin, ...], Field(max_length=64), Unique()] = ()
    """Origins of web pages that may use the gateway, in addition to its own origin and to the hostnames of each
    MCPProxy. Requests of other origins are refused; a request without an Origin header is not from a browser and is
    accepted. Pages of these origins get CORS headers, in responses to preflights too: they may send `Authorization`
    and the headers of MCP, and no cookies. Example: `["https://app.example.com"]`."""

    trusted_proxies: Annotated[tuple[Cidr, ...], Field(max_length=64), Unique()] = ()
    """Addresses of load balancers and ingress controllers, as CIDRs, whose `X-Forwarded-For` is trusted: its rightmost
    address that is not in this list is the caller's. Without them, the address that a caller connects from is the
    caller's. Example: `["10.0.0.0/8"]`."""

    grants: Annotated[tuple[Grant, ...], Field(max_length=256)] = ()
    """What namespaces may use in addition to what they own.
    Example: `[{namespaces: [sales], paths: [/crm], upstreams: ["*.example.com"]}]`."""

    egress_proxy: EgressProxy | None = None
    """The HTTP proxy through which the gateway connects to servers. If it is absent, `HTTPS_PROXY`, `HTTP_PROXY` and
    `NO_PROXY` of the gateway's environment apply. For servers with TLS the gateway opens a tunnel (`CONNECT`), for
    others it sends the proxy the complete URL. A change applies to new connections.
    Example: `{url: "http://proxy.corp:3128"}`."""

    bounds: Bounds = Bounds()
    """Limits of one gateway process. Example: `{requestBytes: 1Mi}`."""

    limit_store: LimitStore | None = None
    """Store in which all replicas count the limits of policies together. Absent means that each replica counts by
    itself. Example: `{redis: {addresses: ["redis.data.svc:6379"]}}`."""

    session_notes: SessionNotePlace = SessionNotePlace.LOCAL
    """Where the gateway notes what it learns of a client's session after its id was given, for MCPProxies with several
    servers: sessions of servers that were late or began again, log levels and subscriptions. Local: in the memory of
    each replica, so another replica begins again. Shared: in `limitStore`, for all replicas. None: not at all; clients
    are then offered nothing that needs it. Example: `Shared`."""

    blocked: Blocked | None = None
    """What the gateway refuses at once, whatever policies and MCPProxies say: the means for an emergency. Valid items
    apply also where another line of the settings is wrong; until the settings are valid again, nothing that was blocked
    before is unblocked. Example: `{principals: [support/agent]}`."""

    audit: GatewayAudit | None = None
    """What the gateway records of requests, and where. Absent: what policies demand, on standard output.
    Example: `{floor: {level: Metadata}}`."""

    evidence: EvidenceSettings = EvidenceSettings()
    """What each replica keeps in memory for the console, `ostiary traffic` and `ostiary calls`.
    Example: `{recording: Off}`."""

    constraints = (
        Rule(
            "!has(self.sessionNotes) || self.sessionNotes != 'Shared' || has(self.limitStore)",
            lambda it: it.session_notes is not SessionNotePlace.SHARED or it.limit_store is not None,
            "needs limitStore",
            "set limitStore, or write Local",
            field_path=".sessionNotes",
        ),
    )
