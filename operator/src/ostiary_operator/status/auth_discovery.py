"""Computes AuthDiscovery of an MCPProxy from the reports of replicas. Pure.

Gateways check the server, never the operator: it would fetch the URLs of tenants with its own network access.
"""

from collections.abc import Mapping
from typing import Any, Final

from ostiary_operator.api.conditions import ConditionStatus, ConditionType
from ostiary_operator.api.upstream_reasons import AuthDiscoveryReason
from ostiary_operator.compile.model import ConditionDraft, ResourceStatus
from ostiary_operator.kube.kinds import PROXY
from ostiary_operator.status.builder import as_it_is
from ostiary_operator.status.replica_reports import ReportedDiscovery
from ostiary_operator.status.replica_state import GatewayState, reported_entries

_UNKNOWN: Final = frozenset({AuthDiscoveryReason.PENDING, AuthDiscoveryReason.SERVER_UNAVAILABLE})
#: In this order one report of several counts: clients are routed to every replica.
_ORDER: Final = (ConditionStatus.FALSE, ConditionStatus.TRUE, ConditionStatus.UNKNOWN)


def evaluate(
    status: ResourceStatus, gateway_states: Mapping[str, GatewayState], live: Mapping[str, Any] | None
) -> ConditionDraft | None:
    """Return whether clients find the server's authorization server.

    It is None where gateways authenticate callers.

    ``live`` is the condition in the cluster. It stays while no replica reports on the proxy.
    """
    if status.key.kind != PROXY.name:
        return None
    entries = list(reported_entries(status, gateway_states))
    if not entries and live is not None:
        return as_it_is(ConditionType.AUTH_DISCOVERY, live)
    found = [_draft(each.auth_discovery) for each in entries if each.auth_discovery is not None]
    return min(found, key=lambda draft: (_ORDER.index(draft.status), draft.reason, draft.message), default=None)


def _draft(found: ReportedDiscovery) -> ConditionDraft:
    reason = next((each for each in AuthDiscoveryReason if each == found.reason), None)
    if reason is None:  # a newer gateway may know more reasons
        text = found.message or "A gateway of another version reports this."
        return ConditionDraft(ConditionType.AUTH_DISCOVERY, ConditionStatus.FALSE, found.reason, text)
    if reason is AuthDiscoveryReason.COMPLETE:
        return ConditionDraft(ConditionType.AUTH_DISCOVERY, ConditionStatus.TRUE, reason, reason.meaning)
    value = ConditionStatus.UNKNOWN if reason in _UNKNOWN else ConditionStatus.FALSE
    cause = f" ({found.message})" if found.message else ""
    text = f"{reason.meaning.removesuffix('.')}{cause}. {reason.remedy}"
    return ConditionDraft(ConditionType.AUTH_DISCOVERY, value, reason, text)
