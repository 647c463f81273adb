"""The access decision of one proxy: which names a caller may see and use.

Policies compose without an order, in two tiers, platform and owner, and a call must pass both. In a tier any matching
Deny denies. If any access there is empty or holds an Allow, the tier is closed, and some Allow must match; a tier with
Deny rules only, or without any access, stays open. Nothing depends on names, ages or the order of lists: where several
rules match, the decision names the first by (policy, rule position).
"""

import enum
import functools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from ostiary_core.contract.authentication import AuthenticationConfig
from ostiary_core.contract.documents import AccessRuleConfig, PolicyDocument, Tier
from ostiary_core.errors import PatternError
from ostiary_core.mcp.methods import VERBS, Primitive, Verb
from ostiary_core.policy.cost_limits import POLICY_WEIGHT, length_of, name_limit
from ostiary_core.policy.decision_cache import DECISIONS, Memo
from ostiary_core.policy.name_matcher import ANY_NAME, NameMatcher
from ostiary_core.policy.uri_readings import rule_names


class DecisionReason(enum.StrEnum):
    """The reason of a decision, recorded in telemetry.

    Callers learn only what their errors say.
    """

    OPEN = "Open"
    ALLOWED = "Allowed"
    DENIED = "Denied"
    NOT_ALLOWED = "NotAllowed"
    NOT_IN_CATALOGUE = "NotInCatalogue"
    AMBIGUOUS_URI = "AmbiguousURI"
    NAME_TOO_LONG = "NameTooLong"
    NO_POLICY = "NoPolicy"
    POLICY_INVALID = "PolicyInvalid"


class Decision(NamedTuple):
    """The decision on one (primitive, verb, name), with its origin.

    ``policy`` is ``namespace/name``, or empty.
    """

    allowed: bool
    reason: DecisionReason
    policy: str = ""
    rule: str = ""


@dataclass(frozen=True, slots=True)
class CompiledRule:
    """One rule, with its matchers by (primitive, verb).

    The rule does not govern an absent pair.
    """

    name: str
    matchers: dict[tuple[Primitive, Verb], NameMatcher]

    @classmethod
    def build(cls, rule: AccessRuleConfig) -> "CompiledRule":
        """Compile a rule of the contract.

        Raises:
            PatternError: a pattern is invalid.
        """
        matchers: dict[tuple[Primitive, Verb], NameMatcher] = {}
        for primitive in Primitive:
            selection = rule.selection(primitive)
            if selection is not None:
                names = selection.names
                if primitive is Primitive.RESOURCES:
                    names = rule_names(names, denies=rule.effect == "Deny")
                matcher = NameMatcher.build(names, selection.patterns)
                matchers |= dict.fromkeys(_pairs(primitive, selection.verbs), matcher)
        return cls(rule.name, matchers or _EVERYTHING)

    @property
    def weight(self) -> int:
        """The cost of the rule, in instructions."""
        return sum(matcher.weight for matcher in {id(it): it for it in self.matchers.values()}.values())

    def size(self, primitive: Primitive) -> int:
        """Return the instructions that judge a name of this primitive."""
        return max((matcher.size for (p, _), matcher in self.matchers.items() if p is primitive), default=0)

    def matches(self, primitive: Primitive, verb: Verb, name: str) -> bool:
        """Return whether the rule applies to this pair and name."""
        matcher = self.matchers.get((primitive, verb))
        return matcher is not None and matcher.matches(name)


_EVERYTHING: Final = {(primitive, verb): ANY_NAME for primitive, verbs in VERBS.items() for verb in verbs}


@functools.cache
def _all_pairs(primitive: Primitive, verbs: tuple[Verb, ...]) -> tuple[tuple[Primitive, Verb], ...]:
    """Return pairs that rules share: there are few pairs, and tens of thousands of rules."""
    return tuple((primitive, verb) for verb in verbs)


def _pairs(primitive: Primitive, verbs: Sequence[Verb] | None) -> tuple[tuple[Primitive, Verb], ...]:
    return _all_pairs(primitive, tuple(verbs) if verbs else VERBS[primitive])


@dataclass(frozen=True, slots=True)
class CompiledPolicy:
    """One policy, compiled once and shared by every proxy that it governs.

    ``authentication`` is None where the policy does not authenticate callers, or is in shadow mode.
    """

    identity: str
    tier: Tier
    closes: bool
    allow: tuple[CompiledRule, ...]
    deny: tuple[CompiledRule, ...]
    weight: int = 0
    authentication: AuthenticationConfig | None = None

    @classmethod
    def build(cls, document: PolicyDocument) -> "CompiledPolicy":
        """Compile a policy document.

        Raises:
            PatternError: a pattern of one of its rules is invalid, or all of them together weigh too much.
        """
        rules = document.access.rules if document.access is not None else ()
        allow: list[CompiledRule] = []
        deny: list[CompiledRule] = []
        weight = 0
        for rule in rules:
            compiled = CompiledRule.build(rule)
            weight += compiled.weight
            _require_light(rule.name, weight)
            (allow if rule.effect == "Allow" else deny).append(compiled)
        closes = document.access is not None and (not rules or bool(allow))
        authentication = document.authentication if document.mode is None else None
        return cls(document.identity, document.tier, closes, tuple(allow), tuple(deny), weight, authentication)

    def size(self, primitive: Primitive) -> int:
        """Return the instructions that judge a name of this primitive."""
        return sum(rule.size(primitive) for rule in (*self.allow, *self.deny))

    def listing(self, primitive: Primitive) -> tuple[object, ...]:
        """Return what decides which names of a primitive are visible.

        It is compared with that of another policy, and empty where this policy hides no name.
        """
        pair = (primitive, Verb.LIST)
        shown, hidden = ([r.matchers[pair] for r in rules if pair in r.matchers] for rules in (self.allow, self.deny))
        return (self.tier, self.closes, shown, hidden) if self.closes or hidden else ()


