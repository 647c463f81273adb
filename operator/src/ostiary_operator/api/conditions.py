"""The conditions that the operator writes: their types, their kinds and their shape."""

import enum
from datetime import datetime
from typing import Annotated, Final

from pydantic import Field, StrictInt, StrictStr, StringConstraints

from ostiary_operator.api.audit_reasons import AuditReadyReason
from ostiary_operator.api.base_model import ApiModel
from ostiary_operator.api.constraints import Unique
from ostiary_operator.api.definition_reasons import DefinitionsMatchReason
from ostiary_operator.api.effective_reasons import EffectiveReason
from ostiary_operator.api.endpoint_reasons import EndpointsObservedReason
from ostiary_operator.api.limit_store_reasons import LimitStoreReadyReason
from ostiary_operator.api.reasons import (
    AcceptedReason,
    GovernedReason,
    ProgrammedReason,
    ReadyReason,
    Reason,
    ResolvedRefsReason,
    TelemetryReadyReason,
    TestsPassedReason,
    UnblockedReason,
    UncapturedReason,
)
from ostiary_operator.api.upstream_reasons import AuthDiscoveryReason, UpstreamHealthyReason

#: lastTransitionTime of the conditions that the CRDs give an object by default, before the operator has seen it.
UNJUDGED_SINCE: Final = "1970-01-01T00:00:00Z"


class ConditionType(enum.StrEnum):
    """The conditions of an MCPProxy, an MCPPolicy and an MCPLock.

    True is always good. Every kind has the first four.
    """

    ACCEPTED = "Accepted"
    RESOLVED_REFS = "ResolvedRefs"
    PROGRAMMED = "Programmed"
    READY = "Ready"
    UPSTREAM_HEALTHY = "UpstreamHealthy"
    UPSTREAMS_HEALTHY = "UpstreamsHealthy"
    AUTH_DISCOVERY = "AuthDiscovery"
    GOVERNED = "Governed"
    EFFECTIVE = "Effective"
    TESTS_PASSED = "TestsPassed"
    UNBLOCKED = "Unblocked"
    UNCAPTURED = "Uncaptured"
    LIMIT_STORE_READY = "LimitStoreReady"
    TELEMETRY_READY = "TelemetryReady"
    AUDIT_READY = "AuditReady"
    ENDPOINTS_OBSERVED = "EndpointsObserved"
    DEFINITIONS_MATCH = "DefinitionsMatch"


#: Conditions of every kind, and of an object that the operator has not seen yet. Ready summarises the others.
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


REASONS: dict[ConditionType, type[Reason]] = {
    ConditionType.ACCEPTED: AcceptedReason,
    ConditionType.RESOLVED_REFS: ResolvedRefsReason,
    ConditionType.PROGRAMMED: ProgrammedReason,
    ConditionType.READY: ReadyReason,
    ConditionType.UPSTREAM_HEALTHY: UpstreamHealthyReason,
    ConditionType.UPSTREAMS_HEALTHY: UpstreamHealthyReason,
    ConditionType.AUTH_DISCOVERY: AuthDiscoveryReason,
    ConditionType.GOVERNED: GovernedReason,
    ConditionType.EFFECTIVE: EffectiveReason,
    ConditionType.TESTS_PASSED: TestsPassedReason,
    ConditionType.UNBLOCKED: UnblockedReason,
    ConditionType.UNCAPTURED: UncapturedReason,
    ConditionType.LIMIT_STORE_READY: LimitStoreReadyReason,
    ConditionType.TELEMETRY_READY: TelemetryReadyReason,
    ConditionType.AUDIT_READY: AuditReadyReason,
    ConditionType.ENDPOINTS_OBSERVED: EndpointsObservedReason,
    ConditionType.DEFINITIONS_MATCH: DefinitionsMatchReason,
}
"""The reasons of each condition type."""

ASIDE: Final = {
    "MCPProxy": (
        ConditionType.UPSTREAM_HEALTHY,
        ConditionType.UPSTREAMS_HEALTHY,
        ConditionType.AUTH_DISCOVERY,
        ConditionType.GOVERNED,
        ConditionType.UNBLOCKED,
        ConditionType.UNCAPTURED,
        ConditionType.TELEMETRY_READY,
        ConditionType.ENDPOINTS_OBSERVED,
        ConditionType.DEFINITIONS_MATCH,
    ),
    "MCPPolicy": (
        ConditionType.EFFECTIVE,
        ConditionType.TESTS_PASSED,
        ConditionType.LIMIT_STORE_READY,
        ConditionType.AUDIT_READY,
    ),
    "MCPLock": (ConditionType.DEFINITIONS_MATCH,),
}
"""By kind, the conditions that are not part of Ready."""

OBSERVED: Final = (
    ConditionType.UPSTREAM_HEALTHY,
    ConditionType.UPSTREAMS_HEALTHY,
    ConditionType.AUTH_DISCOVERY,
    ConditionType.UNCAPTURED,
    ConditionType.LIMIT_STORE_READY,
    ConditionType.TELEMETRY_READY,
    ConditionType.AUDIT_READY,
    ConditionType.ENDPOINTS_OBSERVED,
    ConditionType.DEFINITIONS_MATCH,
)
"""The conditions that depend on what gateways report: of servers, definitions, endpoints, store, collector
or audit trail."""

MESSAGE_LIMIT = 32768
"""Characters of a condition's message (meta/v1 Condition)."""

Count = Annotated[StrictInt, Field(ge=0)]
"""A number of objects, or a generation."""


class Condition(ApiModel):
    """One aspect of the state, in the shape of a Kubernetes condition (meta/v1 Condition)."""

    type: Annotated[StrictStr, StringConstraints(max_length=316)]
    """Which aspect: Accepted, ResolvedRefs, Programmed, Ready, UpstreamHealthy, UpstreamsHealthy, AuthDiscovery,
    EndpointsObserved, Governed, Unblocked, Uncaptured, TelemetryReady, Effective, TestsPassed, LimitStoreReady,
    AuditReady or DefinitionsMatch. Example: `Ready`."""

    status: ConditionStatus
    """Whether the condition is true. Example: `True`."""

    observed_generation: Count | None = None
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
