"""Traces of decisions: every rule of a proxy, and why it matches a call or not.

This path is for people and slow: `ostiary explain` takes it, the gateway never does. It evaluates each part of each
rule with the evaluator's own parts, and combines them as the definition of access says. The evaluator's decision is
the one that counts; tests prove for all kinds of rules that the trace comes to the same.
"""

import enum
from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

from ostiary_core.catalogue_names import CatalogueNames
from ostiary_core.contract.access import Effect
from ostiary_core.contract.documents import Tier
from ostiary_core.errors import AmbiguousURIError
from ostiary_core.mcp.methods import Primitive, Verb
from ostiary_core.policy.compiled_policy import CompiledPolicy, CompiledRule
from ostiary_core.policy.decision import Decision, DecisionReason
from ostiary_core.policy.exposed_readings import readings_of
from ostiary_core.policy.expressions import ExpressionResult
from ostiary_core.policy.message_conditions import Call, RuleCondition
from ostiary_core.policy.principal import Principal
from ostiary_core.policy.principal_conditions import PrincipalConditions
from ostiary_core.policy.subjects import evaluate_subjects
from ostiary_core.policy.uri_readings import Readings
from ostiary_core.policy.visibility import Visibility

TIERS: Final[tuple[Tier, ...]] = ("platform", "owner")
_TRUE: Final = ExpressionResult.TRUE
_FALSE: Final = ExpressionResult.FALSE
_ERROR: Final = ExpressionResult.ERROR


class RuleOutcome(enum.StrEnum):
    """Whether a rule matches, and if not, the first part of it that does not."""

    MATCHES = "matches"
    POSSIBLE = "possible"
    """Only a message could tell, and a list is none: it shows the name if the rule allows, and if it denies."""
    OTHER_USE = "otherUse"
    NAME = "name"
    SUBJECTS = "subjects"
    CONDITION = "condition"
    ARGUMENTS = "arguments"
    SCOPES = "scopes"
    ERROR = "error"
    """An expression failed: the rule denies, and does not allow."""


class RuleTrace(NamedTuple):
    """One rule of a policy (``namespace/name``), and whether it matches.

    ``missing_scopes`` and ``requirements`` say what the caller lacks, and what the arguments must be.
    """

    policy: str
    tier: Tier
    rule: str
    effect: Effect
    outcome: RuleOutcome
    missing_scopes: frozenset[str] = frozenset()
    requirements: tuple[str, ...] = ()
    is_shadow: bool = False

    @property
    def applies(self) -> bool:
        """Whether the rule has its effect."""
        also = RuleOutcome.ERROR if self.effect == "Deny" else RuleOutcome.POSSIBLE
        return self.outcome in {RuleOutcome.MATCHES, also}


class ReadingTrace(NamedTuple):
    """The rules for one name, or one reading of a URI.

    ``denies_only`` is set for a reading that must not be denied, and need not be allowed.
    """

    name: str
    in_catalogue: bool
    rules: tuple[RuleTrace, ...]
    closed: frozenset[Tier]
    denies_only: bool = False

    @property
    def allowed(self) -> bool:
        """Whether the rules in force allow this reading."""
        enforced = [rule for rule in self.rules if not rule.is_shadow]
        if not self.in_catalogue or any(rule.applies and rule.effect == "Deny" for rule in enforced):
            return False
        allowing = {rule.tier for rule in enforced if rule.applies and rule.effect == "Allow"}
        return self.denies_only or self.closed <= allowing


class DecisionTrace(NamedTuple):
    """A decision, and what led to it.

    ``shadow`` is the refusal that policies in Shadow mode would cause. There are no readings where no rule is judged.
    """

    decision: Decision
    readings: tuple[ReadingTrace, ...]
    shadow: Decision | None = None

    @property
    def deciding(self) -> ReadingTrace | None:
        """The reading that decides: the first that is refused, else the spelling."""
        refused = next((reading for reading in self.readings if not reading.allowed), None)
        return refused if refused is not None else next(iter(self.readings), None)


def trace(
    visibility: Visibility, principal: Principal, primitive: Primitive, verb: Verb, name: str, call: Call | None
) -> DecisionTrace:
    """Trace the decision on a call.

    ``visibility`` is that of the proxy; ``call`` is None for a list.
    """
    view = visibility.for_principal(principal)
    decision = view.decide(primitive, verb, name, call)
    shadow = view.would_deny(primitive, verb, name, call)
    policies = (visibility.shadow or visibility).access.policies
    query = _TracedUse(PrincipalConditions(principal), primitive, verb, None if verb is Verb.LIST else call)
    return DecisionTrace(decision, tuple(_readings(visibility, decision, query, policies, name)), shadow)


class _TracedUse(NamedTuple):
    known: PrincipalConditions
    primitive: Primitive
    verb: Verb
    call: Call | None


