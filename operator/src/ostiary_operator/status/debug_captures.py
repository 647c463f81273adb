"""Computes Uncaptured of an MCPProxy from the reports of replicas. Pure.

The end of a capture is each gateway's decision, by its own clock, so the operator reports what gateways say.
"""

from collections.abc import Mapping
from typing import Any

from ostiary_operator.api.conditions import ConditionStatus, ConditionType
from ostiary_operator.api.reasons import UncapturedReason
from ostiary_operator.clock import rfc3339
from ostiary_operator.compile.model import ConditionDraft, ResourceStatus
from ostiary_operator.kube.kinds import PROXY
from ostiary_operator.status.builder import as_it_is
from ostiary_operator.status.replica_state import GatewayState, reported_entries


def evaluate(
    status: ResourceStatus, gateway_states: Mapping[str, GatewayState], live: Mapping[str, Any] | None
) -> ConditionDraft | None:
    """Return until when exchanges of a proxy are captured; None while no replica captures any.

    ``live`` is the condition in the cluster. It stays while no replica reports on the proxy.
    """
    if status.key.kind != PROXY.name:
        return None
    entries = list(reported_entries(status, gateway_states))
    if not entries and live is not None:
        return as_it_is(ConditionType.UNCAPTURED, live)
    # Replicas that saw the capture at different times may end it at different times. Seconds suffice for people.
    ends = [entry.debug_capture.until // 1000 for entry in entries if entry.debug_capture is not None]
    if not ends:
        return None
    until = rfc3339(max(ends))
    text = (
        f"Gateways keep its latest exchanges until {until} (spec.debugCapture). Who may read a gateway's Secret may "
        "read them."
    )
    return ConditionDraft(ConditionType.UNCAPTURED, ConditionStatus.FALSE, UncapturedReason.CAPTURING, text)
