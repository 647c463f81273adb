"""The access rules of one policy, compiled once and shared by every proxy that it governs."""

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, TypeAlias

from ostiary_core.content.policy_content import PolicyContentRules
from ostiary_core.contract.access import AccessRuleConfig
from ostiary_core.contract.audit import AuditConfig
from ostiary_core.contract.authentication import AuthenticationConfig
from ostiary_core.contract.documents import PolicyDocument, Tier
from ostiary_core.errors import ExpressionError, PatternError
from ostiary_core.limits.compiled_limit import CompiledLimit
from ostiary_core.limits.loop_detection import LoopRule
from ostiary_core.mcp.methods import VERBS, Primitive, Verb
from ostiary_core.policy.cost_limits import POLICY_WEIGHT
from ostiary_core.policy.message_conditions import RuleCondition, RuleState
from ostiary_core.policy.name_matcher import ANY_NAME, NameMatcher
from ostiary_core.policy.principal_conditions import PrincipalConditions
from ostiary_core.policy.subjects import Subject
from ostiary_core.policy.uri_readings import rule_names

#: What is done, and to what.
Pair: TypeAlias = tuple[Primitive, Verb]
#: One object for all rules without scopes: Python makes a new one each time.
_NO_SCOPES: Final[frozenset[str]] = frozenset()


@dataclass(frozen=True, slots=True)
class CompiledRule:
    """One rule, and what it says of names by (primitive, verb).

    A gateway holds tens of thousands of rules, so they share what is the same in many: ``places`` says for each pair
    which of ``matchers`` judges its names. The rule does not govern an absent pair. Its ``condition``, if any, must
    hold as well. ``failed`` says that it applies because an expression failed; ``scopes`` are all that its condition
    demands.
    """

    name: str
    places: Mapping[Pair, int]
    matchers: tuple[NameMatcher, ...]
    condition: RuleCondition | None = None
    failed: bool = False
    scopes: frozenset[str] = _NO_SCOPES
    _residual: "CompiledRule | None" = field(default=None, init=False, repr=False, compare=False)
    _sizes: Mapping[Primitive, int] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        sizes = _NO_SIZES if not any(matcher.size for matcher in self.matchers) else self._most_of_each()
        object.__setattr__(self, "_sizes", sizes)

    def _most_of_each(self) -> dict[Primitive, int]:
        sizes: dict[Primitive, int] = {}
        for (primitive, _), place in self.places.items():
            sizes[primitive] = max(sizes.get(primitive, 0), self.matchers[place].size)
        return sizes

    @classmethod
    def build(cls, rule: AccessRuleConfig, subjects: tuple[Subject, ...] | None = None) -> "CompiledRule":
        """Compile a rule of the contract, for the callers of ``subjects``.

        Raises:
            PatternError: a pattern or a constraint on arguments is invalid.
            ExpressionError: a condition is invalid.
        """
        verbs: list[tuple[Primitive, tuple[Verb, ...]]] = []
        matchers: list[NameMatcher] = []
        for primitive in Primitive:
            selection = rule.selection(primitive)
            if selection is not None:
                names = selection.names
                if primitive is Primitive.RESOURCES:
                    names = rule_names(names, denies=rule.effect == "Deny")
                matchers.append(NameMatcher.build(names, selection.patterns))
                verbs.append((primitive, tuple(selection.verbs or VERBS[primitive])))
        condition = RuleCondition.build(rule, subjects)
        selected = (_places(tuple(verbs)), tuple(matchers)) if matchers else (_EVERYWHERE, (ANY_NAME,))
        return cls(rule.name, *selected, condition, scopes=frozenset(rule.scopes) if rule.scopes else _NO_SCOPES)

    @property
    def weight(self) -> int:
        """The cost of the rule, in instructions."""
        names = sum(matcher.weight for matcher in self.matchers)
        return names + (self.condition.weight if self.condition is not None else 0)

    def state(self, known: PrincipalConditions, *, denies: bool) -> RuleState:
        """Decide what depends on the caller alone."""
        return self.condition.state(known, denies=denies) if self.condition is not None else RuleState.APPLIES

    def residual(self) -> "CompiledRule":
        """Return the rule without the conditions that depend on the caller alone, which hold.

        It is always the same object: a policy is specialised for many callers.
        """
        if self.condition is None:
            return self
        if self._residual is None:
            object.__setattr__(self, "_residual", replace(self, condition=self.condition.residual))
        assert self._residual is not None  # noqa: S101  set above
        return self._residual

    def size(self, primitive: Primitive) -> int:
        """Return the instructions that judge a name of this primitive."""
        return self._sizes.get(primitive, 0)

    def matcher(self, pair: Pair) -> NameMatcher | None:
        """Return what judges the names of a pair; None where the rule does not govern it."""
        place = self.places.get(pair)
        return self.matchers[place] if place is not None else None

    def matches(self, primitive: Primitive, verb: Verb, name: str) -> bool:
        """Return whether the rule applies to this pair and name."""
        place = self.places.get((primitive, verb))
        return place is not None and self.matchers[place].matches(name)


