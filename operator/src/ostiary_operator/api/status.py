"""What we answer in `status`: condition types, their reasons with meaning and remedy, and the shape of both statuses.

The reasons are closed sets. Troubleshooting documentation is generated from them, so each says in a sentence what it
means and, where something is wrong, what to do.
"""

import enum
from datetime import datetime
from typing import Annotated, Final

from pydantic import Field, StrictInt, StrictStr, StringConstraints

from ostiary_operator.api.constraints import Atomic, Unique
from ostiary_operator.api.model import ApiModel
from ostiary_operator.api.reason import NOTHING, WAIT, Reason
from ostiary_operator.api.upstream_reasons import UpstreamHealthyReason

#: Since when the conditions hold that an object has before the operator has seen it: the definitions give it these.
UNJUDGED_SINCE: Final = "1970-01-01T00:00:00Z"


class ConditionType(enum.StrEnum):
    """The conditions of an MCPProxy and an MCPPolicy. All are positive; the first four are of both kinds."""

    ACCEPTED = "Accepted"
    RESOLVED_REFS = "ResolvedRefs"
    PROGRAMMED = "Programmed"
    READY = "Ready"
    UPSTREAM_HEALTHY = "UpstreamHealthy"
    GOVERNED = "Governed"
    EFFECTIVE = "Effective"


#: What is said of both kinds, and of an object before the operator has seen it. Ready is the sum of the others.
OF_EVERY_KIND: Final = (
    ConditionType.ACCEPTED,
    ConditionType.RESOLVED_REFS,
    ConditionType.PROGRAMMED,
    ConditionType.READY,
)


class ConditionStatus(enum.StrEnum):
    """The value of a condition."""

    TRUE = "True"
    FALSE = "False"
    UNKNOWN = "Unknown"


class AcceptedReason(Reason):
    """Reasons of Accepted: is the resource valid, and may it have what it asks for?"""

    ACCEPTED = ("Accepted", "The resource is valid and permitted.", NOTHING)
    PENDING = ("Pending", "The operator has not judged this generation yet.", WAIT)
    INVALID = (
        "Invalid",
        "A field has a value that cannot work. An earlier version that was accepted stays in force.",
        "Mend the fields that the message names.",
    )
    PATH_CONFLICT = (
        "PathConflict",
        "An older MCPProxy already serves this path at an overlapping host; the older one keeps it.",
        "Choose another path or hostname, or remove the MCPProxy that the message names.",
    )
    PATH_NOT_PERMITTED = (
        "PathNotPermitted",
        "The path belongs to another namespace, or the gateway's settings do not grant it to this one.",
        "Use a path under /<namespace>/, or ask the platform team for a grant of the path.",
    )
    HOSTNAME_NOT_PERMITTED = (
        "HostnameNotPermitted",
        "The gateway's settings do not grant the hostname to this namespace.",
        "Remove the hostname, or ask the platform team for a grant of it.",
    )
    UPSTREAM_NOT_PERMITTED = (
        "UpstreamNotPermitted",
        "The server lies outside the namespace, or a Service leads out of it, and the gateway grants neither.",
        "Use a Service that selects Pods of the namespace, or ask the platform team for a grant of the host.",
    )
    NO_GATEWAY = (
        "NoGateway",
        "No gateway serves the resource: the one it names does not exist or belongs to another namespace.",
        "Correct spec.gateways, or install the gateway.",
    )
    NO_TARGET = (
        "NoTarget",
        "The policy has neither targetRefs nor targetSelector, so it governs nothing.",
        "Set one of the two; `targetSelector: {}` selects all MCPProxies of the namespace.",
    )
    TARGET_NOT_FOUND = (
        "TargetNotFound",
        "A target that the policy names does not exist in its namespace.",
        "Correct the name, or create the MCPProxy.",
    )
    SELECTOR_NOT_PERMITTED = (
        "SelectorNotPermitted",
        "Only policies in the operator's namespace may select other namespaces.",
        "Remove namespaceSelector, or ask the platform team to place the policy.",
    )


class ResolvedRefsReason(Reason):
    """Reasons of ResolvedRefs: can everything that the resource refers to be read and used?"""

    RESOLVED_REFS = ("ResolvedRefs", "Everything that the resource refers to was found.", NOTHING)
    PENDING = ("Pending", "The operator has not read the references yet.", WAIT)
    REF_NOT_FOUND = (
        "RefNotFound",
        "A ConfigMap, a Secret or a key in one of them does not exist.",
        "Create it in the namespace of the resource, or correct the reference.",
    )
    BACKEND_NOT_FOUND = (
        "BackendNotFound",
        "A Service of the namespace that is to be the server does not exist, or does not have the port.",
        "Create the Service, or correct its name or port. What was accepted before is served until then.",
    )
    REF_INVALID = (
        "RefInvalid",
        "The object exists, but what it holds cannot be used, such as a CA bundle that is not PEM.",
        "Correct the contents under the key that the message names.",
    )
    NOT_PERMITTED = (
        "NotPermitted",
        "The operator may not read the object, or a Secret lacks the label that makes it usable.",
        "Label the Secret with ostiary.dev/usage, or bind the operator's role for Secrets in this namespace.",
    )


