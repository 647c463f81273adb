"""Computes LimitStoreReady of an MCPPolicy with limits from the reports of replicas. Pure."""

from collections.abc import Mapping
from typing import Any, Final

from ostiary_operator.api.conditions import ConditionStatus, ConditionType
from ostiary_operator.api.limit_store_reasons import LimitStoreReadyReason
from ostiary_operator.compile.model import ConditionDraft, ResourceStatus
from ostiary_operator.status.builder import as_it_is
from ostiary_operator.status.replica_state import GatewayState, reports_of

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
    stores = (report.limit_store for _, report in reports_of(status.counts_in, gateway_states))
    found = [_draft(store.reason) for store in stores if store is not None]
    if not found:
        if live is None:
            return _draft(_UNKNOWN)
        return as_it_is(ConditionType.LIMIT_STORE_READY, live)
    return min(found, key=lambda draft: (_ORDER.index(draft.status), draft.reason))


def _draft(word: str) -> ConditionDraft:
    reason = next((each for each in LimitStoreReadyReason if each == word), None)
    if reason is None:  # a newer gateway may know more reasons
        text = "A gateway of another version reports this."
        return ConditionDraft(ConditionType.LIMIT_STORE_READY, ConditionStatus.FALSE, word, text)
    if reason is LimitStoreReadyReason.READY:
        return ConditionDraft(ConditionType.LIMIT_STORE_READY, ConditionStatus.TRUE, reason, reason.meaning)
    value = ConditionStatus.UNKNOWN if reason is _UNKNOWN else ConditionStatus.FALSE
    return ConditionDraft(ConditionType.LIMIT_STORE_READY, value, reason, f"{reason.meaning} {reason.remedy}")
