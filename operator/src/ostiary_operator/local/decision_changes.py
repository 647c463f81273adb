"""What would change a decision, each proved by the evaluator.

A call may be refused for several reasons at once. Each reason is a step, and one change of each step is needed. Whether
a change is enough alone is not derived here: the evaluator decides the call again with it.
"""

from collections.abc import Iterator
from itertools import islice
from typing import Any, Final

from ostiary_operator.local.decision_variants import (
    Candidate,
    ChangedPart,
    DecisionChange,
    Variant,
    Variants,
    enforced,
    with_rule,
)
from ostiary_operator.local.denial_causes import steps_that_allow
from ostiary_operator.local.explanation import Explanation

#: The most changes of one decision: each costs an evaluation.
_MOST: Final = 24


def changes_of(explanation: Explanation) -> tuple[DecisionChange, ...]:
    """Return what would change a decision: in each step first what is enough alone.

    Of a call that is allowed these are the ways in which it would be denied.
    """
    variants = Variants(explanation)
    that_deny = [list(_that_deny(explanation, variants))] if explanation.allowed else None
    steps = that_deny if that_deny is not None else steps_that_allow(explanation, variants)
    numbered = ((number, each) for number, step in enumerate(steps, start=1) for each in step)
    found = [
        each.change._replace(step=number, is_enough=_turns(each, variants, explanation))
        for number, each in islice(numbered, _MOST)
        if not each.is_optional or _turns(each, variants, explanation)
    ]
    return tuple(sorted(found, key=lambda change: (change.step, not change.is_enough)))


def _turns(candidate: Candidate, variants: Variants, explanation: Explanation) -> bool:
    """Return whether the decision is another one with a change alone."""
    was, variant = explanation.trace.decision.allowed, candidate.variant
    if variant is None or not explanation.is_authenticated or (explanation.is_lost and not explanation.allowed):
        return False
    return variants.allows(variant) is not was


def _that_deny(explanation: Explanation, variants: Variants) -> Iterator[Candidate]:
    shadow = explanation.trace.shadow
    if shadow is not None and shadow.policy in variants.policies:
        change = DecisionChange(ChangedPart.POLICY, "enforce this policy (mode: Enforce)", shadow.policy, shadow.rule)
        yield Candidate(change, Variant(policy=enforced(variants.policies[shadow.policy])))
    for rule in explanation.rules:
        if rule.effect == "Allow" and rule.applies and not rule.is_shadow:
            change = DecisionChange(ChangedPart.POLICY, "remove this rule", rule.policy, rule.rule)
            left = with_rule(variants.policies[rule.policy], rule.rule, lambda _: None)
            yield Candidate(change, Variant(policy=left), is_optional=True)


def as_object(explanation: Explanation) -> dict[str, Any]:
    """Return an explanation with what would change the decision as a JSON object."""
    return explanation.as_object() | {"changes": [change.as_object() for change in changes_of(explanation)]}


def lines(explanation: Explanation) -> Iterator[str]:
    """Yield what would change the decision as lines for people."""
    found = changes_of(explanation)
    if found:
        yield from ("", f"what would {'deny' if explanation.allowed else 'allow'} it")
    is_stepped = any(change.step > 1 for change in found)
    for change in found:
        origin = f" (rule {change.rule} of MCPPolicy {change.policy})" if change.rule else ""
        step = f"step {change.step}: " if is_stepped else ""
        yield f"    {step}{change.words}{origin}{'' if change.is_enough or is_stepped else '; not enough alone'}"