def _readings(
    visibility: Visibility, decision: Decision, query: _TracedUse, policies: Iterable[CompiledPolicy], name: str
) -> Iterator[ReadingTrace]:
    if visibility.refusal is not None or decision.reason is DecisionReason.NAME_TOO_LONG:
        return
    policies = list(policies)
    closed = frozenset(policy.tier for policy in policies if policy.closes and not policy.is_shadow)
    catalogue = visibility.catalogue.get(query.primitive)
    names = _names(query.primitive, name, visibility.names)
    for each in names.looked_up:
        is_here = catalogue is None or catalogue.holds(each)
        yield ReadingTrace(each, is_here, tuple(_rules(policies, query, each)), closed)
    for each in names.ends_at:
        is_here = catalogue is None or not catalogue.excludes(each)
        yield ReadingTrace(each, is_here, tuple(_rules(policies, query, each)), closed, denies_only=True)


def _names(primitive: Primitive, name: str, names: CatalogueNames | None) -> Readings:
    try:
        return readings_of(primitive, name, names) or Readings(())
    except AmbiguousURIError:
        return Readings(())


def _rules(policies: Iterable[CompiledPolicy], query: _TracedUse, name: str) -> Iterator[RuleTrace]:
    for tier in TIERS:
        for policy in policies:
            if policy.tier == tier:
                yield from (_rule(policy, rule, "Deny", query, name) for rule in policy.deny)
                yield from (_rule(policy, rule, "Allow", query, name) for rule in policy.allow)


def _rule(policy: CompiledPolicy, rule: CompiledRule, effect: Effect, query: _TracedUse, name: str) -> RuleTrace:
    traced = RuleTrace(policy.identity, policy.tier, rule.name, effect, RuleOutcome.MATCHES, is_shadow=policy.is_shadow)
    if (query.primitive, query.verb) not in rule.places:
        return traced._replace(outcome=RuleOutcome.OTHER_USE)
    if not rule.matches(query.primitive, query.verb, name):
        return traced._replace(outcome=RuleOutcome.NAME)
    return _conditions(traced, rule.condition, query) if rule.condition is not None else traced


def _conditions(traced: RuleTrace, condition: RuleCondition, query: _TracedUse) -> RuleTrace:
    of_caller = list(_caller_parts(condition, query))
    if traced.effect == "Allow" and {result for _, result in of_caller} in ({_ERROR}, {_ERROR, _TRUE}):
        return traced._replace(outcome=RuleOutcome.ERROR)  # decided before the message is known
    parts = of_caller + list(_message_parts(condition, query))
    missing = condition.scopes - query.known.principal.scopes
    unmet = next((outcome for outcome, result in parts if result is _FALSE), None)
    if unmet is not None:
        return traced._replace(outcome=unmet, requirements=_requirements(condition, query, unmet))
    failed, unknown = (any(result is each for _, result in parts) for each in (_ERROR, None))
    if missing and (traced.effect == "Deny" or not failed):
        return traced._replace(outcome=RuleOutcome.SCOPES, missing_scopes=missing)
    # A list has no message, so no condition on it can fail: it neither hides a name nor shows one that failed before.
    if unknown and (traced.effect == "Deny" or not failed):
        return traced._replace(outcome=RuleOutcome.POSSIBLE)
    if traced.effect == "Allow" and (RuleOutcome.ARGUMENTS, _ERROR) in parts:
        outcome = RuleOutcome.ARGUMENTS  # of another type or spelling: the caller can correct that
        return traced._replace(outcome=outcome, requirements=_requirements(condition, query, outcome))
    return traced._replace(outcome=RuleOutcome.ERROR) if failed else traced


def _requirements(condition: RuleCondition, query: _TracedUse, unmet: RuleOutcome) -> tuple[str, ...]:
    return condition.unmet(query.call) if query.call is not None and unmet is RuleOutcome.ARGUMENTS else ()


def _caller_parts(condition: RuleCondition, query: _TracedUse) -> Iterator[tuple[RuleOutcome, ExpressionResult | None]]:
    """Yield the results of the parts that the caller alone decides, besides the scopes."""
    if condition.subjects is not None:
        yield RuleOutcome.SUBJECTS, evaluate_subjects(condition.subjects, query.known)
    if condition.when is not None and not condition.when.needs_message:
        yield RuleOutcome.CONDITION, query.known.evaluate(condition.when)


def _message_parts(
    condition: RuleCondition, query: _TracedUse
) -> Iterator[tuple[RuleOutcome, ExpressionResult | None]]:
    """Yield the results of the parts that the message decides; None where there is none."""
    call = query.call
    if condition.when is not None and condition.when.needs_message:
        context = call.context_for(condition.when) if call is not None else None
        yield RuleOutcome.CONDITION, condition.when.evaluate(context) if context is not None else None
    for constraint in condition.arguments:
        yield RuleOutcome.ARGUMENTS, constraint.evaluate(call.constrained) if call is not None else None
