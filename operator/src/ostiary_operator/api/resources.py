"""The resources: as whole objects, and in the reduced form that the operator uses."""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Annotated, Any, ClassVar, Final, Generic, Literal, TypeVar

from pydantic import AwareDatetime, Field, StrictInt, StrictStr, StringConstraints, model_validator

from ostiary_operator.api.base_model import ApiModel
from ostiary_operator.api.constraints import Rule
from ostiary_operator.api.lock import LockSpec
from ostiary_operator.api.names import DnsLabel, ObjectName
from ostiary_operator.api.policy import PolicySpec
from ostiary_operator.api.proxy import ProxySpec

GROUP = "ostiary.dev"
VERSION = "v1alpha1"
API_VERSION = f"{GROUP}/{VERSION}"

PROXY_KIND = "MCPProxy"
POLICY_KIND = "MCPPolicy"
LOCK_KIND = "MCPLock"

SpecT_co = TypeVar("SpecT_co", bound=ApiModel, covariant=True)

#: When an object was created that does not state it.
EPOCH: Final = datetime.fromtimestamp(0, tz=UTC)
#: The namespace of uids that are derived for objects from files.
_UIDS = uuid.UUID("6f737469-6172-5900-8000-000000000000")


@dataclass(frozen=True, slots=True)
class Resource(Generic[SpecT_co]):
    """A valid resource, reduced to what the compiler reads.

    An object from a file has no uid, generation or creationTimestamp. It gets a uid derived from its kind, namespace
    and name, generation 1, and the epoch, so that the same file always means the same resource.
    """

    kind: str
    namespace: str
    name: str
    uid: str
    generation: int
    creation_timestamp: datetime
    spec: SpecT_co
    labels: Mapping[str, str] = field(default_factory=dict)

    @property
    def identity(self) -> str:
        """``namespace/name``."""
        return f"{self.namespace}/{self.name}"


class ObjectMeta(ApiModel):
    """The metadata of an object. Fields without a type are accepted and not read; the
    API server validates them.
    """

    name: ObjectName
    """Name of the object."""

    namespace: DnsLabel | None = None
    """Namespace of the object."""

    uid: Annotated[StrictStr, StringConstraints(min_length=1, max_length=128)] | None = None
    """Distinguishes the object from earlier ones of the same name."""

    generation: Annotated[StrictInt, Field(ge=1)] = 1
    """Counts the changes of spec."""

    creation_timestamp: AwareDatetime = EPOCH
    """When the object was created."""

    labels: Annotated[dict[StrictStr, StrictStr], Field(default_factory=dict)]
    """Labels of the object."""

    @model_validator(mode="before")
    @classmethod
    def _drop_nulls(cls, value: Any) -> Any:
        # Tools write `creationTimestamp: null`; the API server treats every null in the metadata as absent.
        return {k: v for k, v in value.items() if v is not None} if isinstance(value, Mapping) else value

    annotations: Any = None
    deletion_grace_period_seconds: Any = None
    deletion_timestamp: Any = None
    finalizers: Any = None
    generate_name: Any = None
    managed_fields: Any = None
    owner_references: Any = None
    resource_version: Any = None
    self_link: Any = None


class ProxyMeta(ObjectMeta):
    """The metadata of an MCPProxy, whose name is part of its default path."""

    name: Annotated[ObjectName, StringConstraints(max_length=63)]
    """Name of the MCPProxy; at most 63 characters. Its default path is `/<namespace>/<name>`."""


class MCPProxy(ApiModel):
    """Publishes an MCP server at a URL of the gateways, under the policies that govern it."""

    api_version: Literal["ostiary.dev/v1alpha1"]
    kind: Literal["MCPProxy"]
    metadata: ProxyMeta
    spec: ProxySpec
    """The desired state. Example: `{servers: [{name: crm, url: "https://mcp.example.com/mcp"}]}`."""

    constraints: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "self.metadata.name != 'mcp' || has(self.spec.path)",
            lambda proxy: proxy.metadata.name != "mcp" or proxy.spec.path is not None,
            "is required for an MCPProxy named mcp, since its default path would end in /mcp",
            "set it, or choose another name",
            field_path=".spec.path",
        ),
    )


class MCPPolicy(ApiModel):
    """Says who may use the MCPProxies that it targets, and what they may see and do there."""

    api_version: Literal["ostiary.dev/v1alpha1"]
    kind: Literal["MCPPolicy"]
    metadata: ObjectMeta
    spec: PolicySpec
    """The desired state. Example: `{targetRefs: [{kind: MCPProxy, name: crm}], access: {rules: []}}`."""


class MCPLock(ApiModel):
    """Approves definitions of tools, prompts and resources of one server.

    They are whole, and readable. Where definitions are pinned, what no MCPLock approves is reported, or does not exist
    for callers.
    """

    api_version: Literal["ostiary.dev/v1alpha1"]
    kind: Literal["MCPLock"]
    metadata: ObjectMeta
    spec: LockSpec
    """The desired state. Example: `{proxyRef: {name: crm}, server: crm, tools: ["name: add"]}`."""


def resource(document: MCPProxy | MCPPolicy | MCPLock, *, namespace: str) -> Resource[Any]:
    """Reduce an object to a resource; ``namespace`` is for one that names none."""
    meta = document.metadata
    home = meta.namespace or namespace
    return Resource(
        kind=document.kind,
        namespace=home,
        name=meta.name,
        uid=meta.uid or derived_uid(document.kind, home, meta.name),
        generation=meta.generation,
        creation_timestamp=meta.creation_timestamp,
        spec=document.spec,
        labels=meta.labels,
    )


def derived_uid(kind: str, namespace: str, name: str) -> str:
    """The uid of an object from a file; the same input always gives the same uid."""
    return str(uuid.uuid5(_UIDS, f"{kind}/{namespace}/{name}"))
