"""The MCP servers behind an MCPProxy."""

import enum
from collections.abc import Callable
from typing import Annotated

from pydantic import Field, StrictStr, StringConstraints

from ostiary_operator.api.base_model import ApiModel
from ostiary_operator.api.constraints import Pattern, Rule, Unique
from ostiary_operator.api.credentials import UpstreamCredential
from ostiary_operator.api.durations import Duration, between
from ostiary_operator.api.headers import Header
from ostiary_operator.api.names import DnsLabel, Hostname
from ostiary_operator.api.references import CaCertificateReferences, ConfigMapKeyReference
from ostiary_operator.api.server_places import (
    LoadBalancerChoice,
    RoutingType,
    ServerEndpoints,
    ServerReference,
    ServiceReference,
)
from ostiary_operator.api.server_resilience import CircuitBreakerSettings, HealthCheckSettings, RetrySettings
from ostiary_operator.api.urls import Authority, UpstreamUrl


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


Prefix = Annotated[
    StrictStr,
    StringConstraints(max_length=32),
    Pattern(
        "^[A-Za-z0-9_.-]*$",
        "is not the beginning of a name",
        "use at most 32 letters, digits, underscores, hyphens and dots, such as crm_",
    ),
]
"""What stands before the names of a server's tools and prompts; it may be empty."""


class ProtocolVersion(enum.StrEnum):
    """A revision of MCP that a server speaks."""

    MARCH_2025 = "2025-03-26"
    JUNE_2025 = "2025-06-18"
    NOVEMBER_2025 = "2025-11-25"
    JULY_2026 = "2026-07-28"


def _of_several_places(field: str, is_absent: Callable[["Server"], bool]) -> Rule:
    """Return the condition of a field that only a server with several endpoints may have."""
    return Rule(
        f"!has(self.{field}) || has(self.endpoints)"
        " || (!has(self.url) && !(has(self.routingType) && self.routingType == 'Service'))",
        lambda it: is_absent(it) or it.may_have_endpoints,
        "is set, but the server is reached at one place",
        "list endpoints of the url, or name a service without routingType: Service, or remove it",
        field_path=f".{field}",
    )


class OpenApi(ApiModel):
    """The description of a REST service, of which gateways make an MCP server."""

    config_map_ref: ConfigMapKeyReference
    """The OpenAPI document, version 3.0 or 3.1, as YAML or JSON of at most 1 MiB and 256 operations. ConfigMaps with
    the label `ostiary.dev/usage` are watched; a change of one without it takes up to five minutes.
    Example: `{name: orders, key: openapi.yaml}`."""


