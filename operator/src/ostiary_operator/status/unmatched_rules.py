"""Finds names in rules that no server offers, from the lists that replicas have seen. Pure.

A name is a slip only where every known list lacks it, since one of several targets may offer what the others do not.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from ostiary_operator.api.conditions import ConditionStatus, ConditionType
from ostiary_operator.api.effective_reasons import EffectiveReason
from ostiary_operator.compile.model import ConditionDraft, ResourceStatus
from ostiary_operator.kube.kinds import POLICY
from ostiary_operator.status.replica_reports import Offers, ReportedSlip
from ostiary_operator.status.replica_state import GatewayState, reports_on

_REPORTED: Final = 3


def remarks(
    status: ResourceStatus, gateway_states: Mapping[str, GatewayState], live: Mapping[str, Any] | None
) -> tuple[ConditionDraft, ...]:
    """Return the conditions that Ready ignores; for a policy with the reported slips.

    ``live`` is the condition Effective in the cluster: a replica that has restarted knows no list yet, and until one
    does, the condition for this generation stays.
    """
    if status.key.kind != POLICY.name:
        return status.aside
    offers = list(_offers(status, gateway_states))
    found = list(_slips(f"{status.key.namespace}/{status.key.name}", offers))
    effective = _as_written(live, status.generation) if not offers else _effective(found, status)
    return tuple(effective if effective is not None and _may_replace(each) else each for each in status.aside)


def _may_replace(condition: ConditionDraft) -> bool:
    return condition.type == ConditionType.EFFECTIVE and condition.status == ConditionStatus.TRUE


def _as_written(live: Mapping[str, Any] | None, generation: int) -> ConditionDraft | None:
    if live is None or live.get("reason") != EffectiveReason.RULE_MATCHES_NOTHING:
        return None
    if live.get("observedGeneration") != generation:
        return None
    return ConditionDraft(ConditionType.EFFECTIVE, ConditionStatus.FALSE, live["reason"], str(live.get("message")))


def _effective(found: list[ReportedSlip], status: ResourceStatus) -> ConditionDraft | None:
    if not found:
        return None
    listed = "; ".join(map(_message, found[:_REPORTED]))
    more = f" (and {len(found) - _REPORTED} more)" if len(found) > _REPORTED else ""
    key = status.key
    message = f"{key.kind} {key.namespace}/{key.name}: {listed}{more}"
    reason = EffectiveReason.RULE_MATCHES_NOTHING
    return ConditionDraft(ConditionType.EFFECTIVE, ConditionStatus.FALSE, reason, message)


def _message(slip: ReportedSlip) -> str:
    meant = f", did you mean {slip.nearest}?" if slip.nearest else ""
    return f"spec.access.rules[{slip.rule}]: no {slip.primitive.removesuffix('s')} is called {slip.name}{meant}"


def _offers(status: ResourceStatus, gateway_states: Mapping[str, GatewayState]) -> Iterator[Offers]:
    for identity, report in reports_on(status, gateway_states):
        for proxy in status.expected[identity]:
            entry = report.entries.get(proxy)
            if entry is not None and entry.offers is not None:
                yield entry.offers


def _slips(policy: str, offers: list[Offers]) -> Iterator[ReportedSlip]:
    """Yield the names that every known list lacks; sorted, and each once."""
    reported = {each.place: each for offer in offers for each in offer.slips if each.policy == policy}
    for _, slip in sorted(reported.items()):
        knowing = [offer for offer in offers if slip.primitive in offer.known]
        if all(slip.place in {each.place for each in offer.slips} or offer.cut for offer in knowing):
            yield slip
