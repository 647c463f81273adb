"""MCPProxy: the endpoint that gateways publish, and the MCP server behind it."""

from typing import Annotated, Self

from pydantic import Field, StrictInt, StrictStr, StringConstraints, model_validator

from ostiary_operator.api.base_model import ApiModel
from ostiary_operator.api.constraints import Atomic, Rule, Unique
from ostiary_operator.api.credentials import UpstreamCredential
from ostiary_operator.api.debug_capture import DebugCapture
from ostiary_operator.api.durations import Duration, between
from ostiary_operator.api.headers import Header
from ostiary_operator.api.names import DnsLabel, Hostname, NameGlobs
from ostiary_operator.api.patterns import check_together
from ostiary_operator.api.quantities import INTEGRAL
from ostiary_operator.api.references import CaCertificateReferences
from ostiary_operator.api.urls import Authority, EndpointPath, ProxyPath, UpstreamUrl


class GatewayReference(ApiModel):
    """Names a gateway."""

    name: DnsLabel
    """Name of the gateway: the value of the label `ostiary.dev/gateway` of its Service. Example: `default`."""

    namespace: DnsLabel | None = None
    """Namespace of the gateway. Absent means the operator's namespace, where the shared gateways are. The only other
    possible value is the namespace of this MCPProxy. Example: `team-a`."""


class ServiceReference(ApiModel):
    """Names a port of a Service in the namespace of the MCPProxy."""

    name: DnsLabel
    """Name of the Service. Example: `crm-mcp`."""

    port: Annotated[StrictInt, Field(ge=1, le=65535), INTEGRAL]
    """Port of the Service, as a number. Example: `8080`."""

    path: EndpointPath = "/mcp"
    """Path of the MCP endpoint on the server. Example: `/mcp`."""


class Timeouts(ApiModel):
    """How long the gateway waits for a server."""

    connect: Annotated[Duration, between("10ms", "1m")] = Duration.parse("5s")
    """How long connecting may take, TLS included; 10ms to 1m. Example: `2s`."""

    request: Annotated[Duration, between("100ms", "1h")] = Duration.parse("2m")
    """How long the server may take from the end of the request to the headers of its response, and again for the body
    of a response that is not a stream; 100ms to 1h. Example: `30s`."""

    idle: Annotated[Duration, between("100ms", "24h")] = Duration.parse("5m")
    """How long a stream may be silent; 100ms to 24h. Example: `10m`."""


class Tls(ApiModel):
    """How to verify a server; the names follow Gateway API's BackendTLSPolicy."""

    ca_certificate_refs: CaCertificateReferences | None = None
    """CA bundles that the server's certificate is verified with. Absent means the CA bundle of the gateway's system.
    Example: `[{kind: ConfigMap, name: internal-ca}]`."""

    hostname: Hostname | None = None
    """Server name to send (SNI) and to expect in the certificate. Absent means the host that is connected to.
    Example: `crm.internal.example.com`."""


class Server(ApiModel):
    """One MCP server behind the MCPProxy."""

    name: DnsLabel
    """Name of the server, unique within the MCPProxy. It appears in traces and metrics. Example: `crm`."""

    url: UpstreamUrl | None = None
    """Complete URL of the server's MCP endpoint: http or https, without user information or fragment, and without a
    query that looks like a credential. Exactly one of `url` and `service` must be set.
    Example: `https://mcp.example.com/mcp`."""

    service: ServiceReference | None = None
    """A Service in the same namespace. Exactly one of `url` and `service` must be set.
    Example: `{name: crm-mcp, port: 8080}`."""

    host: Authority | None = None
    """Value of the header Host, for servers that accept only hosts from a list. Absent means host and port of the URL.
    It changes neither where the gateway connects nor what TLS verifies (`tls.hostname`). Example: `localhost:8000`."""

    headers: Annotated[tuple[Header, ...], Field(max_length=16), Unique(("name",))] = ()
    """Headers to add to every request to this server, never a credential.
    Example: `[{name: X-Tenant, value: sales}]`."""

    credential: UpstreamCredential | None = None
    """The gateway's own credential for this server, from a Secret. Absent means that it sends none.
    Example: `{bearer: {secretRef: {name: crm-token, key: token}}}`."""

    timeouts: Timeouts = Timeouts()
    """How long the gateway waits for this server. Example: `{request: 30s}`."""

    tls: Tls | None = None
    """How to verify the server. It needs https: a `url` must start with `https://`, and the gateway connects to a
    `service` by https when this is set, even to `{}`. Example: `{hostname: crm.internal.example.com}`."""

    constraints = (
        Rule(
            "has(self.url) != has(self.service)",
            lambda server: (server.url is None) != (server.service is None),
            "needs exactly one of url and service",
            "set url for a server anywhere, or service for one in the same namespace",
        ),
        Rule(
            "!has(self.tls) || !has(self.url) || self.url.startsWith('https://')",
            lambda server: server.tls is None or server.url is None or server.url.startswith("https://"),
            "has tls although its url is not https",
            "write https:// in the url, or remove tls",
        ),
    )