class Server(ApiModel):
    """One MCP server behind the MCPProxy."""

    name: DnsLabel
    """Name of the server, unique within the MCPProxy. It appears in traces and metrics, and with
    `serverSelection: Merge` in the URIs of its resources: `ui://a` of the server `crm` becomes `ui://crm/a`.
    Example: `crm`."""

    url: UpstreamUrl | None = None
    """Complete URL of the server's MCP endpoint: http or https, without user information or fragment, and without a
    query that looks like a credential. Exactly one of `url`, `service` and `serverRef` must be set.
    Example: `https://mcp.example.com/mcp`."""

    service: ServiceReference | None = None
    """A Service in the same namespace. Exactly one of `url`, `service` and `serverRef` must be set.
    Example: `{name: crm-mcp, port: 8080}`."""

    server_ref: ServerReference | None = None
    """A resource of another operator whose status says where its MCP server is. Exactly one of `url`, `service` and
    `serverRef` must be set. Example: `{group: mcp.x-k8s.io, kind: MCPServer, name: crm}`."""

    endpoints: ServerEndpoints | None = None
    """The places where the server of a `url` is reached, instead of the host of the URL; at most 64.
    Example: `[{address: 10.0.0.7, port: 8080}, {address: 10.0.0.8, port: 8080}]`."""

    routing_type: RoutingType = RoutingType.ENDPOINT
    """What the gateway connects to of a `service`, and of a `serverRef` whose URL names a Service of its namespace.
    Endpoint: the Pods behind it, so that a rollout fails no call. Service: its virtual address, as a service mesh may
    need it. Example: `Service`."""

    load_balancer: LoadBalancerChoice | None = None
    """How one of several endpoints is chosen. Absent means LeastRequest. Example: `{type: RoundRobin}`."""

    health_check: HealthCheckSettings | None = None
    """Which endpoints get no requests. Absent means `{passive: {}}`, the defaults.
    Example: `{active: {interval: 10s}}`."""

    retry: RetrySettings | None = None
    """What is sent again when an attempt fails. Absent means `{}`, the defaults, for a server with several endpoints,
    and no retries for one at a single place. Example: `{attempts: 2, tools: {hints: [readOnlyHint]}}`."""

    circuit_breaker: CircuitBreakerSettings | None = None
    """When the server, or one tool of it, gets no requests for a time. Absent means never. Example: `{openFor: 1m}`."""

    openapi: OpenApi | None = None
    """Makes an MCP server of a REST service, at the `url` or `service`: each operation becomes a tool.
    Example: `{configMapRef: {name: orders, key: openapi.yaml}}`."""

    prefix: Prefix | None = None
    """What stands before the names of this server's tools and prompts, so that each name has one owner. Required with
    `serverSelection: Merge`, not permitted otherwise. No prefix may be the beginning of another one, except that one
    server may have an empty prefix: its names and URIs stay as they are. At most 32 letters, digits, `_`, `-` and `.`.
    Example: `crm_`."""

    protocol_version: ProtocolVersion | None = None
    """Revision of MCP that the server speaks: a session is opened with it, or for `2026-07-28` none at all. Absent
    means that the gateway finds out. Example: `2025-11-25`."""

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
            "[has(self.url), has(self.service), has(self.serverRef)].exists_one(each, each)",
            lambda it: sum(each is not None for each in (it.url, it.service, it.server_ref)) == 1,
            "needs exactly one of url, service and serverRef",
            "set url for a server anywhere, service for one in the same namespace, or serverRef for one of another "
            "operator",
        ),
        Rule(
            "!has(self.endpoints) || has(self.url)",
            lambda it: it.endpoints is None or it.url is not None,
            "is set, but only a url has endpoints that are listed",
            "set url instead of service or serverRef, or remove endpoints",
            field_path=".endpoints",
        ),
        Rule(
            "!has(self.routingType) || !has(self.url)",
            lambda it: "routing_type" not in it.model_fields_set or it.server_ref is not None or it.service is not None,
            "is set, but a url has none",
            "remove it, or name a service or serverRef",
            field_path=".routingType",
        ),
        _of_several_places("loadBalancer", lambda it: it.load_balancer is None),
        _of_several_places("healthCheck", lambda it: it.health_check is None),
        Rule(
            "!has(self.openapi) || !has(self.serverRef)",
            lambda it: it.openapi is None or it.server_ref is None,
            "is set, but a serverRef leads to an MCP server",
            "set url or service to the REST service, or remove openapi",
            field_path=".openapi",
        ),
        Rule(
            "!has(self.openapi) || !has(self.protocolVersion)",
            lambda it: it.openapi is None or it.protocol_version is None,
            "is set, but a server with openapi speaks no MCP",
            "remove protocolVersion, or remove openapi",
            field_path=".protocolVersion",
        ),
        Rule(
            "!has(self.tls) || !has(self.url) || self.url.startsWith('https://')",
            lambda server: server.tls is None or server.url is None or server.url.startswith("https://"),
            "has tls although its url is not https",
            "write https:// in the url, or remove tls",
        ),
    )

    @property
    def may_have_endpoints(self) -> bool:
        """Whether it may be reached at several places: those of a list, or the Pods of a Service."""
        may_be_service = self.service is not None or self.server_ref is not None
        return self.endpoints is not None or (may_be_service and self.routing_type is RoutingType.ENDPOINT)
