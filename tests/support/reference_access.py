"""A naive evaluator of access: the specification as plainly as possible, without tables, caches or partial evaluation.

It decides one call of one caller from the documents alone. Expressions and constraints are judged by the core, since
their own tests say what they mean.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from ostiary_core.contract.access import AccessRuleConfig, SubjectConfig
from ostiary_core.contract.documents import PolicyDocument
from ostiary_core.policy.arguments import ArgumentConstraint, ConstrainedArguments
from ostiary_core.policy.expressions import Expression, ExpressionContext, ExpressionResult
from ostiary_core.policy.principal import Principal

TRUE, FALSE, ERROR = ExpressionResult.TRUE, ExpressionResult.FALSE, ExpressionResult.ERROR


@dataclass(frozen=True)
class ReferenceCall:
    """One call of a tool by a caller."""

    principal: Principal
    name: str
    arguments: dict[str, Any] = field(default_factory=dict)

    def judge(self, source: str) -> ExpressionResult:
        """The result of an expression."""
        expression = Expression.compile(source)
        if not expression.needs_message:
            return expression.evaluate(ExpressionContext.of_principal(self.principal))
        values = ExpressionContext.of_message(self.principal, args=self.arguments, headers={}, request={})
        return expression.evaluate(values)


def both(results: Sequence[ExpressionResult]) -> ExpressionResult:
    """All conditions together."""
    return FALSE if FALSE in results else ERROR if ERROR in results else TRUE


def governs(subject: SubjectConfig, call: ReferenceCall) -> ExpressionResult:
    """Whether a subject is the caller."""
    results = [TRUE]
    if subject.consumers is not None:
        results.append(TRUE if call.principal.consumer in subject.consumers else FALSE)
    if subject.groups is not None:
        results.append(TRUE if set(subject.groups) & call.principal.groups else FALSE)
    return both([*results, call.judge(subject.when)] if subject.when is not None else results)


def matches(document: PolicyDocument, rule: AccessRuleConfig, call: ReferenceCall) -> ExpressionResult:
    """Whether a rule matches a call."""
    names = rule.tools.names if rule.tools is not None else None
    results = [TRUE if names is None or call.name in names else FALSE]
    if document.subjects is not None:
        found = [governs(subject, call) for subject in document.subjects]
        results.append(TRUE if TRUE in found else ERROR if ERROR in found else FALSE)
    results.append(TRUE if set(rule.scopes or ()) <= call.principal.scopes else FALSE)
    arguments = ConstrainedArguments(call.arguments)
    results += [ArgumentConstraint.build(each).evaluate(arguments) for each in rule.arguments or ()]
    return both([*results, call.judge(rule.when)] if rule.when is not None else results)


def tier_allows(documents: Sequence[PolicyDocument], call: ReferenceCall) -> bool:
    """Whether the enforced policies of one tier allow a call."""
    rules = [(each, rule) for each in documents if each.access is not None for rule in each.access.rules]
    if any(rule.effect == "Deny" and matches(each, rule, call) is not FALSE for each, rule in rules):
        return False
    closed = any(
        each.access is not None and (not each.access.rules or any(rule.effect == "Allow" for rule in each.access.rules))
        for each in documents
    )
    return not closed or any(rule.effect == "Allow" and matches(each, rule, call) is TRUE for each, rule in rules)


def allows(documents: Sequence[PolicyDocument], call: ReferenceCall) -> bool:
    """Whether the policies of a proxy allow a call."""
    enforced = [each for each in documents if each.mode is None]
    return all(tier_allows([d for d in enforced if d.tier == tier], call) for tier in ("platform", "owner"))
