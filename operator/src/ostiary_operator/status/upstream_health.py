"""Computes UpstreamHealthy of an MCPProxy from the reports of replicas. Pure.

A proxy with several servers has UpstreamsHealthy instead: it may serve its callers although one of them fails.
"""

from collections.abc import Iterator, Mapping

from ostiary_core.upstream_faults import CIRCUIT_OPEN
from ostiary_operator.api.conditions import ConditionStatus, ConditionType
from ostiary_operator.api.upstream_reasons import UpstreamHealthyReason
from ostiary_operator.compile.model import ConditionDraft, ResourceStatus
from ostiary_operator.kube.kinds import PROXY
from ostiary_operator.status.replica_state import GatewayState, reported_entries
from ostiary_operator.status.reported_servers import ReportedFault, ReportedServer


def evaluate(status: ResourceStatus, gateway_states: Mapping[str, GatewayState]) -> ConditionDraft | None:
    """Return the health of the server of a proxy.

    It is None for a proxy with several servers, and for other kinds.

    One replica that cannot use a server is enough for a fault, since clients are routed to that replica, too.
    """
    if status.key.kind != PROXY.name or len(status.servers) > 1:
        return None
    seen = sorted(_seen(status, gateway_states), key=lambda each: each[0])
    for name, server in seen:
        if (fault := _fault(server)) is not None:
            text = _words(name, fault)
            return ConditionDraft(ConditionType.UPSTREAM_HEALTHY, ConditionStatus.FALSE, fault.kind, text)
    reason = UpstreamHealthyReason.UPSTREAM_HEALTHY
    return _without_fault(ConditionType.UPSTREAM_HEALTHY, reason, seen)


def evaluate_all(status: ResourceStatus, gateway_states: Mapping[str, GatewayState]) -> ConditionDraft | None:
    """Return the health of the servers of a proxy with several; None for any other.

    Each server at fault is named once.
    """
    if status.key.kind != PROXY.name or len(status.servers) < 2:
        return None
    seen = sorted(_seen(status, gateway_states), key=lambda each: each[0])
    faults = {name: fault for name, server in reversed(seen) if (fault := _fault(server)) is not None}
    if not faults:
        return _without_fault(ConditionType.UPSTREAMS_HEALTHY, UpstreamHealthyReason.UPSTREAMS_HEALTHY, seen)
    words = [_words(name, fault) for name, fault in sorted(faults.items())]
    text = f"{len(faults)} of {len(status.servers)} servers: {'; '.join(words)}"
    kind = faults[min(faults)].kind
    return ConditionDraft(ConditionType.UPSTREAMS_HEALTHY, ConditionStatus.FALSE, kind, text)


def _seen(status: ResourceStatus, gateway_states: Mapping[str, GatewayState]) -> Iterator[tuple[str, ReportedServer]]:
    """Yield each server with its name."""
    for entry in reported_entries(status, gateway_states):
        yield from entry.servers.items()


def _without_fault(
    of_type: ConditionType, healthy: UpstreamHealthyReason, seen: list[tuple[str, ReportedServer]]
) -> ConditionDraft:
    if any(server.answered for _, server in seen):
        return ConditionDraft(of_type, ConditionStatus.TRUE, healthy, healthy.meaning)
    reason = UpstreamHealthyReason.NO_TRAFFIC
    return ConditionDraft(of_type, ConditionStatus.UNKNOWN, reason, reason.meaning)


def _fault(server: ReportedServer) -> ReportedFault | None:
    """Return what is wrong with a server: a circuit of it is open, or else its last fault."""
    circuit, fault = server.circuit, server.fault
    if circuit is None or (circuit.state is None and not circuit.open_tools):
        return fault
    if circuit.state is not None:
        words = "too many requests failed, so gateways send it none for a time"
    else:
        named = ", ".join(circuit.tools) + (", ..." if circuit.open_tools > len(circuit.tools) else "")
        words = f"too many calls of a tool failed, so gateways send none of it for a time: {named}"
    last = f" (last {fault.kind}: {fault.message})" if fault is not None else ""
    return ReportedFault(kind=CIRCUIT_OPEN, message=words + last)


def _words(name: str, fault: ReportedFault) -> str:
    remedy = next((each.remedy for each in UpstreamHealthyReason if each == fault.kind), "")
    text = f"server {name}: {fault.message}" if fault.message else f"server {name} cannot be used"
    return f"{text}. {remedy}" if remedy else text
