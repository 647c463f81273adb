"""An explained decision as a page shows it. Pure.

That is every rule, which decided, and what would change it.

A viewer who may not read a policy is told its name, the names of its rules, and whether they decided; nothing of their
text. That is so for each sentence that quotes a policy: causes, limits, rules about content, and changes.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from ostiary_core.contract.documents import PolicyDocument
from ostiary_core.policy.decision import Decision
from ostiary_core.policy.decision_trace import TIERS, RuleTrace
from ostiary_operator.local import explanation_lines
from ostiary_operator.local.decision_variants import DecisionChange
from ostiary_operator.local.explanation import Explanation, cause_of, why

_HIDDEN: Final = "you may not read this policy"
_ASK: Final = "ask the owner of this policy, which you may not read"


@dataclass(frozen=True, slots=True)
class ShownRule:
    """One rule, and whether it matches. ``detail`` says which part of it does not."""

    rule: str
    effect: str
    outcome: str
    detail: str
    decides: bool


@dataclass(frozen=True, slots=True)
class ShownPolicy:
    """One policy and its rules.

    ``note`` says why there are none; ``source`` is its place in Git.
    """

    policy: str
    generation: int
    is_shadow: bool
    is_readable: bool
    source: str
    note: str
    rules: tuple[ShownRule, ...]


@dataclass(frozen=True, slots=True)
class ShownTier:
    """The policies of the platform, or of the owner of the proxy."""

    tier: str
    policies: tuple[ShownPolicy, ...]


@dataclass(frozen=True, slots=True)
class ShownSentence:
    """A sentence about a rule of a policy, such as a limit that counts the call."""

    policy: str
    words: str


@dataclass(frozen=True, slots=True)
class ShownChange:
    """A change that would turn the decision.

    See :mod:`ostiary_operator.local.decision_changes`.
    """

    part: str
    words: str
    policy: str
    rule: str
    step: int
    is_enough: bool


@dataclass(frozen=True, slots=True)
class ExplainedDecision:
    """The decision, and everything that led to it."""

    allowed: bool
    reason: str
    cause: str
    policy: str
    rule: str
    source: str
    call: str
    caller: str
    admitted: str
    destination: tuple[str, ...]
    shadow: str
    tiers: tuple[ShownTier, ...]
    limits: tuple[ShownSentence, ...]
    contents: tuple[ShownSentence, ...]
    changes: tuple[ShownChange, ...]
    has_steps: bool
    are_changes_known: bool


def explained_decision(
    found: Explanation,
    changes: Sequence[DecisionChange] | None,
    *,
    readable: frozenset[str],
    sources: Mapping[str, str],
) -> ExplainedDecision:
    """Return an explanation for a viewer who may read the ``readable`` policies.

    ``changes`` are what would change it, None where finding them took too long. ``sources`` are the places of policies
    in Git, by ``namespace/name``.
    """
    decision, is_plain = found.trace.decision, readable.issuperset(found.proxy.authentication)
    shown = tuple(_changes(changes or (), readable))
    return ExplainedDecision(
        found.allowed,
        found.reason,
        _cause(found, decision, readable),
        decision.policy if found.is_authenticated else "",
        decision.rule if found.is_authenticated else "",
        sources.get(decision.policy, "") if decision.policy in readable else "",
        f"{found.call.verb} {found.call.primitive.removesuffix('s')} {found.call.name}",
        explanation_lines.caller_words(found) if is_plain else "as described",
        explanation_lines.admission_words(found) if is_plain else _admission(found),
        tuple(line.strip() for line in found.destination.lines()) if found.destination is not None else (),
        _quoted(found.trace.shadow, readable) if found.trace.shadow is not None else "",
        tuple(_tier(found, tier, readable, sources) for tier in TIERS) if found.is_authenticated else (),
        tuple(_sentence(each.policy, str(each), each.limit, readable) for each in found.limits),
        tuple(_sentence(each.policy, str(each), f"{each.kind} {each.rule}", readable) for each in found.contents),
        shown,
        any(change.step > 1 for change in shown),
        changes is not None,
    )


def _cause(found: Explanation, decision: Decision, readable: frozenset[str]) -> str:
    if not found.is_authenticated and not readable.issuperset(found.proxy.authentication):
        return "authentication refuses the caller (401)"
    is_by_rules = found.is_authenticated and not (found.is_lost and decision.allowed)
    return _quoted(decision, readable) if is_by_rules else found.cause


def _quoted(decision: Decision, readable: frozenset[str]) -> str:
    """Return the cause of a decision, without the text of unreadable policies."""
    if not decision.policy or decision.policy in readable:
        return cause_of(decision)
    rule = f"rule {decision.rule} of " if decision.rule else ""
    return f"{rule}MCPPolicy {decision.policy} decides: {decision.reason}"


def _admission(found: Explanation) -> str:
    policies = ", ".join(sorted(found.proxy.authentication))
    return f"{'yes' if found.is_authenticated else 'no'} (authentication of {policies})"


def _tier(found: Explanation, tier: str, readable: frozenset[str], sources: Mapping[str, str]) -> ShownTier:
    policies = sorted((each for each in found.proxy.policies if each.tier == tier), key=lambda each: each.identity)
    return ShownTier(tier, tuple(_policy(found, each, readable, sources) for each in policies))


def _policy(
    found: Explanation, policy: PolicyDocument, readable: frozenset[str], sources: Mapping[str, str]
) -> ShownPolicy:
    is_readable = policy.identity in readable
    rules = [rule for rule in found.rules if rule.policy == policy.identity]
    return ShownPolicy(
        policy.identity,
        policy.generation,
        policy.mode == "Shadow",
        is_readable,
        sources.get(policy.identity, "") if is_readable else "",
        "" if rules else explanation_lines.without_rules_words(policy),
        tuple(_rule(found, rule, is_readable=is_readable) for rule in rules),
    )


def _rule(found: Explanation, rule: RuleTrace, *, is_readable: bool) -> ShownRule:
    applies = "applies" if rule.applies else "does not apply"
    if not is_readable:
        return ShownRule(rule.rule, rule.effect, applies, f"{applies}; {_HIDDEN}", found.decides(rule))
    return ShownRule(rule.rule, rule.effect, rule.outcome.value, why(found, rule), found.decides(rule))


def _sentence(policy: str, words: str, name: str, readable: frozenset[str]) -> ShownSentence:
    return ShownSentence(policy, words if policy in readable else f"{name.strip()} of MCPPolicy {policy}: {_HIDDEN}")


def _changes(changes: Sequence[DecisionChange], readable: frozenset[str]) -> Iterator[ShownChange]:
    told: set[str] = set()
    for change in changes:
        is_hidden = bool(change.policy) and change.policy not in readable
        if is_hidden and change.policy in told:
            continue  # how many of its rules are near would tell of them
        told.add(change.policy)
        yield ShownChange(
            change.part.value,
            _ASK if is_hidden else change.words,
            change.policy,
            "" if is_hidden else change.rule,
            change.step,
            change.is_enough and not is_hidden,
        )
