"""The documents of a config, as strict models.

Each travels as canonical JSON and is addressed by its digest.

A document has no defaults that a reader must know: the operator writes out what it compiled. Durations are integer
milliseconds, sizes integer bytes. Absent members are omitted, never null.
"""

from typing import Literal, Self, TypeAlias

from pydantic import Field, model_validator

from ostiary_core.contract.access import AccessRulesConfig, SubjectConfig
from ostiary_core.contract.audit import AuditConfig, GatewayAuditConfig
from ostiary_core.contract.authentication import AuthenticationConfig
from ostiary_core.contract.base import ContractDocument, Count, Positive
from ostiary_core.contract.blocks import BlockedConfig
from ostiary_core.contract.bounds import BoundsConfig
from ostiary_core.contract.content import MOST_CONTENT_RULES
from ostiary_core.contract.debug_capture import DebugCaptureConfig
from ostiary_core.contract.definitions import DefinitionsConfig, PinningName
from ostiary_core.contract.guards import GuardConfig, ScorerAddressesConfig
from ostiary_core.contract.limit_store import LimitStoreConfig
from ostiary_core.contract.limits import LimitConfig, LoopDetectionConfig
from ostiary_core.contract.masks import MaskConfig
from ostiary_core.contract.openapi import OpenApiConfig
from ostiary_core.contract.server_resilience import (
    MOST_ENDPOINTS,
    CircuitBreakerConfig,
    DiscoveryConfig,
    EndpointConfig,
    HealthCheckConfig,
    LoadBalancerName,
    RetryConfig,
)
from ostiary_core.contract.server_selection import (
    MOST_ROUTING_RULES,
    MOST_SERVERS,
    InstructionsConfig,
    ListCacheConfig,
    RoutingRuleConfig,
    ServerSelectionName,
    SessionNotesName,
)
from ostiary_core.contract.transforms import TransformConfig
from ostiary_core.contract.upstream_credentials import UpstreamCredentialConfig
from ostiary_core.contract.validation import ValidationConfig
from ostiary_core.mcp.methods import Primitive

Tier: TypeAlias = Literal["platform", "owner"]
Default: TypeAlias = Literal["Allow", "Deny"]


class PolicyDocument(ContractDocument):
    """One MCPPolicy as last accepted. ``generation`` is that of the accepted version.

    Its rules match callers of ``subjects``, None for everyone, its limits count them, and its rules about contents
    apply to them. ``mode`` None enforces; Shadow only reports decisions. ``pinning`` is the least that the proxies of a
    policy of the platform have; only the compiler uses it, and writes it into their entries.

    Only the compiler uses ``source``, a gateway ignores it: the targets of this version, as canonical JSON, so that the
    version stays in force as a whole when a newer one cannot be used.
    """

    kind: Literal["policy"] = "policy"
    namespace: str
    name: str
    uid: str
    generation: Count
    tier: Tier
    access: AccessRulesConfig | None = None
    mode: Literal["Shadow"] | None = None
    authentication: AuthenticationConfig | None = None
    subjects: list[SubjectConfig] | None = None
    limits: list[LimitConfig] | None = None
    loop_detection: LoopDetectionConfig | None = None
    audit: AuditConfig | None = None
    validation: ValidationConfig | None = None
    masks: list[MaskConfig] | None = Field(default=None, min_length=1, max_length=MOST_CONTENT_RULES)
    guards: list[GuardConfig] | None = Field(default=None, min_length=1, max_length=MOST_CONTENT_RULES)
    transforms: list[TransformConfig] | None = Field(default=None, min_length=1, max_length=MOST_CONTENT_RULES)
    pinning: PinningName | None = None
    source: str | None = None

    @property
    def identity(self) -> str:
        """``namespace/name``, as telemetry names it."""
        return f"{self.namespace}/{self.name}"

    @property
    def secrets(self) -> tuple[str, ...]:
        """The entries of the gateway's Secret that it needs."""
        return self.authentication.secrets if self.authentication is not None else ()


class CatalogueSelectionConfig(ContractDocument):
    """The names of one primitive that a proxy exposes."""

    include: list[str] | None = None
    exclude: list[str] | None = None


class CatalogueConfig(ContractDocument):
    """The part of a server that a proxy exposes at all, before any policy."""

    tools: CatalogueSelectionConfig | None = None
    resources: CatalogueSelectionConfig | None = None
    prompts: CatalogueSelectionConfig | None = None

    def selection(self, primitive: Primitive) -> CatalogueSelectionConfig | None:
        """Return the selection of a primitive."""
        return {"tools": self.tools, "resources": self.resources, "prompts": self.prompts}[primitive]


class TlsConfig(ContractDocument):
    """How to verify a server: the CA bundle as PEM, and the name to send and to verify."""

    ca: str | None = None
    hostname: str | None = None


class TimeoutsConfig(ContractDocument):
    """Milliseconds: to connect; until the head of the response; of silence within a response."""

    connect: Positive
    request: Positive
    idle: Positive


class HeaderConfig(ContractDocument):
    """A header that every request to a server has. It holds no credential."""

    name: str
    value: str


