"""Computes TelemetryReady of an MCPProxy from the reports of replicas. Pure.

A dashboard that is empty looks like a gateway without calls. This condition says which of both it is.
"""

from collections.abc import Iterator, Mapping

from ostiary_operator.api.conditions import ConditionStatus, ConditionType
from ostiary_operator.api.reasons import TelemetryReadyReason
from ostiary_operator.compile.model import ConditionDraft, ResourceStatus
from ostiary_operator.kube.kinds import PROXY
from ostiary_operator.status.replica_state import GatewayState, reports_on


def evaluate(status: ResourceStatus, gateway_states: Mapping[str, GatewayState]) -> ConditionDraft | None:
    """Return whether spans and metrics of a proxy's gateways reach their collectors.

    It is None where no replica exports any, and for other kinds.
    """
    if status.key.kind != PROXY.name:
        return None
    signals = list(_signals(status, gateway_states))
    failing = sorted(f"{signal} of gateway {gateway}" for gateway, signal, fails in signals if fails)
    if failing:
        reason = TelemetryReadyReason.EXPORT_FAILING
        text = f"{reason.meaning} It concerns the {', the '.join(dict.fromkeys(failing))}. {reason.remedy}"
        return ConditionDraft(ConditionType.TELEMETRY_READY, ConditionStatus.FALSE, reason, text)
    if not signals:
        return None
    reason = TelemetryReadyReason.EXPORTED
    return ConditionDraft(ConditionType.TELEMETRY_READY, ConditionStatus.TRUE, reason, reason.meaning)


def _signals(status: ResourceStatus, gateway_states: Mapping[str, GatewayState]) -> Iterator[tuple[str, str, bool]]:
    """Yield what each replica exports: the gateway, the signal, and whether its export fails."""
    for identity, report in reports_on(status, gateway_states):
        for signal, exported in report.telemetry.items():
            yield identity, signal, exported.failing
