"""The `status` that the operator writes: condition types, their reasons, both statuses.

The reasons are closed sets. The troubleshooting page is generated from them, so each has a sentence
that states its meaning and, where something is wrong, one that states the remedy.
"""

import enum
from datetime import datetime
from typing import Annotated, Final

from pydantic import Field, StrictInt, StrictStr, StringConstraints

from ostiary_operator.api import labels
from ostiary_operator.api.base_model import ApiModel
from ostiary_operator.api.constraints import Atomic, Unique
from ostiary_operator.api.reason import NOTHING, WAIT, Reason
from ostiary_operator.api.upstream_reasons import UpstreamHealthyReason

#: lastTransitionTime of the conditions that the CRDs give an object by default, before the operator has seen it.
UNJUDGED_SINCE: Final = "1970-01-01T00:00:00Z"


class ConditionType(enum.StrEnum):
    """The conditions of an MCPProxy and an MCPPolicy. True is always good; both kinds
    have the first four.
    """

    ACCEPTED = "Accepted"
    RESOLVED_REFS = "ResolvedRefs"
    PROGRAMMED = "Programmed"
    READY = "Ready"
    UPSTREAM_HEALTHY = "UpstreamHealthy"
    GOVERNED = "Governed"
    EFFECTIVE = "Effective"


#: Conditions of both kinds, and of an object that the operator has not seen yet. Ready summarises the others.
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
    """Reasons of Accepted: is the resource valid, and is it permitted to use what it names?"""

    ACCEPTED = ("Accepted", "The resource is valid and permitted.", NOTHING)
    PENDING = ("Pending", "The operator has not checked this generation yet.", WAIT)
    INVALID = (
        "Invalid",
        "A field has an invalid value. The last accepted version stays in force.",
        "Correct the fields that the message names.",
    )
    PATH_CONFLICT = (
        "PathConflict",
        "An older MCPProxy already serves this path at an overlapping host; the older one keeps it.",
        "Choose another path or hostname, or remove the MCPProxy that the message names.",
    )
    PATH_NOT_PERMITTED = (
        "PathNotPermitted",
        "The path belongs to another namespace, or the gateway's settings do not grant it to this namespace.",
        "Use a path under /<namespace>/, or ask the platform team for a grant of the path.",
    )
    HOSTNAME_NOT_PERMITTED = (
        "HostnameNotPermitted",
        "The gateway's settings do not grant the hostname to this namespace.",
        "Remove the hostname, or ask the platform team for a grant of it.",
    )
    UPSTREAM_NOT_PERMITTED = (
        "UpstreamNotPermitted",
        "The server is outside the namespace, or its Service points outside, and the gateway's settings grant neither.",
        "Use a Service that selects Pods of the namespace, or ask the platform team for a grant of the host.",
    )
    NO_GATEWAY = (
        "NoGateway",
        "No gateway serves the resource: the gateway that it names does not exist or belongs to another namespace.",
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
        "Remove namespaceSelector, or ask the platform team to create the policy in the operator's namespace.",
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
        "The Service that spec.servers names does not exist, or does not have the port.",
        "Create the Service, or correct its name or port. Until then the last accepted version is served.",
    )
    REF_INVALID = (
        "RefInvalid",
        "The object exists, but its contents cannot be used, for example a CA bundle that is not PEM.",
        "Correct the contents under the key that the message names.",
    )
    NOT_PERMITTED = (
        "NotPermitted",
        "The operator has no right to read the object, or a Secret does not have the required label.",
        f"Label the Secret with {labels.USAGE}, or bind the operator's role for Secrets in this namespace.",
    )


class ProgrammedReason(Reason):
    """Reasons of Programmed: does every ready replica of the gateways run this generation?"""

    PROGRAMMED = ("Programmed", "Every ready replica reports that it runs this generation.", NOTHING)
    PENDING = ("Pending", "Some replicas do not run this generation yet.", WAIT)
    UNREACHABLE = (
        "Unreachable",
        "The operator could not ask some replicas for a while which generation they run.",
        "Check that their Pods are healthy and that no NetworkPolicy blocks the operator from their admin port.",
    )
    NO_REPLICAS = (
        "NoReplicas",
        "A gateway has no ready replica.",
        "Scale the gateway up, or find out why its Pods do not become ready.",
    )
    REJECTED = (
        "Rejected",
        "A replica refused this generation and still runs the previous one.",
        "Correct the field that the message names; if only one replica refused it, restart that replica.",
    )
    CONFIG_TOO_LARGE = (
        "ConfigTooLarge",
        "The resources of this namespace or the patterns at one MCPProxy exceed a budget; the last good config stays.",
        "Shorten what the message names, or ask the platform team for a gateway of the namespace's own.",
    )
    WRITE_FAILED = (
        "WriteFailed",
        "The operator could not write the gateway's config.",
        (
            "Give the operator the chart's rights, raise the quota, or delete the object that cannot be changed: the "
            "operator creates it again."
        ),
    )
    NOT_ACCEPTED = (
        "NotAccepted",
        "The resource was not accepted, so gateways cannot run this generation.",
        "See the condition Accepted.",
    )


class ReadyReason(Reason):
    """Reasons of Ready, the summary.

    While another condition fails, Ready has that condition's reason.
    """

    READY = ("Ready", "The resource is accepted, its references are resolved, and every replica runs it.", NOTHING)
    PENDING = ("Pending", "One of the other conditions is not known yet.", WAIT)


