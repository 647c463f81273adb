"""The access decision of one proxy: which names a caller may see and use.

Policies compose without an order, in two tiers, platform and owner, and a call must pass both. In a tier any matching
Deny denies. If any access there is empty or holds an Allow, the tier is closed, and some Allow must match; a tier with
Deny rules only, or without any access, stays open. Nothing depends on names, ages or the order of lists: where several
rules match, the decision names the first by (policy, rule position).

A rule may have conditions (:mod:`.message_conditions`). An evaluator of such policies is specialised for each
principal: what depends on the caller is decided once, and the rest for each message. Lists have no message to judge: a
conditional Allow shows a name, and a conditional Deny does not hide it.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from ostiary_core.mcp.methods import Primitive, Verb, primitives
from ostiary_core.policy.arguments import ArgumentConstraint
from ostiary_core.policy.compiled_policy import CompiledPolicy, CompiledRule, RuleStates
from ostiary_core.policy.cost_limits import length_of, name_limit
from ostiary_core.policy.decision import Decision, DecisionReason
from ostiary_core.policy.decision_cache import DECISIONS, Memo
from ostiary_core.policy.judgement import MatchedRule, TierJudgement, all_must_allow
from ostiary_core.policy.name_matcher import NameMatcher
from ostiary_core.policy.principal_conditions import PrincipalConditions

_CALL_TOOL: Final = (Primitive.TOOLS, Verb.CALL)
_OPEN: Final = Decision(True, DecisionReason.OPEN)
#: Of all evaluators whose rules have no expressions.
_NO_SIZES: Final[Mapping[Primitive, int]] = dict.fromkeys(Primitive, 0)
_NAME_TOO_LONG: Final = Decision(False, DecisionReason.NAME_TOO_LONG)


@dataclass(slots=True)
class AccessEvaluator:
    """Decides for one proxy.

    Built once for a config entry and never changed; the memo is its only state.
    """

    policies: Sequence[CompiledPolicy]
    _memo: Memo[tuple[Primitive, Verb, str], Decision] = field(default_factory=Memo)
    _open: frozenset[Primitive] = field(init=False)
    _sizes: Mapping[Primitive, int] = field(init=False)

    def __post_init__(self) -> None:
        # The order in which policies are listed must not decide which one the decision names.
        self.policies = sorted(self.policies, key=lambda policy: policy.identity)
        self._open = primitives(it for it in Primitive if self._leaves_open(it))
        sizes = {it: sum(policy.size(it) for policy in self.policies) for it in Primitive}
        self._sizes = sizes if any(sizes.values()) else _NO_SIZES

    @property
    def depends_on_caller(self) -> bool:
        """Whether a rule has a condition, so that decisions need :meth:`specialised`."""
        return any(policy.depends_on_caller for policy in self.policies)

    def states(self, known: PrincipalConditions) -> RuleStates:
        """Decide what depends on the caller alone, for all rules."""
        return tuple(policy.states(known) for policy in self.policies)

    def specialised(self, states: RuleStates) -> "AccessEvaluator":
        """Return the evaluator for the callers with these states."""
        return AccessEvaluator([p.specialised(each) for p, each in zip(self.policies, states, strict=True)])

    def decide(self, primitive: Primitive, verb: Verb, name: str) -> Decision:
        """Return the decision on a name, pending where it depends on the message.

        It is the same for equal arguments for the lifetime of the object.
        """
        key = (primitive, verb, name)
        decision = self._memo.get(key)
        if decision is None:
            decision = self.judge(primitive, verb, name)
            DECISIONS.keep(self._memo, key, decision, name=name)
        return decision

    @property
    def narrows(self) -> bool:
        """Whether an Allow rule constrains arguments."""
        rules = (rule for policy in self.policies for rule in policy.allow)
        return any(rule.condition is not None and rule.condition.arguments for rule in rules)

    def narrowing(self, name: str) -> tuple[ArgumentConstraint, ...]:
        """Return the constraints that every allowed call of a tool meets.

        Where several rules may allow a call, no constraint of one of them is certain.
        """
        found: tuple[ArgumentConstraint, ...] = ()
        for tier in self._tiers():
            closing = [policy for policy in tier if policy.closes]
            allowing, allow = _split(_matching(closing, lambda policy: policy.allow, _CALL_TOOL, name))
            condition = allow[0].rule.condition if allowing is None and len(allow) == 1 else None
            found += condition.arguments if condition is not None else ()
        return found

    @property
    def rules(self) -> int:
        """The number of rules that a name is compared with."""
        return sum(len(policy.allow) + len(policy.deny) for policy in self.policies)

    def size(self, primitive: Primitive) -> int:
        """Return the instructions that judge a name of this primitive."""
        return self._sizes[primitive]

    def denial(self, primitive: Primitive, verb: Verb, name: str) -> Decision | None:
        """Return the decision of the Deny rules alone; None where none of them matches."""
        final, conditional = _denying(self.policies, primitive, verb, name)
        if final is not None:
            return final.denial()
        return TierJudgement(_OPEN, conditional).unresolved() if conditional else None

    def is_open(self, primitive: Primitive) -> bool:
        """Return whether no rule could refuse a name of this primitive: lists need no filter."""
        return primitive in self._open

    def lists_like(self, other: "AccessEvaluator", primitive: Primitive) -> bool:
        """Return whether the rules on the visibility of this primitive's names are the same.

        Names are not compared.
        """
        mine, theirs = ([p.listing(primitive) for p in each.policies] for each in (self, other))
        return [listing for listing in mine if listing] == [listing for listing in theirs if listing]

    def _leaves_open(self, primitive: Primitive) -> bool:
        return not any(
            policy.closes or any(p is primitive for rule in policy.deny for p, _ in rule.places)
            for policy in self.policies
        )

    def demands(self, primitive: Primitive, verb: Verb) -> list[list[NameMatcher]]:
        """Return the matchers of the Allow rules of each closed tier.

        A name must match in each tier.
        """
        pair = (primitive, verb)
        return [
            [found for policy in tier for rule in policy.allow if (found := rule.matcher(pair)) is not None]
            for tier in self._tiers()
            if any(policy.closes for policy in tier)
        ]

    def _tiers(self) -> list[list[CompiledPolicy]]:
        return [[p for p in self.policies if p.tier == tier] for tier in ("platform", "owner")]

    def judge(self, primitive: Primitive, verb: Verb, name: str) -> Decision:
        """Return the decision like :meth:`decide`, without the memo, for a caller with its own."""
        if length_of(name) > name_limit(self._sizes[primitive]) and primitive not in self._open:
            return _NAME_TOO_LONG
        return all_must_allow([_judge_tier(tier, primitive, verb, name) for tier in self._tiers()], are_tiers=True)


def _matching(
    policies: Iterable[CompiledPolicy],
    rules: Callable[[CompiledPolicy], Iterable[CompiledRule]],
    pair: tuple[Primitive, Verb],
    name: str,
) -> Iterator[MatchedRule]:
    return (MatchedRule(policy, rule) for policy in policies for rule in rules(policy) if rule.matches(*pair, name))


def _split(matches: Iterable[MatchedRule]) -> tuple[MatchedRule | None, tuple[MatchedRule, ...]]:
    """Return the first rule without a condition, and the rules with one before it."""
    conditional: list[MatchedRule] = []
    for match in matches:
        if match.rule.condition is None:
            return match, tuple(conditional)
        conditional.append(match)
    return None, tuple(conditional)


def _denying(
    policies: Iterable[CompiledPolicy], primitive: Primitive, verb: Verb, name: str
) -> tuple[MatchedRule | None, tuple[MatchedRule, ...]]:
    """Return the Deny rule that denies every message, and those that may deny some.

    The latter hide nothing in a list.
    """
    final, conditional = _split(_matching(policies, lambda policy: policy.deny, (primitive, verb), name))
    return final, conditional if verb is not Verb.LIST else ()


def _judge_tier(tier: Sequence[CompiledPolicy], primitive: Primitive, verb: Verb, name: str) -> Decision:
    denying, deny = _denying(tier, primitive, verb, name)
    if denying is not None:
        return denying.denial()
    closing = [policy for policy in tier if policy.closes]
    if not closing:
        return TierJudgement(_OPEN, deny).unresolved()
    allowing, allow = _split(_matching(closing, lambda policy: policy.allow, (primitive, verb), name))
    if verb is Verb.LIST and allow:
        allowing = allow[0]  # it allows some calls, so the name is shown
    if allowing is not None:
        return TierJudgement(allowing.decision(DecisionReason.ALLOWED, allowed=True), deny).unresolved()
    return _judge_without_allow(closing, TierJudgement(_OPEN, deny, allow), (primitive, verb), name)


def _judge_without_allow(
    closing: Sequence[CompiledPolicy], found: TierJudgement, pair: tuple[Primitive, Verb], name: str
) -> Decision:
    """Return the decision of a closed tier where no rule allows every message."""
    named = next((policy for policy in closing if policy.allow), closing[0])  # one with rules for this caller, if any
    refusal = Decision(False, DecisionReason.NOT_ALLOWED, named.identity, generation=named.generation)
    failed = next(_matching(closing, lambda policy: policy.failed, pair, name), None)
    if failed is not None:
        refusal = failed.decision(DecisionReason.EXPRESSION_ERROR)
    lacking = tuple(_matching(closing, lambda policy: policy.lacking, pair, name))
    return found._replace(decision=refusal, lacking=lacking).unresolved()
