"""What policies in Shadow mode would have denied, and policies that allow it.

Refusals are distinct: the same caller, name and rule are one row with a count.
"""

from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import yaml

from ostiary_core.evidence.refusals import DistinctRefusal, joined_refusals
from ostiary_core.policy.decision import DecisionReason
from ostiary_operator.local import policy_suggestion
from ostiary_operator.local.policy_suggestion import RecordedUse, Recording

#: What a count is summed under where a refusal has no name, or no principal.
NO_NAME: Final = "(no name)"
NO_PRINCIPAL: Final = "(not authenticated)"
NO_RULE: Final = "(no rule allows it)"
#: The principal, for readers that may not see principals.
HIDDEN: Final = "(hidden)"
#: Reasons that one more Allow rule removes.
_ALLOWABLE: Final = frozenset({DecisionReason.NOT_ALLOWED.value, DecisionReason.NO_POLICY.value})
_NEVER: Final = "no Allow rule removes the reason"
_PLATFORM: Final = "a policy of the platform denies it, which no policy of the owner widens: add a rule to it"
_CONDITION: Final = "a rule allows it under a condition that was not met: change the condition, or meet it"
_NOT_ALLOWABLE: Final = {
    DecisionReason.DENIED.value: "a Deny rule matches, which no other rule overrules: change that rule",
    DecisionReason.INSUFFICIENT_SCOPE.value: _CONDITION,
    DecisionReason.ARGUMENT_NOT_ALLOWED.value: _CONDITION,
    DecisionReason.CONDITION_NOT_MET.value: _CONDITION,
}


@dataclass(frozen=True, slots=True)
class RefusedSum:
    """How many requests would have been denied, for one value of a column."""

    name: str
    count: int


@dataclass(frozen=True, slots=True)
class ShadowReport:
    """What would have been denied.

    ``allow`` is YAML of policies that allow it, empty where no rule can. ``omitted`` says what
    those policies leave out, and how often.
    """

    refusals: tuple[DistinctRefusal, ...]
    count: int
    rules: tuple[RefusedSum, ...]
    names: tuple[RefusedSum, ...]
    principals: tuple[RefusedSum, ...]
    allow: str
    omitted: Mapping[str, int]


def shadow_report(refusals: Iterable[DistinctRefusal], *, without_principals: Container[str] = ()) -> ShadowReport:
    """Return the report of refusals by policies in Shadow mode, the most frequent first.

    The principals of some proxies (``namespace/name``) are left out, for a reader that may not see them; no policy
    allows their calls then, since it would have to name them.
    """
    shadow = [each for each in refusals if each.is_shadow]
    told = [each for each in shadow if each.proxy not in without_principals]
    untold = [each.model_copy(update={"principal": HIDDEN}) for each in shadow if each.proxy in without_principals]
    found = sorted((*told, *joined_refusals(untold)), key=lambda each: (-each.count, each.key))
    recording = _recording(told)
    return ShadowReport(
        refusals=tuple(found),
        count=sum(each.count for each in found),
        rules=_sums(found, lambda each: f"{each.policy}: {each.rule or NO_RULE}"),
        names=_sums(found, lambda each: each.name or NO_NAME),
        principals=_sums(found, lambda each: each.principal or NO_PRINCIPAL),
        allow=_as_yaml(list(policy_suggestion.suggest(recording, enforce=False))),
        omitted=recording.omitted,
    )


def _sums(found: Sequence[DistinctRefusal], key: Callable[[DistinctRefusal], str]) -> tuple[RefusedSum, ...]:
    counts: dict[str, int] = {}
    for each in found:
        counts[key(each)] = counts.get(key(each), 0) + each.count
    return tuple(
        RefusedSum(name, count) for name, count in sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    )


def _recording(found: Iterable[DistinctRefusal]) -> Recording:
    """Return the refused calls as uses, which a policy could allow."""
    uses: set[RecordedUse] = set()
    omitted: dict[str, int] = {}
    for each in found:
        use = _use(each)
        if isinstance(use, RecordedUse):
            uses.add(use)
        elif use:
            omitted[use] = omitted.get(use, 0) + each.count
    return Recording(frozenset(uses), omitted)


def _use(refusal: DistinctRefusal) -> RecordedUse | str:
    """Return the use that a further Allow rule would make possible, or why none would."""
    if refusal.reason not in _ALLOWABLE:
        return _NOT_ALLOWABLE.get(refusal.reason, _NEVER)
    if refusal.policy and refusal.policy.partition("/")[0] != refusal.proxy.partition("/")[0]:
        return _PLATFORM
    return policy_suggestion.use_of(
        proxy=refusal.proxy, principal=refusal.principal, method=refusal.method, name=refusal.name
    )


def _as_yaml(policies: list[dict[str, Any]]) -> str:
    return yaml.safe_dump_all(policies, sort_keys=False, allow_unicode=True, width=120) if policies else ""