class ProgrammedReason(Reason):
    """Reasons of Programmed: does every ready replica of the gateways run this generation?"""

    PROGRAMMED = ("Programmed", "Every ready replica says that it runs this generation.", NOTHING)
    PENDING = ("Pending", "Some replicas have not taken this generation over yet.", WAIT)
    UNREACHABLE = (
        "Unreachable",
        "Some replicas did not say for a while what they run.",
        "See whether their pods are healthy and whether a NetworkPolicy keeps the operator from their admin port.",
    )
    NO_REPLICAS = (
        "NoReplicas",
        "A gateway has no ready replica.",
        "Scale the gateway up, or see why its pods do not become ready.",
    )
    REJECTED = (
        "Rejected",
        "A replica refused this generation and goes on with the one before.",
        "Mend the field that the message names; if all replicas but one took it, restart that one.",
    )
    CONFIG_TOO_LARGE = (
        "ConfigTooLarge",
        "The resources of this namespace, or the patterns at one proxy, exceed a budget; the last good config stays.",
        "Shorten what the message names, or ask the platform team for a gateway of the namespace's own.",
    )
    WRITE_FAILED = (
        "WriteFailed",
        "The operator could not write the gateway's config.",
        "Give the operator the chart's rights, raise the quota, or delete what cannot be changed: it comes anew.",
    )
    NOT_ACCEPTED = (
        "NotAccepted",
        "The resource was not accepted, so there is nothing of this generation to run.",
        "See the condition Accepted.",
    )


class ReadyReason(Reason):
    """Reasons of Ready, the summary. While another condition fails, Ready has that condition's reason."""

    READY = ("Ready", "The resource is accepted, its references are resolved, and every replica runs it.", NOTHING)
    PENDING = ("Pending", "One of the other conditions is not known yet.", WAIT)


class GovernedReason(Reason):
    """Reasons of Governed, of an MCPProxy: does any policy say who may use what? It has no part in Ready."""

    GOVERNED = ("Governed", "At least one policy governs it.", NOTHING)
    PENDING = ("Pending", "The operator has not seen it yet.", WAIT)
    CLOSED = (
        "Closed",
        "A policy that targets it cannot be used and never could, so every call is refused.",
        "Correct the policy that the message names.",
    )
    NO_POLICY = (
        "NoPolicy",
        "No policy governs it, so the gateway's withoutPolicy decides: by default every caller may use everything.",
        "Apply an MCPPolicy that targets it. If one did, see whether its targetRefs still have the right name.",
    )


class EffectiveReason(Reason):
    """Reasons of Effective, of an MCPPolicy: does it do what it was likely written for? It has no part in Ready."""

    EFFECTIVE = ("Effective", "It governs something, and nothing about it looks like a slip.", NOTHING)
    PENDING = ("Pending", "The operator has not seen it yet.", WAIT)
    PROTECTS_NOTHING = (
        "ProtectsNothing",
        "No MCPProxy is targeted, so the policy protects nothing.",
        "Correct the names in targetRefs or the selector, or remove the policy.",
    )
    RULE_MATCHES_NOTHING = (
        "RuleMatchesNothing",
        "A rule names a tool or prompt that none of the targets offers, by the lists that the gateways have seen.",
        "Correct the name; the message says which one is like it.",
    )
    EVADABLE = (
        "Evadable",
        "A policy of the platform selects MCPProxies by their own labels, which their owners can change.",
        "Select the namespaces with namespaceSelector, or leave the selector empty: it then governs every MCPProxy.",
    )


REASONS: dict[ConditionType, type[Reason]] = {
    ConditionType.ACCEPTED: AcceptedReason,
    ConditionType.RESOLVED_REFS: ResolvedRefsReason,
    ConditionType.PROGRAMMED: ProgrammedReason,
    ConditionType.READY: ReadyReason,
    ConditionType.UPSTREAM_HEALTHY: UpstreamHealthyReason,
    ConditionType.GOVERNED: GovernedReason,
    ConditionType.EFFECTIVE: EffectiveReason,
}
"""The reasons of each condition type."""

ASIDE: Final = {
    "MCPProxy": (ConditionType.UPSTREAM_HEALTHY, ConditionType.GOVERNED),
    "MCPPolicy": (ConditionType.EFFECTIVE,),
}
"""By kind, the conditions that have no part in Ready."""