class NameSelection(ApiModel):
    """Chooses from the names that a server offers."""

    include: NameGlobs | None = None
    """Names that exist at this MCPProxy; absent means all of them. Exact, with `*` for any run of characters.
    Example: `["read_*", "get_weather"]`."""

    exclude: NameGlobs | None = None
    """Names that do not exist at this MCPProxy, even if they are included. Exact, with `*` for any run of characters.
    Example: `["*_internal"]`."""

    constraints = (
        Rule(
            "has(self.include) || has(self.exclude)",
            lambda selection: selection.include is not None or selection.exclude is not None,
            "chooses nothing",
            "set include or exclude, or remove it",
        ),
    )

    @model_validator(mode="after")
    def _check_size(self) -> Self:
        check_together(self.include, None)
        check_together(self.exclude, None)
        return self


class Catalogue(ApiModel):
    """Which tools, resources and prompts of the server exist at this MCPProxy."""

    tools: NameSelection | None = None
    """Which tools exist, by name. Example: `{include: ["read_*"]}`."""

    resources: NameSelection | None = None
    """Which resources and resource templates exist, by URI or URI template. Example: `{exclude: ["file:///etc/*"]}`."""

    prompts: NameSelection | None = None
    """Which prompts exist, by name. Example: `{include: ["summarise"]}`."""

    constraints = (
        Rule(
            "has(self.tools) || has(self.resources) || has(self.prompts)",
            lambda it: any(part is not None for part in (it.tools, it.resources, it.prompts)),
            "names no primitive",
            "set tools, resources or prompts, or remove catalogue",
        ),
    )


class ProxySpec(ApiModel):
    """The desired state of an MCPProxy."""

    description: Annotated[StrictStr, StringConstraints(max_length=1024)] | None = None
    """What this MCPProxy is for, as a text for people. Example: `Customer records, read only`."""

    gateways: Annotated[tuple[GatewayReference, ...], Field(max_length=16), Atomic()] = ()
    """Gateways that serve this MCPProxy. Empty means every shared gateway, and every gateway of its own namespace.
    Example: `[{name: default}]`."""

    hostnames: Annotated[tuple[Hostname, ...], Field(max_length=16), Unique()] = ()
    """Hosts at which the path is served, as exact lower-case DNS names. Empty means any host of the gateway.
    Example: `["mcp.example.com"]`."""

    path: ProxyPath | None = None
    """Path of this MCPProxy; its endpoint is this path followed by `/mcp`. Absent means `/<namespace>/<name>`. It must
    not end in a slash or in `/mcp`, nor be under `/.well-known` or `/-`. Example: `/crm`."""

    servers: Annotated[tuple[Server, ...], Field(min_length=1, max_length=1), Unique(("name",))]
    """The MCP server behind this MCPProxy; exactly one for now.
    Example: `[{name: crm, url: "https://mcp.example.com/mcp"}]`."""

    catalogue: Catalogue | None = None
    """Which tools, resources and prompts of the server exist at this MCPProxy, before any policy applies. No caller can
    see or use what it omits. Example: `{tools: {exclude: ["delete_*"]}}`."""

    debug_capture: DebugCapture | None = None
    """Keeps the latest exchanges until a time, redacted, for `ostiary logs`. Absent means that none are kept. Who may
    read the Secret of a gateway may read them. Example: `{until: "2026-11-29T18:00:00Z"}`."""
