"""Computes AuditReady of an MCPPolicy with audit from the reports of replicas. Pure.

The sinks are the platform's: owners of policies learn which replica fails, and not the paths and URLs of its sinks.
"""

from collections.abc import Mapping
from typing import Any, Final

from ostiary_operator.api.audit_reasons import AuditReadyReason
from ostiary_operator.api.conditions import ConditionStatus, ConditionType
from ostiary_operator.compile.model import ConditionDraft, ResourceStatus
from ostiary_operator.status.builder import as_it_is
from ostiary_operator.status.replica_reports import ReportedTrail
from ostiary_operator.status.replica_state import GatewayState, reports_on

#: In this order one replica of several counts: callers are routed to every replica.
_ORDER: Final = (
    AuditReadyReason.NOT_WRITTEN,
    AuditReadyReason.COPY_FAILING,
    AuditReadyReason.PENDING,
    AuditReadyReason.READY,
)
_VALUES: Final = {
    AuditReadyReason.READY: ConditionStatus.TRUE,
    AuditReadyReason.PENDING: ConditionStatus.UNKNOWN,
}


def evaluate(
    status: ResourceStatus, gateway_states: Mapping[str, GatewayState], live: Mapping[str, Any] | None
) -> ConditionDraft | None:
    """Return whether all replicas can write the records that a policy demands.

    It is None where it demands none. ``live`` is the condition in the cluster. It stays while no replica reports.
    """
    if not status.is_audited or not status.expected:
        return None
    found = [(_reason(report.audit_trail), gateway) for gateway, report in reports_on(status, gateway_states)]
    if not found and live is not None:
        return as_it_is(ConditionType.AUDIT_READY, live)
    reason = min((reason for reason, _ in found), key=_ORDER.index, default=AuditReadyReason.PENDING)
    value = _VALUES.get(reason, ConditionStatus.FALSE)
    if value is ConditionStatus.TRUE:
        return ConditionDraft(ConditionType.AUDIT_READY, value, reason, reason.meaning)
    where = sorted({gateway for each, gateway in found if each is reason})
    concerned = f" It concerns gateway {', '.join(where)}." if where else ""
    text = f"{reason.meaning}{concerned} {reason.remedy}"
    return ConditionDraft(ConditionType.AUDIT_READY, value, reason, text)


def _reason(trail: ReportedTrail | None) -> AuditReadyReason:
    if trail is None:
        return AuditReadyReason.PENDING
    if trail.fault is not None:
        return AuditReadyReason.NOT_WRITTEN
    is_failing = any(sink.fault is not None for sink in trail.sinks)
    return AuditReadyReason.COPY_FAILING if is_failing else AuditReadyReason.READY
