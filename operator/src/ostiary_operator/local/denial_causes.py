"""Why a call is denied, as steps: of each step one change is needed before it is allowed."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from ostiary_core.contract.access import AccessRuleConfig, AccessRulesConfig, SelectionConfig
from ostiary_core.contract.documents import PolicyDocument, Tier
from ostiary_core.policy.decision import DecisionReason
from ostiary_core.policy.decision_trace import TIERS, ReadingTrace, RuleOutcome, RuleTrace
from ostiary_core.policy.principal import Principal
from ostiary_operator.local.console import printable
from ostiary_operator.local.decision_variants import (
    Candidate,
    ChangedPart,
    DecisionChange,
    Variant,
    Variants,
    with_rule,
    with_selection,
    without_conditions,
)
from ostiary_operator.local.described_caller import DESCRIBED
from ostiary_operator.local.explanation import Explanation, why

_SHOWN: Final = 300
#: The name of what is proposed.
_PROPOSED: Final = "allow-it"
#: The rules of a tier that are looked at: each costs evaluations.
_NEAR_RULES: Final = 5
#: The parts of a rule that may fail one after another: subjects, then scopes, then the message.
_PARTS: Final = 3
_LOST: Final = "let spec.routing, or the prefixes of spec.servers, lead it to a server"
_SPELLING: Final = "spell the URI so that every server reads it alike: without dot segments and needless escapes"
_NEVER_ACCEPTED: Final = "correct the policy that was never accepted: `ostiary status` names it"
_LEAVE_OUT: Final = "let this rule leave out the name, the caller or the message"
#: The outcomes of Allow rules that do not apply, by how little is missing.
_NEARNESS: Final = {
    RuleOutcome.SCOPES: 0,
    RuleOutcome.ARGUMENTS: 1,
    RuleOutcome.CONDITION: 2,
    RuleOutcome.ERROR: 3,
    RuleOutcome.SUBJECTS: 4,
}
_OF_MESSAGE: Final = frozenset({RuleOutcome.ARGUMENTS, RuleOutcome.CONDITION, RuleOutcome.ERROR})


def steps_that_allow(explanation: Explanation, variants: Variants) -> Iterator[list[Candidate]]:
    """Yield the changes of each step."""
    if not explanation.is_authenticated:
        admitting = ", ".join(sorted(explanation.proxy.authentication))
        words = f"send a credential that the authentication of {admitting} admits"
        yield [Candidate(DecisionChange(ChangedPart.CALLER, words))]
        return
    if explanation.is_lost:
        yield [Candidate(DecisionChange(ChangedPart.PROXY, _LOST))]
    before_rules = list(_before_rules(explanation))
    if before_rules:
        yield before_rules
    elif explanation.trace.deciding is not None:
        yield from _of_reading(explanation, variants, explanation.trace.deciding)


def _before_rules(explanation: Explanation) -> Iterator[Candidate]:
    """Yield changes for a refusal before any rule."""
    entry = explanation.proxy.entry
    match explanation.trace.decision.reason:
        case DecisionReason.POLICY_INVALID:
            valid = Variant(entry=entry.model_copy(update={"invalid": False}))
            yield Candidate(DecisionChange(ChangedPart.POLICY, _NEVER_ACCEPTED), valid)
        case DecisionReason.NO_POLICY:
            opened = Variant(entry=entry.model_copy(update={"without_policy": "Allow"}))
            words = "create an MCPPolicy that targets the MCPProxy and allows it"
            yield Candidate(DecisionChange(ChangedPart.POLICY, words), opened)
            words = "set withoutPolicy: Allow in the settings of the gateway"
            yield Candidate(DecisionChange(ChangedPart.GATEWAY, words), opened)
        case DecisionReason.AMBIGUOUS_URI:
            yield Candidate(DecisionChange(ChangedPart.CALL, _SPELLING))
        case DecisionReason.NAME_TOO_LONG:
            yield Candidate(DecisionChange(ChangedPart.CALL, "use a shorter name"))
        case _:
            return


def _of_reading(explanation: Explanation, variants: Variants, reading: ReadingTrace) -> Iterator[list[Candidate]]:
    if not reading.in_catalogue:
        change = DecisionChange(ChangedPart.PROXY, "let spec.catalogue of the MCPProxy include the name")
        yield [Candidate(change, Variant(entry=explanation.proxy.entry.model_copy(update={"catalogue": None})))]
    rules = [rule for rule in reading.rules if not rule.is_shadow]
    for rule in rules:
        if rule.effect == "Deny" and rule.applies:
            edited = with_rule(variants.policies[rule.policy], rule.rule, lambda each: _elsewhere(each, explanation))
            yield [Candidate(_change(rule, ChangedPart.POLICY, _LEAVE_OUT), Variant(policy=edited))]
    allowing = {rule.tier for rule in rules if rule.effect == "Allow" and rule.applies}
    for tier in TIERS:
        if tier in reading.closed and tier not in allowing and not reading.denies_only:
            yield list(_of_tier(explanation, variants, [rule for rule in rules if rule.tier == tier], tier))


def _change(rule: RuleTrace, part: ChangedPart, words: str) -> DecisionChange:
    return DecisionChange(part, printable(words, limit=_SHOWN), rule.policy, rule.rule)


def _of_tier(explanation: Explanation, variants: Variants, rules: list[RuleTrace], tier: Tier) -> Iterator[Candidate]:
    """Yield what would make some rule of a tier allow the call: the nearest rules first."""
    near = [rule for rule in rules if rule.effect == "Allow" and rule.outcome in _NEARNESS]
    for rule in sorted(near, key=lambda rule: _NEARNESS[rule.outcome])[:_NEAR_RULES]:
        yield _fulfilled(explanation, variants, rule)
    yield from _proposed(explanation, tier)


def _fulfilled(explanation: Explanation, variants: Variants, rule: RuleTrace) -> Candidate:
    """Return what the caller and the call must be like, so that an Allow rule applies."""
    principal, policy, words, judged = explanation.principal, variants.policies[rule.policy], list[str](), rule
    for _ in range(_PARTS):
        lacking = _lacking(policy, principal, judged)
        if lacking is None:
            break
        principal, more = lacking
        words.append(more)
        judged = variants.rule(principal, rule)
    if judged.outcome in _OF_MESSAGE:
        edited = with_rule(policy, rule.rule, without_conditions)
        words.append(f"the call must meet: {why(explanation, judged)}")
        change = _change(rule, ChangedPart.CALL, ", and ".join(words))
        return Candidate(change, Variant(principal=principal, policy=edited))
    change = _change(rule, ChangedPart.CALLER, ", and ".join(words) or "the caller must meet spec.subjects")
    return Candidate(change, Variant(principal=principal))


def _lacking(policy: PolicyDocument, principal: Principal, rule: RuleTrace) -> tuple[Principal, str] | None:
    """Return a caller that meets the first part which fails, and what it has more.

    None where nothing that it could have meets it.
    """
    if rule.outcome is RuleOutcome.SCOPES:
        scoped = replace(_known(principal), scopes=principal.scopes | rule.missing_scopes)
        return scoped, f"the caller needs the scopes {', '.join(sorted(rule.missing_scopes))}"
    if rule.outcome is RuleOutcome.SUBJECTS:
        return next(_subjects(policy, principal), None)
    return None


def _known(principal: Principal) -> Principal:
    """Return a caller that can hold scopes and groups: the anonymous one cannot."""
    return principal if principal.authenticated else Principal(id=DESCRIBED, method="described")


def _subjects(policy: PolicyDocument, principal: Principal) -> Iterator[tuple[Principal, str]]:
    """Yield callers that meet a subject of a policy, with what they have more."""
    for subject in policy.subjects or ():
        caller, words = _known(principal), []
        if subject.consumers and caller.consumer not in subject.consumers:
            caller = replace(caller, consumer=subject.consumers[0])
            words.append(f"be one of the consumers {', '.join(subject.consumers)}")
        if subject.groups and not caller.groups & set(subject.groups):
            caller = replace(caller, groups=caller.groups | {subject.groups[0]})
            words.append(f"be in one of the groups {', '.join(subject.groups)}")
        words += [f"meet {subject.when}"] if subject.when and words else []
        if words:
            yield caller, f"the caller must {' and '.join(words)}"


def _elsewhere(rule: AccessRuleConfig, explanation: Explanation) -> AccessRuleConfig:
    """Return a rule that is for another name than that of the call.

    Without any rule the policy would close its tier.
    """
    other = SelectionConfig(names=[f"not-{explanation.call.name}"])
    return with_selection(rule, explanation.call.primitive, other)


def _proposed(explanation: Explanation, tier: Tier) -> Iterator[Candidate]:
    """Yield a new rule in a policy of its own."""
    primitive, name = explanation.call.primitive, explanation.call.name
    if "*" in name:
        return  # in a rule it would select more
    rule = AccessRuleConfig(name=_PROPOSED, effect="Allow")
    rule = with_selection(rule, primitive, SelectionConfig(names=[name]))
    policy = PolicyDocument(
        namespace=explanation.proxy.entry.namespace,
        name=f"{_PROPOSED}-{tier}",
        uid=_PROPOSED,
        generation=1,
        tier=tier,
        access=AccessRulesConfig(rules=[rule]),
    )
    words = f"add a rule to an MCPPolicy of tier {tier}: effect Allow, {primitive} {printable(name, limit=_SHOWN)}"
    yield Candidate(DecisionChange(ChangedPart.POLICY, words), Variant(policy=policy))