MESSAGE_LIMIT = 32768
"""Characters of a condition's message (meta/v1 Condition)."""

_Identity = Annotated[StrictStr, StringConstraints(max_length=127)]
_ObjectName = Annotated[StrictStr, StringConstraints(max_length=253)]
_Namespace = Annotated[StrictStr, StringConstraints(max_length=63)]
_Url = Annotated[StrictStr, StringConstraints(max_length=2048)]
_Count = Annotated[StrictInt, Field(ge=0)]


class Condition(ApiModel):
    """One aspect of the state, in the shape that all of Kubernetes uses (meta/v1 Condition)."""

    type: Annotated[StrictStr, StringConstraints(max_length=316)]
    """Which aspect: Accepted, ResolvedRefs, Programmed, Ready or one of those aside. Example: `Ready`."""

    status: ConditionStatus
    """Whether it holds. Example: `True`."""

    observed_generation: _Count | None = None
    """The metadata.generation that was judged. Example: `3`."""

    last_transition_time: datetime
    """When status changed last. Example: `2026-11-21T08:00:00Z`."""

    reason: Annotated[
        StrictStr,
        StringConstraints(min_length=1, max_length=1024, pattern="^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$"),
    ]
    """One word for machines. Example: `PathConflict`."""

    message: Annotated[StrictStr, StringConstraints(max_length=MESSAGE_LIMIT)]
    """The same in a sentence, with object, field and remedy. Example: `spec.path: ...`."""


Conditions = Annotated[tuple[Condition, ...], Field(max_length=16), Unique(("type",))]


class EndpointStatus(ApiModel):
    """Where one gateway serves a proxy."""

    gateway: _Identity
    """The gateway, as namespace/name. Example: `ostiary-system/default`."""

    hostname: _ObjectName | None = None
    """The hostname of this endpoint; absent if it is served at any host. Example: `mcp.example.com`."""

    url: _Url
    """The complete URL that clients connect to. Example: `https://mcp.example.com/crm/mcp`."""


class GatewayStatus(ApiModel):
    """How many replicas of a gateway run this generation."""

    name: Annotated[StrictStr, StringConstraints(max_length=63)]
    """Name of the gateway. Example: `default`."""

    namespace: _Namespace
    """Namespace of the gateway. Example: `ostiary-system`."""

    ready: _Count
    """Replicas that say they run this generation. Example: `2`."""

    desired: _Count
    """Replicas that should run it. Example: `2`."""


class ObjectReference(ApiModel):
    """Names a resource of ours."""

    namespace: _Namespace
    """Namespace of the resource. Example: `tools`."""

    name: _ObjectName
    """Name of the resource. Example: `crm`."""


class ProxyStatus(ApiModel):
    """What the operator observed of an MCPProxy."""

    observed_generation: _Count | None = None
    """The metadata.generation that this status speaks of. Example: `3`."""

    url: _Url | None = None
    """The complete endpoint, ready to be given to an MCP client. Example: `https://mcp.example.com/crm/mcp`."""

    urls: Annotated[tuple[EndpointStatus, ...], Field(max_length=64), Atomic()] = ()
    """All endpoints, by gateway and hostname. Example: `[{gateway: ostiary-system/default, url: "https://..."}]`."""

    conditions: Conditions = ()
    """Accepted, ResolvedRefs, Programmed, Ready; UpstreamHealthy and Governed.
    Example: `[{type: Ready, status: "True"}]`."""

    gateways: Annotated[tuple[GatewayStatus, ...], Field(max_length=64), Unique(("namespace", "name"))] = ()
    """The gateways that serve it, with their replicas. Example: `[{name: default, ready: 2, desired: 2}]`."""

    programmed: Annotated[StrictStr, StringConstraints(max_length=1024)] | None = None
    """The gateways in short, for `kubectl get`. Example: `default 2/2`."""

    policies: Annotated[tuple[ObjectReference, ...], Field(max_length=256), Atomic()] = ()
    """The policies that govern it. Example: `[{namespace: tools, name: read-only}]`."""

    policy_count: _Count | None = None
    """How many policies govern it in all. Example: `1`."""


class PolicyStatus(ApiModel):
    """What the operator observed of an MCPPolicy."""

    observed_generation: _Count | None = None
    """The metadata.generation that this status speaks of. Example: `3`."""

    conditions: Conditions = ()
    """Accepted, ResolvedRefs, Programmed, Ready; and Effective. Example: `[{type: Ready, status: "True"}]`."""

    targets: Annotated[tuple[ObjectReference, ...], Field(max_length=256), Atomic()] = ()
    """The first 256 MCPProxies that it governs. Example: `[{namespace: tools, name: crm}]`."""

    target_count: _Count | None = None
    """How many MCPProxies it governs in all. Example: `12`."""