_NO_SIZES: Final[Mapping[Primitive, int]] = {}
#: Of a rule that selects nothing, and so governs everything.
_EVERYWHERE: Final = {(primitive, verb): 0 for primitive, verbs in VERBS.items() for verb in verbs}


@functools.cache
def _places(selected: tuple[tuple[Primitive, tuple[Verb, ...]], ...]) -> Mapping[Pair, int]:
    """Return where the matcher of each pair is, for the verbs that a rule selects.

    Rules share the result: there are few combinations.
    """
    return {(primitive, verb): place for place, (primitive, verbs) in enumerate(selected) for verb in verbs}


#: What is known about each rule of each policy once the caller is known: Allow rules, then Deny rules.
RuleStates: TypeAlias = tuple[tuple[RuleState, ...], ...]


@dataclass(frozen=True, slots=True)
class CompiledPolicy:
    """One policy, compiled once and shared by every proxy that it governs.

    ``authentication`` is None where the policy does not authenticate callers, or is in shadow mode.

    ``lacking`` and ``failed`` are Allow rules that do not allow, in a policy that is specialised for a caller: those
    for which it lacks scopes, and those with an expression that failed. ``limits`` count callers of ``subjects``, None
    for everyone. ``content`` is None where the policy has no masks, guards, transformations and validation.
    """

    identity: str
    tier: Tier
    closes: bool
    allow: tuple[CompiledRule, ...]
    deny: tuple[CompiledRule, ...]
    weight: int = 0
    authentication: AuthenticationConfig | None = None
    generation: int = 0
    is_shadow: bool = False
    audit: AuditConfig | None = None
    lacking: tuple[CompiledRule, ...] = ()
    failed: tuple[CompiledRule, ...] = ()
    subjects: tuple[Subject, ...] | None = None
    limits: tuple[CompiledLimit, ...] = ()
    loop_rule: LoopRule | None = None
    content: PolicyContentRules | None = None

    @classmethod
    def build(cls, document: PolicyDocument) -> "CompiledPolicy":
        """Compile a policy document.

        Raises:
            PatternError: a pattern of one of its rules or limits is invalid, or all of them together weigh too much.
            ExpressionError: a condition or a weight is invalid; the message names subject, rule or limit.
            ContractError: the time zone of a limit is unknown here.
        """
        rules = document.access.rules if document.access is not None else ()
        subjects = _subjects(document)
        allow: list[CompiledRule] = []
        deny: list[CompiledRule] = []
        weight = sum(subject.weight for subject in subjects or ())
        for position, rule in enumerate(rules):
            compiled = _rule(rule, position, subjects)
            weight += compiled.weight
            _require_light(f"rule {rule.name}", weight)
            (allow if rule.effect == "Allow" else deny).append(compiled)
        limits = _limits(document, weight)
        weight += sum(limit.weight for limit in limits)
        content = PolicyContentRules.build(document, subjects)
        if content is not None:
            weight += content.weight
            _require_light("the rules about content", weight)
        return cls(
            identity=document.identity,
            tier=document.tier,
            closes=document.access is not None and (not rules or bool(allow)),
            allow=tuple(allow),
            deny=tuple(deny),
            weight=weight,
            authentication=document.authentication if document.mode is None else None,
            generation=document.generation,
            is_shadow=document.mode == "Shadow",
            audit=document.audit,
            subjects=subjects,
            limits=limits,
            loop_rule=LoopRule.build(document, subjects),
            content=content,
        )

    @property
    def depends_on_caller(self) -> bool:
        """Whether a rule has a condition."""
        return any(rule.condition is not None for rule in (*self.allow, *self.deny))

    def states(self, known: PrincipalConditions) -> tuple[RuleState, ...]:
        """Decide what depends on the caller alone, for each Allow rule and then each Deny rule."""
        allow = [rule.state(known, denies=False) for rule in self.allow]
        return (*allow, *(rule.state(known, denies=True) for rule in self.deny))

    def specialised(self, states: Sequence[RuleState]) -> "CompiledPolicy":
        """Return the policy for the callers with these states; it closes its tier as before."""
        allow = list(zip(self.allow, states, strict=False))
        deny = zip(self.deny, states[len(self.allow) :], strict=True)
        kept = {RuleState.APPLIES, RuleState.CONDITIONAL}
        return replace(
            self,
            allow=tuple(rule.residual() for rule, state in allow if state in kept),
            lacking=tuple(rule.residual() for rule, state in allow if state is RuleState.LACKS_SCOPES),
            failed=tuple(rule for rule, state in allow if state is RuleState.FAILED),
            deny=tuple(
                replace(rule.residual(), failed=True) if state is RuleState.FAILED else rule.residual()
                for rule, state in deny
                if state is not RuleState.DROPPED
            ),
        )

    def size(self, primitive: Primitive) -> int:
        """Return the instructions that judge a name of this primitive."""
        return sum(rule.size(primitive) for rule in (*self.allow, *self.deny, *self.lacking, *self.failed))

    def listing(self, primitive: Primitive) -> tuple[object, ...]:
        """Return what decides which names of a primitive are visible.

        It is compared with that of another policy, and empty where this policy hides no name.
        """
        pair = (primitive, Verb.LIST)
        shown = [rule.matcher(pair) for rule in self.allow if pair in rule.places]
        hidden = [rule.matcher(pair) for rule in self.deny if pair in rule.places and rule.condition is None]
        narrowed = [
            (rule.places, rule.matchers, rule.condition.arguments) for rule in self.allow if rule.condition is not None
        ]
        return (self.tier, self.closes, shown, hidden, narrowed) if self.closes or hidden else ()


