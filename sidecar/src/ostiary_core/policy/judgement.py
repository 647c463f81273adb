"""The judgement of the rules that match a name, before and after the message is known."""

from collections.abc import Sequence
from typing import NamedTuple

from ostiary_core.policy.compiled_policy import CompiledPolicy, CompiledRule
from ostiary_core.policy.decision import Decision, DecisionReason
from ostiary_core.policy.expressions import ExpressionResult
from ostiary_core.policy.message_conditions import Call


class MatchedRule(NamedTuple):
    """A rule whose names match, with its policy."""

    policy: CompiledPolicy
    rule: CompiledRule

    def decision(self, reason: DecisionReason, *, allowed: bool = False) -> Decision:
        """Return a decision of this rule."""
        return Decision(allowed, reason, self.policy.identity, self.rule.name, self.policy.generation)

    def denial(self) -> Decision:
        """Return the decision of a Deny rule that applies."""
        failed = self.rule.failed
        return self.decision(DecisionReason.EXPRESSION_ERROR if failed else DecisionReason.DENIED)

    def evaluate(self, call: Call | None) -> ExpressionResult:
        """Decide the rule's condition for a message; without one, it is an error."""
        if self.rule.condition is None:
            return ExpressionResult.TRUE
        return self.rule.condition.evaluate(call) if call is not None else ExpressionResult.ERROR

    def unmet(self, call: Call | None, result: ExpressionResult) -> Decision:
        """Return the refusal of an Allow rule with a condition that does not hold."""
        condition = self.rule.condition
        requirements = condition.unmet(call) if condition is not None and call is not None else ()
        if requirements:
            return self.decision(DecisionReason.ARGUMENT_NOT_ALLOWED)._replace(requirements=requirements)
        is_error = result is ExpressionResult.ERROR
        return self.decision(DecisionReason.EXPRESSION_ERROR if is_error else DecisionReason.CONDITION_NOT_MET)


class TierJudgement(NamedTuple):
    """The rules of one tier with a condition on the message that match a name.

    ``decision`` is the tier's decision where no condition changes it.
    """

    decision: Decision
    deny: tuple[MatchedRule, ...] = ()
    allow: tuple[MatchedRule, ...] = ()
    lacking: tuple[MatchedRule, ...] = ()

    def unresolved(self) -> Decision:
        """Return the decision on all messages at once, pending where conditions may change it."""
        if not self.deny and not self.allow and all(match.rule.condition is None for match in self.lacking):
            return self.resolve(None)
        allowed = self.decision.allowed or bool(self.allow)
        origin = self.decision if self.decision.allowed or not self.allow else self._allowing(self.allow[0])
        return origin._replace(allowed=allowed, pending=self)

    def resolve(self, call: Call | None) -> Decision:
        """Return the decision on a message."""
        for match in self.deny:
            result = match.evaluate(call)
            if result is not ExpressionResult.FALSE:
                is_error = result is ExpressionResult.ERROR
                return match.decision(DecisionReason.EXPRESSION_ERROR if is_error else DecisionReason.DENIED)
        return self.decision if self.decision.allowed else self._resolve_allow(call)

    def _resolve_allow(self, call: Call | None) -> Decision:
        refusals = []
        for match in self.allow:
            result = match.evaluate(call)
            if result is ExpressionResult.TRUE:
                return self._allowing(match)
            refusals.append(match.unmet(call, result))
        lacking = [match for match in self.lacking if match.evaluate(call) is ExpressionResult.TRUE]
        if lacking:
            scopes = frozenset().union(*(match.rule.scopes for match in lacking))
            return lacking[0].decision(DecisionReason.INSUFFICIENT_SCOPE)._replace(missing_scopes=scopes)
        return _first_with_requirements(refusals) if refusals else self.decision

    @staticmethod
    def _allowing(match: MatchedRule) -> Decision:
        return match.decision(DecisionReason.ALLOWED, allowed=True)


def _first_with_requirements(refusals: Sequence[Decision]) -> Decision:
    """Return the first refusal that a caller can act on, with the requirements of all.

    One of them must be met.
    """
    named = [refusal for refusal in refusals if refusal.requirements]
    if not named:
        return refusals[0]
    return named[0]._replace(requirements=tuple(" and ".join(each.requirements) for each in named))


class AllOf(NamedTuple):
    """Decisions of which some depend on the message, and all must allow."""

    decisions: tuple[Decision, ...]
    are_tiers: bool

    def resolve(self, call: Call | None) -> Decision:
        """Return the decision on a message."""
        return all_must_allow([decision.resolve(call) for decision in self.decisions], are_tiers=self.are_tiers)


def all_must_allow(decisions: Sequence[Decision], *, are_tiers: bool) -> Decision:
    """Return the first refusal, or else the first decision.

    Of tiers, that of the last with an Allow rule is returned. A caller that lacks only scopes gets all of them named.
    """
    refusals = [each for each in decisions if not each.allowed]
    final = next((each for each in refusals if not each.missing_scopes and each.pending is None), None)
    if final is not None:
        return final
    allowing = decisions[0]
    if are_tiers:
        allowing = next((each for each in reversed(decisions) if each.reason is DecisionReason.ALLOWED), allowing)
    if any(each.pending is not None for each in decisions):
        return allowing._replace(allowed=not refusals, pending=AllOf(tuple(decisions), are_tiers))
    if refusals:
        return refusals[0]._replace(missing_scopes=frozenset().union(*(each.missing_scopes for each in refusals)))
    return allowing