class ServerConfig(ContractDocument):
    """One upstream MCP server.

    ``addresses``: CIDRs that it may resolve to although the default forbids them.

    ``host`` is the value of Host, None for that of the URL. ``prefix`` stands before its names where servers are
    merged, and may be empty there; None elsewhere. ``protocol_version`` is the revision that it speaks, None where the
    gateway finds out.

    It is reached at the host of ``url``, unless ``endpoints`` lists places, or ``discovery`` says how to find them.
    ``load_balancer`` None takes the less busy of two of them. ``openapi`` makes tools of a REST service, which does not
    speak MCP.

    ``reference`` names the resource of another operator that published ``url``, as ``group/kind/namespace/name``. It is
    the operator's own: gateways only carry it.
    """

    name: str
    url: str
    reference: str | None = Field(default=None, max_length=1024)
    timeouts: TimeoutsConfig
    tls: TlsConfig | None = None
    addresses: list[str] = Field(default_factory=list)
    host: str | None = None
    headers: list[HeaderConfig] | None = None
    credential: UpstreamCredentialConfig | None = None
    prefix: str | None = None
    protocol_version: str | None = None
    endpoints: list[EndpointConfig] | None = Field(default=None, min_length=1, max_length=MOST_ENDPOINTS)
    discovery: DiscoveryConfig | None = None
    load_balancer: LoadBalancerName | None = None
    health_check: HealthCheckConfig | None = None
    retry: RetryConfig | None = None
    circuit_breaker: CircuitBreakerConfig | None = None
    openapi: OpenApiConfig | None = None

    @model_validator(mode="after")
    def _check_places(self) -> Self:
        if self.endpoints is not None and self.discovery is not None:
            raise ValueError("a server has endpoints or a discovery, not both")
        return self

    @property
    def authority(self) -> str:
        """Host and port of the URL, without user and password."""
        place = self.url.partition("://")[2]
        end = min(position for each in "/?#" if (position := f"{place}{each}".find(each)) >= 0)
        return place[:end].rpartition("@")[2].lower()


class EntryDocument(ContractDocument):
    """Everything that the gateway needs for one proxy.

    ``policies`` are digests of policy documents, sorted.

    ``invalid`` is set where a policy that targets the proxy is unusable and has no accepted version: every call is
    refused until the policy is corrected.

    ``server_selection`` is None where there is one server. Of several, ``Merge`` shows one catalogue, and ``Route``
    chooses one for each request, by ``routing``. ``on_server_failure`` None shows the lists of the servers that
    respond; Refuse shows none of them while one server fails. ``instructions`` None merges those of the servers.
    Without ``list_cache`` no list is kept, and without ``definitions`` none is pinned or overridden.
    """

    kind: Literal["entry"] = "entry"
    namespace: str
    name: str
    uid: str
    generation: Count
    path: str
    hostnames: list[str] = Field(default_factory=list)
    servers: list[ServerConfig] = Field(min_length=1, max_length=MOST_SERVERS)
    server_selection: ServerSelectionName | None = None
    on_server_failure: Literal["Refuse"] | None = None
    instructions: InstructionsConfig | None = None
    routing: list[RoutingRuleConfig] | None = Field(default=None, max_length=MOST_ROUTING_RULES)
    list_cache: ListCacheConfig | None = None
    catalogue: CatalogueConfig | None = None
    definitions: DefinitionsConfig | None = None
    scorer_addresses: ScorerAddressesConfig | None = None
    policies: list[str] = Field(default_factory=list)
    without_policy: Default = "Allow"
    invalid: bool = False
    debug_capture: DebugCaptureConfig | None = None

    @property
    def identity(self) -> str:
        """``namespace/name``."""
        return f"{self.namespace}/{self.name}"

    @property
    def endpoint(self) -> str:
        """The path that clients post to."""
        return f"{self.path}/mcp"

    @property
    def secrets(self) -> tuple[str, ...]:
        """The entries of the gateway's Secret that its servers need."""
        return tuple(name for server in self.servers if server.credential for name in server.credential.secrets)


class EgressProxyConfig(ContractDocument):
    """The HTTP proxy that leads to servers.

    ``no_proxy``: the servers that are connected to directly, as in ``NO_PROXY``.
    """

    host: str
    port: int = Field(gt=0, le=65535)
    no_proxy: list[str] = Field(default_factory=list)


class SettingsDocument(ContractDocument):
    """The settings of a whole gateway.

    ``trusted_proxies`` are CIDRs whose X-Forwarded-For is believed.

    ``egress_proxy`` is None where the gateway's environment decides whether there is one. ``refused_addresses`` are
    those of the API server, which no server may have unless its ``addresses`` contain them. ``blocked`` is refused
    whatever entries and policies say. ``limit_store`` is None where each replica counts by itself. ``session_notes``
    says where a gateway notes what it learns of a session after its id was given: None in its own memory, Shared in
    ``limit_store``, ``None`` not at all. ``evidence_recording`` is None where requests are recorded in memory.

    Only the compiler uses ``source``, a gateway ignores it: the settings as accepted, as canonical JSON, so that they
    stay in force as a whole when newer ones cannot be used.
    """

    kind: Literal["settings"] = "settings"
    external_url: str | None = None
    allowed_origins: list[str] = Field(default_factory=list)
    trusted_proxies: list[str] = Field(default_factory=list)
    bounds: BoundsConfig
    egress_proxy: EgressProxyConfig | None = None
    refused_addresses: list[str] | None = None
    blocked: BlockedConfig | None = None
    limit_store: LimitStoreConfig | None = None
    audit: GatewayAuditConfig | None = None
    session_notes: SessionNotesName | None = None
    evidence_recording: Literal["Off"] | None = None
    source: str | None = None

    @property
    def secrets(self) -> tuple[str, ...]:
        """The entries of the gateway's Secret that it needs."""
        return tuple(name for each in (self.limit_store, self.audit) if each is not None for name in each.secrets)
