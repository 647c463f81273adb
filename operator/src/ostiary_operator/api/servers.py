"""The MCP servers behind an MCPProxy."""

import enum
from typing import Annotated

from pydantic import Field, StrictInt, StrictStr, StringConstraints

from ostiary_operator.api.base_model import ApiModel
from ostiary_operator.api.constraints import Pattern, Rule, Unique
from ostiary_operator.api.credentials import UpstreamCredential
from ostiary_operator.api.durations import Duration, between
from ostiary_operator.api.headers import Header
from ostiary_operator.api.names import DnsLabel, Hostname
from ostiary_operator.api.quantities import INTEGRAL
from ostiary_operator.api.references import CaCertificateReferences
from ostiary_operator.api.urls import Authority, EndpointPath, UpstreamUrl


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


class Server(ApiModel):
    """One MCP server behind the MCPProxy."""

    name: DnsLabel
    """Name of the server, unique within the MCPProxy. It appears in traces and metrics, and with
    `serverSelection: Merge` in the URIs of its resources: `ui://a` of the server `crm` becomes `ui://crm/a`.
    Example: `crm`."""

    url: UpstreamUrl | None = None
    """Complete URL of the server's MCP endpoint: http or https, without user information or fragment, and without a
    query that looks like a credential. Exactly one of `url` and `service` must be set.
    Example: `https://mcp.example.com/mcp`."""

    service: ServiceReference | None = None
    """A Service in the same namespace. Exactly one of `url` and `service` must be set.
    Example: `{name: crm-mcp, port: 8080}`."""

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