def _subjects(document: PolicyDocument) -> tuple[Subject, ...] | None:
    if document.subjects is None:
        return None
    found = []
    for position, subject in enumerate(document.subjects):
        try:
            found.append(Subject.build(subject))
        except ExpressionError as error:
            raise error.within(f"spec.subjects[{position}].when") from None
    return tuple(found)


def _rule(rule: AccessRuleConfig, position: int, subjects: tuple[Subject, ...] | None) -> CompiledRule:
    try:
        return CompiledRule.build(rule, subjects)
    except ExpressionError as error:
        raise error.within(f"spec.access.rules[{position}].when of rule {rule.name}") from None


def _limits(document: PolicyDocument, weight: int) -> tuple[CompiledLimit, ...]:
    """Compile the limits; ``weight`` is that of everything before them."""
    found = []
    for position, limit in enumerate(document.limits or ()):
        try:
            compiled = CompiledLimit.build(limit, document)
        except ExpressionError as error:
            raise error.within(f"spec.limits[{position}].{error.field}") from None
        weight += compiled.weight
        _require_light(f"limit {limit.name}", weight)
        found.append(compiled)
    return tuple(found)


def _require_light(last: str, weight: int) -> None:
    if weight > POLICY_WEIGHT:
        raise PatternError(
            f"with {last}, patterns and names with an inner * compile to more than {POLICY_WEIGHT} instructions: "
            "write fewer or shorter ones, smaller repetitions, or a * at one end only; conditions and constraints on "
            "arguments count too"
        )