def _require_light(rule: str, weight: int) -> None:
    if weight > POLICY_WEIGHT:
        raise PatternError(
            f"with rule {rule}, patterns and names with an inner * compile to more than {POLICY_WEIGHT} instructions: "
            "write fewer or shorter ones, smaller repetitions, or a * at one end only"
        )


_OPEN: Final = Decision(True, DecisionReason.OPEN)
_NAME_TOO_LONG: Final = Decision(False, DecisionReason.NAME_TOO_LONG)


@dataclass(slots=True)
class AccessEvaluator:
    """Decides for one proxy.

    Built once for a config entry and never changed; the memo is its only state.
    """

    policies: Sequence[CompiledPolicy]
    _memo: Memo[tuple[Primitive, Verb, str], Decision] = field(default_factory=Memo)
    _open: frozenset[Primitive] = field(init=False)
    _sizes: dict[Primitive, int] = field(init=False)

    def __post_init__(self) -> None:
        # The order in which policies are listed must not decide which one the decision names.
        self.policies = sorted(self.policies, key=lambda policy: policy.identity)
        self._open = frozenset(primitive for primitive in Primitive if self._leaves_open(primitive))
        self._sizes = {it: sum(policy.size(it) for policy in self.policies) for it in Primitive}

    def decide(self, primitive: Primitive, verb: Verb, name: str) -> Decision:
        """Return the decision on a name.

        It is the same for equal arguments for the lifetime of the object.
        """
        key = (primitive, verb, name)
        decision = self._memo.get(key)
        if decision is None:
            decision = self.judge(primitive, verb, name)
            DECISIONS.keep(self._memo, key, decision, name=name)
        return decision

    def size(self, primitive: Primitive) -> int:
        """Return the instructions that judge a name of this primitive."""
        return self._sizes[primitive]

    def denial(self, primitive: Primitive, verb: Verb, name: str) -> Decision | None:
        """Return the decision of the Deny rules alone; None where none of them matches."""
        return _denial(self.policies, primitive, verb, name)

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
            policy.closes or any(p is primitive for rule in policy.deny for p, _ in rule.matchers)
            for policy in self.policies
        )

    def demands(self, primitive: Primitive, verb: Verb) -> list[list[NameMatcher]]:
        """Return the matchers of the Allow rules of each closed tier.

        A name must match in each tier.
        """
        pair = (primitive, verb)
        return [
            [rule.matchers[pair] for policy in tier for rule in policy.allow if pair in rule.matchers]
            for tier in self._tiers()
            if any(policy.closes for policy in tier)
        ]

    def _tiers(self) -> list[list[CompiledPolicy]]:
        return [[p for p in self.policies if p.tier == tier] for tier in ("platform", "owner")]

    def judge(self, primitive: Primitive, verb: Verb, name: str) -> Decision:
        """Return the decision like :meth:`decide`, without the memo, for a caller with its own."""
        if length_of(name) > name_limit(self._sizes[primitive]) and primitive not in self._open:
            return _NAME_TOO_LONG
        verdict = _OPEN
        for tier in self._tiers():
            decision = _judge_tier(tier, primitive, verb, name)
            if not decision.allowed:
                return decision
            verdict = decision if decision.reason is DecisionReason.ALLOWED else verdict
        return verdict


def _denial(policies: Iterable[CompiledPolicy], primitive: Primitive, verb: Verb, name: str) -> Decision | None:
    for policy in policies:
        for rule in policy.deny:
            if rule.matches(primitive, verb, name):
                return Decision(False, DecisionReason.DENIED, policy.identity, rule.name)
    return None


def _judge_tier(tier: Sequence[CompiledPolicy], primitive: Primitive, verb: Verb, name: str) -> Decision:
    denial = _denial(tier, primitive, verb, name)
    if denial is not None:
        return denial
    closing = [policy for policy in tier if policy.closes]
    if not closing:
        return _OPEN
    for policy in closing:
        for rule in policy.allow:
            if rule.matches(primitive, verb, name):
                return Decision(True, DecisionReason.ALLOWED, policy.identity, rule.name)
    return Decision(False, DecisionReason.NOT_ALLOWED, closing[0].identity)
