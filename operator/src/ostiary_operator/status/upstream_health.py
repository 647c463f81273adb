"""Computes UpstreamHealthy of an MCPProxy from the reports of replicas. Pure."""

from collections.abc import Iterator, Mapping

from ostiary_operator.api.conditions import ConditionStatus, ConditionType
from ostiary_operator.api.upstream_reasons import UpstreamHealthyReason
from ostiary_operator.compile.model import ConditionDraft, ResourceStatus
from ostiary_operator.kube.kinds import PROXY
from ostiary_operator.status.replica_reports import ReportedServer
from ostiary_operator.status.replica_state import GatewayState, reported_entries


def evaluate(status: ResourceStatus, gateway_states: Mapping[str, GatewayState]) -> ConditionDraft | None:
    """Return the health of the servers of a proxy; None for other kinds.

    One replica that cannot use a server is enough for a fault, since clients are routed to that replica, too.
    """
    if status.key.kind != PROXY.name:
        return None
    seen = sorted(_seen(status, gateway_states), key=lambda each: each[0])
    for who, server in seen:
        if server.fault is not None:
            return _fault(who, server.fault.kind, server.fault.message)
    if any(server.answered for _, server in seen):
        reason = UpstreamHealthyReason.UPSTREAM_HEALTHY
        return ConditionDraft(ConditionType.UPSTREAM_HEALTHY, ConditionStatus.TRUE, reason, reason.meaning)
    reason = UpstreamHealthyReason.NO_TRAFFIC
    return ConditionDraft(ConditionType.UPSTREAM_HEALTHY, ConditionStatus.UNKNOWN, reason, reason.meaning)


def _seen(status: ResourceStatus, gateway_states: Mapping[str, GatewayState]) -> Iterator[tuple[str, ReportedServer]]:
    """Yield each server with its name for messages."""
    for entry in reported_entries(status, gateway_states):
        for name, server in entry.servers.items():
            yield f"server {name}", server


def _fault(who: str, kind: str, message: str) -> ConditionDraft:
    remedy = next((each.remedy for each in UpstreamHealthyReason if each == kind), "")
    fault = f"{who}: {message}" if message else f"{who} cannot be used"
    text = f"{fault}. {remedy}" if remedy else fault
    return ConditionDraft(ConditionType.UPSTREAM_HEALTHY, ConditionStatus.FALSE, kind, text)
