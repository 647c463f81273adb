"""The conditions of a rule besides the names.

They are subjects, scopes, an expression, and constraints on arguments.

What depends on the caller alone is decided once for each principal; the rest is a residual condition, decided for each
message. A condition is three-valued: an error never lets an Allow rule match, and makes a Deny rule match.
"""

import enum
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from ostiary_core.contract.access import AccessRuleConfig
from ostiary_core.policy.arguments import ArgumentConstraint, ConstrainedArguments
from ostiary_core.policy.expressions import Expression, ExpressionContext, ExpressionResult
from ostiary_core.policy.principal import Principal
from ostiary_core.policy.principal_conditions import PrincipalConditions
from ostiary_core.policy.subjects import Subject, evaluate_subjects

_TRUE: Final = ExpressionResult.TRUE
_FALSE: Final = ExpressionResult.FALSE
_ERROR: Final = ExpressionResult.ERROR


class Call:
    """One message, as conditions read it.

    What expressions and constraints read of it is prepared once, when first needed.

    ``request`` has the JSON-RPC ``method``, the ``name`` or URI, and the ``host`` and ``path`` of the request.
    ``headers`` must not contain credentials.
    """

    __slots__ = ("_constrained", "_context", "arguments", "headers", "principal", "request")

    def __init__(
        self,
        principal: Principal,
        *,
        arguments: Mapping[str, Any],
        headers: Mapping[str, str],
        request: Mapping[str, str],
    ) -> None:
        self.principal = principal
        self.arguments = arguments
        self.headers = headers
        self.request = request
        self._context: ExpressionContext | None = None
        self._constrained: ConstrainedArguments | None = None

    @property
    def constrained(self) -> ConstrainedArguments:
        """The arguments, as constraints read them."""
        if self._constrained is None:
            self._constrained = ConstrainedArguments(self.arguments)
        return self._constrained

    def context_for(self, expression: Expression) -> ExpressionContext:
        """Return the values of the variables that an expression reads."""
        if not expression.needs_message:
            return ExpressionContext.of_principal(self.principal)
        return self.message_context()

    def message_context(self) -> ExpressionContext:
        """Return the values of all variables.

        All expressions of one message share a budget of steps.
        """
        if self._context is None:
            self._context = ExpressionContext.of_message(
                self.principal, args=self.arguments, headers=self.headers, request=self.request
            )
        return self._context


class RuleState(enum.IntEnum):
    """What is known about a rule, once the caller is known."""

    APPLIES = 0
    """Only the names decide."""
    CONDITIONAL = 1
    """The message decides."""
    DROPPED = 2
    """It does not match this caller."""
    LACKS_SCOPES = 3
    """An Allow rule that would match if the caller had more scopes."""
    FAILED = 4
    """An expression failed: it does not allow, and it denies."""


@dataclass(frozen=True, slots=True)
class RuleCondition:
    """The conditions of one rule: all must hold."""

    subjects: tuple[Subject, ...] | None = None
    scopes: frozenset[str] = frozenset()
    when: Expression | None = None
    arguments: tuple[ArgumentConstraint, ...] = ()

    @classmethod
    def build(cls, rule: AccessRuleConfig, subjects: tuple[Subject, ...] | None) -> "RuleCondition | None":
        """Compile the conditions of a rule of the contract; None where it has none.

        Raises:
            ExpressionError: its expression is not valid.
            PatternError: a constraint is not valid.
        """
        made = cls(
            subjects=subjects,
            scopes=frozenset(rule.scopes or ()),
            when=Expression.compile(rule.when) if rule.when is not None else None,
            arguments=tuple(map(ArgumentConstraint.build, rule.arguments or ())),
        )
        return made if made != _NONE else None

    @property
    def weight(self) -> int:
        """The cost of judging, in instructions.

        It is without the subjects, which the rules of a policy share.
        """
        return (self.when.weight if self.when is not None else 0) + sum(each.weight for each in self.arguments)

    @property
    def residual(self) -> "RuleCondition | None":
        """What is left to decide for each message."""
        when = self.when if self.when is not None and self.when.needs_message else None
        if when is None and not self.arguments:
            return None
        return replace(self, subjects=None, scopes=frozenset(), when=when)

    def state(self, known: PrincipalConditions, *, denies: bool) -> RuleState:
        """Decide what depends on the caller alone."""
        result = self._of_principal(known)
        has_scopes = self.scopes <= known.principal.scopes
        if result is _FALSE or (denies and not has_scopes):
            return RuleState.DROPPED
        if not denies and result is _ERROR:
            return RuleState.FAILED
        if not has_scopes:
            return RuleState.LACKS_SCOPES
        if self.residual is not None:
            return RuleState.CONDITIONAL
        return RuleState.FAILED if result is _ERROR else RuleState.APPLIES

    def _of_principal(self, known: PrincipalConditions) -> ExpressionResult:
        results = [evaluate_subjects(self.subjects, known)] if self.subjects is not None else []
        if self.when is not None and not self.when.needs_message:
            results.append(known.evaluate(self.when))
        return _FALSE if _FALSE in results else _ERROR if _ERROR in results else _TRUE

    def evaluate(self, call: Call) -> ExpressionResult:
        """Decide the condition for a message."""
        results = self._of_caller(call.principal) if self.subjects is not None or self.scopes else []
        results += [constraint.evaluate(call.constrained) for constraint in self.arguments]
        if self.when is not None and _FALSE not in results:
            results.append(self.when.evaluate(call.context_for(self.when)))
        return _FALSE if _FALSE in results else _ERROR if _ERROR in results else _TRUE

    def _of_caller(self, principal: Principal) -> list[ExpressionResult]:
        known = PrincipalConditions(principal)
        results = [evaluate_subjects(self.subjects, known)] if self.subjects is not None else []
        return results if self.scopes <= principal.scopes else [_FALSE]

    def unmet(self, call: Call) -> tuple[str, ...]:
        """Return what the arguments of a call must be to meet this condition, and are not."""
        return tuple(
            each.requirement(call.constrained)
            for each in self.arguments
            if each.evaluate(call.constrained) is not _TRUE
        )


_NONE: Final = RuleCondition()
