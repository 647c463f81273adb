"""Computes EndpointsObserved of an MCPProxy from the reports of replicas. Pure."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from ostiary_operator.api.conditions import ConditionStatus, ConditionType
from ostiary_operator.api.endpoint_reasons import EndpointsObservedReason
from ostiary_operator.compile.model import ConditionDraft, ResourceStatus
from ostiary_operator.status.builder import as_it_is
from ostiary_operator.status.replica_state import GatewayState, reports_on
from ostiary_operator.status.reported_servers import ReportedEndpoints

#: Which fault of several is named: the first of these.
_ORDER: Final = tuple(EndpointsObservedReason)
_UNKNOWN: Final = frozenset({EndpointsObservedReason.PENDING, EndpointsObservedReason.NOT_LISTED})


def evaluate(
    status: ResourceStatus, gateway_states: Mapping[str, GatewayState], live: Mapping[str, Any] | None
) -> ConditionDraft | None:
    """Return whether gateways know the endpoints of a proxy's Services.

    It is None for a proxy without a Service whose endpoints are observed, and for other kinds. One replica that does
    not know them is enough, since clients are routed to that replica, too. ``live`` is the condition in the cluster; it
    stays while no replica reports.
    """
    if not status.observed_servers:
        return None
    found = list(_found(status, gateway_states))
    if not found:
        pending = EndpointsObservedReason.PENDING
        return _draft(pending, pending.meaning) if live is None else as_it_is(ConditionType.ENDPOINTS_OBSERVED, live)
    reason, message = min(found, key=lambda each: (_rank(each[0]), *each))
    return _draft(reason, message)


def _found(status: ResourceStatus, gateway_states: Mapping[str, GatewayState]) -> Iterator[tuple[str, str]]:
    """Yield a reason and a message for each replica and server."""
    proxy = f"{status.key.namespace}/{status.key.name}"
    for gateway, report in reports_on(status, gateway_states):
        servers = report.entries[proxy].servers if proxy in report.entries else {}
        for name in status.observed_servers:
            endpoints = servers[name].endpoints if name in servers else None
            if endpoints is not None:
                yield _judged(name, gateway, endpoints)


def _judged(server: str, gateway: str, endpoints: ReportedEndpoints) -> tuple[str, str]:
    word = endpoints.reason
    if word is None and endpoints.usable == 0:
        word = EndpointsObservedReason.NO_READY_ENDPOINTS
    if word is None:
        return EndpointsObservedReason.OBSERVED, EndpointsObservedReason.OBSERVED.meaning
    known = next((each for each in EndpointsObservedReason if each == word), None)
    meaning = known.meaning.removesuffix(".") if known is not None else "its endpoints are not known"
    remedy = f" {known.remedy}" if known is not None else ""
    return word, f"server {server} at gateway {gateway}: {endpoints.message or meaning}.{remedy}"


def _rank(word: str) -> int:
    """Return when a reason is named: a fault first, then what is unknown."""
    if word == EndpointsObservedReason.OBSERVED:
        return len(_ORDER) + 1
    return len(_ORDER) if word in _UNKNOWN else next((n for n, each in enumerate(_ORDER) if each == word), 0)


def _draft(word: str, message: str) -> ConditionDraft:
    value = ConditionStatus.UNKNOWN if word in _UNKNOWN else ConditionStatus.FALSE
    if word == EndpointsObservedReason.OBSERVED:
        value = ConditionStatus.TRUE
    return ConditionDraft(ConditionType.ENDPOINTS_OBSERVED, value, word, message)
