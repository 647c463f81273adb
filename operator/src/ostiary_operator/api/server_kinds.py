"""The kinds of MCP servers that other operators manage, and that ``serverRef`` may name.

Three groups are built in. More are settings of the operator: a JSON object for each, in the flag ``--server-kind``.
"""

import json
from collections.abc import Iterable
from typing import Annotated, Final

from pydantic import Field, StrictStr, StringConstraints, ValidationError

from ostiary_operator.api.base_model import ApiModel
from ostiary_operator.api.constraints import Pattern, Rule, Unique
from ostiary_operator.api.names import ObjectName
from ostiary_operator.api.problems import InvalidDocument, Problem, nulls, problems
from ostiary_operator.api.urls import EndpointPath

#: Kinds of one operator, the built-in ones included.
MOST_KINDS: Final = 32

ApiVersion = Annotated[
    StrictStr,
    StringConstraints(max_length=63),
    Pattern("^v[0-9]+((alpha|beta)[0-9]+)?$", "is not a version of an API", "write it like v1 or v1beta1"),
]
"""The version of an API, without its group."""

KindName = Annotated[
    StrictStr,
    StringConstraints(max_length=63),
    Pattern("^[A-Z][A-Za-z0-9]*$", "is not a kind", "write it as the definition does, such as MCPServer"),
]
"""The kind of an object."""

PluralName = Annotated[
    StrictStr,
    StringConstraints(max_length=63),
    Pattern("^[a-z][a-z0-9]*$", "is not the plural of a kind", "write it as the definition does, such as mcpservers"),
]
"""The plural of a kind, as paths of the API contain it."""

FieldPath = Annotated[
    StrictStr,
    StringConstraints(max_length=253),
    Pattern(
        "^[A-Za-z][A-Za-z0-9]*([.][A-Za-z][A-Za-z0-9]*)*$",
        "is not the path of a field",
        "write names with dots between them, such as status.url",
    ),
]
"""The path of a field from the root of an object: names with dots between them."""

ConditionName = Annotated[
    StrictStr,
    StringConstraints(max_length=316),
    Pattern("^[A-Za-z0-9][-A-Za-z0-9_./]*$", "is not the type of a condition", "write it like Ready"),
]
"""The type of a condition."""

PhaseName = Annotated[StrictStr, StringConstraints(min_length=1, max_length=63)]
"""A value of a phase."""


class ServiceUrl(ApiModel):
    """Where a server without a URL in its status is: at the Service of its name."""

    port: FieldPath
    """Field with the port of the Service. Example: `spec.deployment.port`."""

    path: FieldPath | None = None
    """Field with the path of the MCP endpoint. Example: `spec.httpTransport.path`."""

    default_path: EndpointPath = "/mcp"
    """Path where that field is absent. Example: `/mcp`."""


class PhaseReadiness(ApiModel):
    """By which phase a server is ready."""

    field: FieldPath = "status.phase"
    """Field with the phase. Example: `status.phase`."""

    ready: Annotated[tuple[PhaseName, ...], Field(min_length=1, max_length=8), Unique()]
    """Phases in which it can be called. Example: `[Ready, Degraded]`."""


class ServerKind(ApiModel):
    """A kind of MCP servers, and where its objects say what the gateway needs to know."""

    group: ObjectName
    """API group. Example: `toolhive.stacklok.dev`."""

    version: ApiVersion
    """Version of the API that is read. Example: `v1beta1`."""

    kind: KindName
    """Kind of the objects. Example: `MCPServer`."""

    plural: PluralName
    """Plural of the kind. Example: `mcpservers`."""

    url: FieldPath | None = None
    """Field with the URL of the MCP endpoint. Exactly one of `url` and `service` must be set. Example: `status.url`."""

    default_path: EndpointPath | None = None
    """Path of the MCP endpoint where that URL has none. Example: `/mcp`."""

    service: ServiceUrl | None = None
    """How the URL is made where no field has it. Example: `{port: spec.port}`."""

    conditions: Annotated[tuple[ConditionName, ...], Field(max_length=8), Unique()] = ()
    """Conditions that are all True while the server can be called. Example: `[Ready]`."""

    phase: PhaseReadiness | None = None
    """Phase by which the server can be called. Example: `{ready: [Ready]}`."""

    constraints = (
        Rule(
            "has(self.url) != has(self.service)",
            lambda kind: (kind.url is None) != (kind.service is None),
            "needs exactly one of url and service",
            "set url where its status has one, or service where a Service has its name",
        ),
        Rule(
            "!has(self.defaultPath) || has(self.url)",
            lambda kind: kind.default_path is None or kind.url is not None,
            "has a defaultPath without url",
            "set service.defaultPath",
        ),
    )

    @property
    def identity(self) -> tuple[str, str]:
        """Group and kind, which a reference names."""
        return self.group, self.kind

    @property
    def resource(self) -> str:
        """The plural with its group, as RBAC messages and ``kubectl`` write it."""
        return f"{self.plural}.{self.group}"


class InvalidServerKind(InvalidDocument):
    """The settings of a kind cannot be used; ``problems`` lists the faults by field."""


_LIFECYCLE: Final = "mcp.x-k8s.io"
_TOOLHIVE: Final = "toolhive.stacklok.dev"
_READY: Final = PhaseReadiness(ready=("Ready", "Degraded"))

BUILT_IN: Final = (
    ServerKind(
        group=_LIFECYCLE,
        version="v1beta1",
        kind="MCPServer",
        plural="mcpservers",
        url="status.address.url",
        conditions=("Available", "Verified"),
    ),
    *(
        ServerKind(
            group=_TOOLHIVE,
            version="v1beta1",
            kind=kind,
            plural=plural,
            url="status.url",
            default_path=path,
            phase=_READY,
        )
        for kind, plural, path in (
            ("MCPServer", "mcpservers", None),
            ("MCPRemoteProxy", "mcpremoteproxies", None),  # which puts the path of the remote server in its place
            ("VirtualMCPServer", "virtualmcpservers", "/mcp"),  # elsewhere its streams are cut after 30 s
        )
    ),
    ServerKind(
        group="kagent.dev",
        version="v1alpha1",
        kind="MCPServer",
        plural="mcpservers",
        service=ServiceUrl(port="spec.deployment.port", path="spec.httpTransport.path"),
        conditions=("Ready",),
    ),
)
"""The kinds that are known without settings: of the MCP lifecycle operator, ToolHive and kmcp."""


def parse_server_kind(text: str) -> ServerKind:
    """Read the settings of a kind, a JSON object.

    Raises:
        InvalidServerKind: the text is no such object.
    """
    subject = "server kind"
    try:
        value = json.loads(text)
    except ValueError as error:
        raise InvalidServerKind(subject, [Problem("", f"is not JSON: {error}", "correct the syntax")]) from None
    found = list(nulls(value))
    if not found:
        try:
            return ServerKind.model_validate(value, by_alias=True, by_name=False)
        except ValidationError as error:
            found = problems(error, ServerKind)
    raise InvalidServerKind(subject, found)


def with_built_in(further: Iterable[ServerKind]) -> tuple[ServerKind, ...]:
    """Return the built-in kinds and further ones, which may replace a built-in one."""
    known = {kind.identity: kind for kind in (*BUILT_IN, *further)}
    return tuple(known.values())
