"""The conditions on what gateways observe of a server. Pure.

What replicas observe changes with every call, and a status is for people, so changes are damped: a fault is written at
once, another state of the same object at the earliest a minute later, and another message for the same state ten
minutes later.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from ostiary_operator.api.conditions import OBSERVED, ConditionStatus, ConditionType
from ostiary_operator.compile.model import ConditionDraft, ResourceStatus
from ostiary_operator.status import (
    audit_ready,
    auth_discovery,
    debug_captures,
    definition_drift,
    endpoints_observed,
    limit_store_ready,
    telemetry_ready,
    upstream_health,
)
from ostiary_operator.status.builder import as_it_is, condition_of
from ostiary_operator.status.replica_state import GatewayState

#: Seconds before a written condition changes to another state.
DWELL: Final = 60.0
#: Seconds before it changes where only the message differs.
MESSAGE_DWELL: Final = 600.0
_NEVER: Final = float("inf")


@dataclass(frozen=True, slots=True)
class DampedCondition:
    """The condition to write, if any. ``until`` is when a delayed one is due (monotonic)."""

    condition: ConditionDraft | None
    until: float = _NEVER


def damp(
    found: ConditionDraft | None, live: Mapping[str, Any] | None, *, generation: int, written_at: float, now: float
) -> DampedCondition:
    """Decide whether to write a new condition over the live one, or to keep that for now.

    ``written_at`` and ``now`` are monotonic. A replica that has just started knows nothing yet, so an unknown state
    does not replace a known one.
    """
    if found is None or live is None or live.get("status") == ConditionStatus.UNKNOWN:
        return DampedCondition(found)
    last = as_it_is(found.type, live)
    if found == last:
        return DampedCondition(found)
    if found.status == ConditionStatus.UNKNOWN:
        return DampedCondition(last if live.get("observedGeneration") == generation else found)
    alike = (found.status, found.reason) == (last.status, last.reason)
    until = written_at + (MESSAGE_DWELL if alike else DWELL)
    return DampedCondition(found) if now >= until else DampedCondition(last, until)


def evaluate(
    status: ResourceStatus,
    gateway_states: Mapping[str, GatewayState],
    live: Mapping[str, Any],
    *,
    written: Mapping[str, float],
    now: float,
) -> list[DampedCondition]:
    """Return these conditions of a resource. ``live`` is its status in the cluster.

    ``written`` are the times at which each was last written, and ``now`` is the time (monotonic).
    """
    before = {of_type: condition_of(live, of_type) for of_type in OBSERVED}
    found = {
        ConditionType.UPSTREAM_HEALTHY: upstream_health.evaluate(status, gateway_states),
        ConditionType.UPSTREAMS_HEALTHY: upstream_health.evaluate_all(status, gateway_states),
        ConditionType.AUTH_DISCOVERY: auth_discovery.evaluate(
            status, gateway_states, before[ConditionType.AUTH_DISCOVERY]
        ),
        ConditionType.UNCAPTURED: debug_captures.evaluate(status, gateway_states, before[ConditionType.UNCAPTURED]),
        ConditionType.LIMIT_STORE_READY: limit_store_ready.evaluate(
            status, gateway_states, before[ConditionType.LIMIT_STORE_READY]
        ),
        ConditionType.TELEMETRY_READY: telemetry_ready.evaluate(status, gateway_states),
        ConditionType.AUDIT_READY: audit_ready.evaluate(status, gateway_states, before[ConditionType.AUDIT_READY]),
        ConditionType.ENDPOINTS_OBSERVED: endpoints_observed.evaluate(
            status, gateway_states, before[ConditionType.ENDPOINTS_OBSERVED]
        ),
        ConditionType.DEFINITIONS_MATCH: definition_drift.condition(status, gateway_states),
    }
    return [
        damp(
            found[each],
            before[each],
            generation=status.generation,
            written_at=written.get(each, -_NEVER),
            now=now,
        )
        for each in OBSERVED
    ]
