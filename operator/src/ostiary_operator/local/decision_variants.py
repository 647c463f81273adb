"""Decisions on a call if one thing were otherwise.

That is another caller, rule or entry. Each is made by the evaluator itself, on changed documents.
"""

import enum
from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple

from ostiary_core.contract.access import AccessRuleConfig, AccessRulesConfig, SelectionConfig
from ostiary_core.contract.documents import EntryDocument, PolicyDocument
from ostiary_core.mcp.methods import Primitive
from ostiary_core.policy.access import AccessEvaluator
from ostiary_core.policy.compiled_policy import CompiledPolicy
from ostiary_core.policy.decision_trace import DecisionTrace, RuleTrace, trace
from ostiary_core.policy.principal import Principal
from ostiary_core.policy.visibility import Visibility
from ostiary_operator.local.explanation import Explanation, sent_message

RuleEdit = Callable[[AccessRuleConfig], AccessRuleConfig | None]
"""Returns the changed rule, or None to remove it."""


class ChangedPart(enum.StrEnum):
    """What would have to change, and so who can do it."""

    CALLER = "Caller"
    CALL = "Call"
    POLICY = "Policy"
    PROXY = "Proxy"
    GATEWAY = "Gateway"


class DecisionChange(NamedTuple):
    """A change that would turn a decision, or that is needed for it.

    ``policy`` and ``rule`` are those that it is about, empty for none. ``step`` numbers the reasons of a refusal from
    1. ``is_enough`` says that the evaluator decides otherwise with this change alone.
    """

    part: ChangedPart
    words: str
    policy: str = ""
    rule: str = ""
    step: int = 1
    is_enough: bool = False

    def as_object(self) -> dict[str, Any]:
        """The change as a JSON object."""
        named = {"policy": self.policy or None, "rule": self.rule or None}
        return {"part": self.part.value, "words": self.words, **named, "step": self.step, "isEnough": self.is_enough}


class Variant(NamedTuple):
    """What is otherwise; an absent member is as it is.

    ``policy`` replaces the one of its name, or is added.
    """

    principal: Principal | None = None
    entry: EntryDocument | None = None
    policy: PolicyDocument | None = None


class Candidate(NamedTuple):
    """A change, and what is otherwise with it: None where the evaluator cannot know it.

    ``is_optional`` where it is left out unless it is enough alone.
    """

    change: DecisionChange
    variant: Variant | None = None
    is_optional: bool = False


class Variants:
    """Decides a call again where one thing is otherwise; what stays is compiled once."""

    def __init__(self, explanation: Explanation) -> None:
        self.policies = {each.identity: each for each in explanation.proxy.policies}
        self._explained = explanation

    def allows(self, variant: Variant) -> bool:
        """Return whether the rules allow the call then."""
        call, principal = self._explained.call, self._principal(variant)
        view = self._view(variant).for_principal(principal)
        sent = sent_message(self._explained.proxy, principal, call)
        return view.decide(call.primitive, call.verb, call.name, sent).allowed

    def rule(self, principal: Principal, rule: RuleTrace) -> RuleTrace:
        """Return a rule of the deciding reading as it is for another caller."""
        readings = self._trace(Variant(principal=principal)).readings
        deciding = self._explained.trace.deciding
        rules = (each for reading in readings if deciding and reading.name == deciding.name for each in reading.rules)
        return next((each for each in rules if (each.policy, each.rule) == (rule.policy, rule.rule)), rule)

    def _trace(self, variant: Variant) -> DecisionTrace:
        call, principal = self._explained.call, self._principal(variant)
        sent = sent_message(self._explained.proxy, principal, call)
        return trace(self._view(variant), principal, call.primitive, call.verb, call.name, sent)

    def _principal(self, variant: Variant) -> Principal:
        return variant.principal if variant.principal is not None else self._explained.principal

    def _view(self, variant: Variant) -> Visibility:
        compiled = dict(self._explained.proxy.compiled)
        if variant.policy is not None:
            compiled[variant.policy.identity] = CompiledPolicy.build(variant.policy)
        entry = variant.entry if variant.entry is not None else self._explained.proxy.entry
        return Visibility.of_entry(entry, AccessEvaluator(list(compiled.values())))


def with_rule(policy: PolicyDocument, name: str, edit: RuleEdit) -> PolicyDocument:
    """Return a policy with one of its rules changed or removed."""
    rules = policy.access.rules if policy.access is not None else []
    edited = [edit(rule) if rule.name == name else rule for rule in rules]
    kept = AccessRulesConfig(rules=[rule for rule in edited if rule is not None])
    return policy.model_copy(update={"access": kept})


def with_selection(rule: AccessRuleConfig, primitive: Primitive, selection: SelectionConfig) -> AccessRuleConfig:
    """Return a rule that selects otherwise of one primitive."""
    match primitive:
        case Primitive.TOOLS:
            return replace(rule, tools=selection)
        case Primitive.RESOURCES:
            return replace(rule, resources=selection)
        case Primitive.PROMPTS:
            return replace(rule, prompts=selection)


def enforced(policy: PolicyDocument) -> PolicyDocument:
    """Return a policy that is enforced."""
    return policy.model_copy(update={"mode": None})


def without_conditions(rule: AccessRuleConfig) -> AccessRuleConfig:
    """Return a rule that demands nothing of the message."""
    return replace(rule, when=None, arguments=None)