class GovernedReason(Reason):
    """Reasons of Governed, of an MCPProxy: does any policy govern it? It is not part of Ready."""

    GOVERNED = ("Governed", "At least one policy governs it.", NOTHING)
    PENDING = ("Pending", "The operator has not seen it yet.", WAIT)
    CLOSED = (
        "Closed",
        "A policy that targets it is invalid and no version of it was ever accepted, so every call is refused.",
        "Correct the policy that the message names.",
    )
    NO_POLICY = (
        "NoPolicy",
        "No policy governs it, so the gateway's withoutPolicy decides: by default every caller may use everything.",
        "Apply an MCPPolicy that targets it. If there is one, check the names in its targetRefs.",
    )


class EffectiveReason(Reason):
    """Reasons of Effective, of an MCPPolicy: does it probably do what its author meant?

    It is not part of Ready.
    """

    EFFECTIVE = ("Effective", "It governs at least one MCPProxy, and nothing in it looks like a mistake.", NOTHING)
    PENDING = ("Pending", "The operator has not seen it yet.", WAIT)
    PROTECTS_NOTHING = (
        "ProtectsNothing",
        "No MCPProxy is targeted, so the policy protects nothing.",
        "Correct the names in targetRefs or the selector, or remove the policy.",
    )
    RULE_MATCHES_NOTHING = (
        "RuleMatchesNothing",
        "A rule names a tool or prompt that no target offers, according to the lists that the gateways have seen.",
        "Correct the name; the message suggests a similar one.",
    )
    EVADABLE = (
        "Evadable",
        "A platform policy selects MCPProxies by their own labels, which their owners can change.",
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
"""By kind, the conditions that are not part of Ready."""

MESSAGE_LIMIT = 32768
"""Characters of a condition's message (meta/v1 Condition)."""

_Identity = Annotated[StrictStr, StringConstraints(max_length=127)]
_ObjectName = Annotated[StrictStr, StringConstraints(max_length=253)]
_Namespace = Annotated[StrictStr, StringConstraints(max_length=63)]
_Url = Annotated[StrictStr, StringConstraints(max_length=2048)]
_Count = Annotated[StrictInt, Field(ge=0)]


class Condition(ApiModel):
    """One aspect of the state, in the shape of a Kubernetes condition (meta/v1 Condition)."""

    type: Annotated[StrictStr, StringConstraints(max_length=316)]
    """Which aspect: Accepted, ResolvedRefs, Programmed, Ready, UpstreamHealthy, Governed or Effective.
    Example: `Ready`."""

    status: ConditionStatus
    """Whether the condition is true. Example: `True`."""

    observed_generation: _Count | None = None
    """The metadata.generation that was checked. Example: `3`."""

    last_transition_time: datetime
    """When the status of the condition last changed. Example: `2026-11-21T08:00:00Z`."""

    reason: Annotated[
        StrictStr,
        StringConstraints(min_length=1, max_length=1024, pattern="^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$"),
    ]
    """The reason as one word, for programs. Example: `PathConflict`."""

    message: Annotated[StrictStr, StringConstraints(max_length=MESSAGE_LIMIT)]
    """The reason in a sentence, with object, field and remedy. Example: `spec.path: ...`."""


Conditions = Annotated[tuple[Condition, ...], Field(max_length=16), Unique(("type",))]


class EndpointStatus(ApiModel):
    """Where one gateway serves a proxy."""

    gateway: _Identity
    """The gateway, as namespace/name. Example: `ostiary-system/default`."""

    hostname: _ObjectName | None = None
    """Hostname of this endpoint; absent if it is served at any host. Example: `mcp.example.com`."""

    url: _Url
    """The complete URL that clients connect to. Example: `https://mcp.example.com/crm/mcp`."""


class GatewayStatus(ApiModel):
    """How many replicas of a gateway run this generation."""

    name: Annotated[StrictStr, StringConstraints(max_length=63)]
    """Name of the gateway. Example: `default`."""

    namespace: _Namespace
    """Namespace of the gateway. Example: `ostiary-system`."""

    ready: _Count
    """Replicas that report that they run this generation. Example: `2`."""

    desired: _Count
    """Replicas that should run it. Example: `2`."""


class ObjectReference(ApiModel):
    """Names an MCPProxy or an MCPPolicy."""

    namespace: _Namespace
    """Namespace of the resource. Example: `tools`."""

    name: _ObjectName
    """Name of the resource. Example: `crm`."""


class ProxyStatus(ApiModel):
    """What the operator observed of an MCPProxy."""

    observed_generation: _Count | None = None
    """The metadata.generation that this status describes. Example: `3`."""

    url: _Url | None = None
    """The complete endpoint URL, for MCP clients. Example: `https://mcp.example.com/crm/mcp`."""

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
    """Total number of policies that govern it. Example: `1`."""


class PolicyStatus(ApiModel):
    """What the operator observed of an MCPPolicy."""

    observed_generation: _Count | None = None
    """The metadata.generation that this status describes. Example: `3`."""

    conditions: Conditions = ()
    """Accepted, ResolvedRefs, Programmed, Ready; and Effective. Example: `[{type: Ready, status: "True"}]`."""

    targets: Annotated[tuple[ObjectReference, ...], Field(max_length=256), Atomic()] = ()
    """The first 256 MCPProxies that it governs. Example: `[{namespace: tools, name: crm}]`."""

    target_count: _Count | None = None
    """Total number of MCPProxies that it governs. Example: `12`."""
