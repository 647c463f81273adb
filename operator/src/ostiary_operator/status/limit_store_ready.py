"""Computes LimitStoreReady of an MCPPolicy with limits from the reports of replicas. Pure."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from ostiary_operator.api.conditions import ConditionStatus, ConditionType
from ostiary_operator.api.limit_store_reasons import LimitStoreReadyReason
from ostiary_operator.compile.model import ConditionDraft, ResourceStatus
from ostiary_operator.status.replica_state import GatewayState

_UNKNOWN: Final = LimitStoreReadyReason.CONNECTING
#: In this order one replica of several counts: callers are routed to every replica.
_ORDER: Final = (ConditionStatus.FALSE, ConditionStatus.UNKNOWN, ConditionStatus.TRUE)


def evaluate(
    status: ResourceStatus, gateway_states: Mapping[str, GatewayState], live: Mapping[str, Any] | None
) -> ConditionDraft | None:
    """Return whether all replicas count the limits of a policy in the store of their settings.

    It is None for policies without limits, and where no gateway has a store. ``live`` is the condition in the cluster;
    it stays while no replica reports.
    """
    if not status.counts_in:
        return None
    found = [_draft(reason) for reason in _reported(status, gateway_states)]
    if not found:
        if live is None:
            return _draft(_UNKNOWN)
        return ConditionDraft(ConditionType.LIMIT_STORE_READY, live["status"], live["reason"], live["message"])
    return min(found, key=lambda draft: (_ORDER.index(draft.status), draft.reason))


def _reported(status: ResourceStatus, gateway_states: Mapping[str, GatewayState]) -> Iterator[str]:
    for identity in status.counts_in:
        gateway = gateway_states.get(identity)
        for state in gateway.states.values() if gateway is not None else ():
            if state.report is not None and state.report.limit_store is not None:
                yield state.report.limit_store.reason


def _draft(word: str) -> ConditionDraft:
    reason = next((each for each in LimitStoreReadyReason if each == word), None)
    if reason is None:  # a newer gateway may know more reasons
        text = "A gateway of another version reports this."
        return ConditionDraft(ConditionType.LIMIT_STORE_READY, ConditionStatus.FALSE, word, text)
    if reason is LimitStoreReadyReason.READY:
        return ConditionDraft(ConditionType.LIMIT_STORE_READY, ConditionStatus.TRUE, reason, reason.meaning)
    value = ConditionStatus.UNKNOWN if reason is _UNKNOWN else ConditionStatus.FALSE
    return ConditionDraft(ConditionType.LIMIT_STORE_READY, value, reason, f"{reason.meaning} {reason.remedy}")
