"""Conditions of rules: subjects, expressions in CEL, constraints on arguments."""

from collections.abc import Iterable
from typing import Annotated, Self

from pydantic import Field, StrictInt, StrictStr, StringConstraints, model_validator
from pydantic_core import PydanticCustomError

from ostiary_core.contract.access import ArgumentConfig
from ostiary_core.errors import ExpressionError
from ostiary_core.policy.arguments import ArgumentConstraint
from ostiary_core.policy.expressions import MAX_CHARACTERS, MESSAGE_VARIABLES, PRINCIPAL_VARIABLES, Expression
from ostiary_operator.api.base_model import ApiModel
from ostiary_operator.api.constraints import AnyOfTypes, Atomic, Pattern, Rule, Unique, problem
from ostiary_operator.api.names import NamePattern

_KEYWORDS = ("enum", "const", "pattern", "minimum", "maximum", "max_length")

MAX_ALL_CHARACTERS = 16_384
"""Characters of all expressions of one policy: each takes time to compile."""

ExpressionText = Annotated[StrictStr, StringConstraints(min_length=1, max_length=MAX_CHARACTERS)]
"""An expression in CEL that returns a bool."""

Scope = Annotated[
    StrictStr,
    StringConstraints(min_length=1, max_length=128),
    Pattern(r"^[!#-\[\]-~]+$", "is not an OAuth scope", "use printable ASCII without spaces, quotes and backslashes"),
]
"""An OAuth scope (RFC 6749 §3.3)."""

ConsumerName = Annotated[StrictStr, StringConstraints(min_length=1, max_length=253)]
GroupName = Annotated[StrictStr, StringConstraints(min_length=1, max_length=253)]
MemberName = Annotated[StrictStr, StringConstraints(min_length=1, max_length=128)]
_TEXT_LIMIT = 512
_LARGEST = 2**63


def _is_number(value: object) -> bool:
    """Whether a value is a number that JSON and every reader of it can represent."""
    return type(value) in (int, float) and -_LARGEST <= value < _LARGEST  # type: ignore[operator]  # NaN is not


def _is_scalar(value: object) -> bool:
    return isinstance(value, bool) or _is_number(value) or (isinstance(value, str) and len(value) <= _TEXT_LIMIT)


Scalar = Annotated[
    str | int | float | bool,
    AnyOfTypes(
        (("x-kubernetes-preserve-unknown-fields", True),),
        _is_scalar,
        f"must be a number of 64 bits, true, false, or text of at most {_TEXT_LIMIT} characters",
        "for lists and mappings write a condition in when",
    ),
]
"""A string, number or boolean."""

Number = Annotated[
    int | float,
    AnyOfTypes((("type", "number"),), _is_number, "must be a number of 64 bits", "write digits without quotes"),
]
"""An integer or a number with a fraction."""


def check_expression(text: str | None, *, principal_only: bool, where: str = "") -> None:
    """Check an expression, if there is one; ``where`` names the rule.

    Raises:
        PydanticCustomError: it cannot be used; the message has line and column.
    """
    if text is None:
        return
    try:
        Expression.compile(text, principal_only=principal_only)
    except ExpressionError as error:
        known = PRINCIPAL_VARIABLES if principal_only else {**PRINCIPAL_VARIABLES, **MESSAGE_VARIABLES}
        raise expression_problem(error, returns="a bool", known=known, below=("when",), where=where) from None


def expression_problem(
    error: ExpressionError, *, returns: str, known: Iterable[str], below: tuple[int | str, ...], where: str = ""
) -> PydanticCustomError:
    """Return the error about an expression; ``known`` are the variables that it may read."""
    place = f"line {error.line}, column {error.column}" if error.line else "the expression"
    remedy = f"write CEL that returns {returns} and reads {', '.join(sorted(known))}"
    return problem(f"{place}{where}: {error.problem}", remedy, below=below)


class PolicySubject(ApiModel):
    """Callers that a policy governs: those that match all of its fields."""

    consumers: Annotated[tuple[ConsumerName, ...], Field(min_length=1, max_length=64), Unique()] | None = None
    """Names of consumers, as the authentication of a policy in the same namespace establishes them: without the
    namespace that `ostiary whoami` shows before them. Absent means every caller. Example: `[support-agent]`."""

    groups: Annotated[tuple[GroupName, ...], Field(min_length=1, max_length=64), Unique()] | None = None
    """Groups, of which a caller must be in at least one. Absent means every caller. Example: `[support]`."""

    when: ExpressionText | None = None
    """CEL expression that must be true. It reads `claims`, `consumer`, `groups`, `scopes` and `authenticated`. If it
    fails, Allow rules of the policy do not match the caller, and Deny rules do.
    Example: `claims.department == "support"`."""

    constraints = (
        Rule(
            "has(self.consumers) || has(self.groups) || has(self.when)",
            lambda it: it.consumers is not None or it.groups is not None or it.when is not None,
            "names no caller",
            "set consumers, groups or when; for every caller remove the field subjects",
        ),
    )

    @model_validator(mode="after")
    def _check_expression(self) -> Self:
        check_expression(self.when, principal_only=True)
        return self


class ArgumentRule(ApiModel):
    """A constraint on one argument of a call. An absent argument does not meet it."""

    path: Annotated[tuple[MemberName, ...], Field(min_length=1, max_length=8), Atomic()]
    """Names of the members that lead to the argument. Example: `[recipient, country]`."""

    enum: Annotated[tuple[Scalar, ...], Field(min_length=1, max_length=64), Atomic()] | None = None
    """Values that are permitted. Example: `[EUR, CHF]`."""

    const: Scalar | None = None
    """The only value that is permitted. Example: `false`."""

    pattern: NamePattern | None = None
    """RE2 expression that some part of the text must match; `^` and `$` anchor it to the whole.
    Example: `^[A-Z]{3}-[0-9]+$`."""

    minimum: Number | None = None
    """The smallest number that is permitted. Example: `1`."""

    maximum: Number | None = None
    """The largest number that is permitted. Example: `1000`."""

    max_length: Annotated[StrictInt, Field(ge=0, le=1_000_000)] | None = None
    """The most characters that the text may have. Example: `500`."""

    def _config(self) -> ArgumentConfig:
        return ArgumentConfig(
            path=list(self.path),
            enum=list(self.enum) if self.enum is not None else None,
            const=self.const,
            pattern=self.pattern,
            minimum=self.minimum,
            maximum=self.maximum,
            max_length=self.max_length,
        )

    @model_validator(mode="after")
    def _constrains(self) -> Self:
        # CEL of the API server cannot read fields without a type, so only the models check this.
        if all(getattr(self, name) is None for name in _KEYWORDS):
            raise problem("constrains nothing", "set enum, const, pattern, minimum, maximum or maxLength")
        if ArgumentConstraint.build(self._config()).permits_nothing:
            raise problem("permits no value, since its fields contradict each other", "correct or remove one of them")
        return self


def count_characters(rules: object, *, field: str = "rules") -> None:
    """Check the total length of the expressions in raw rules, before any of them is compiled.

    ``field`` is where they are.

    Raises:
        PydanticCustomError: they are too long together.
    """
    texts = [rule.get("when") for rule in rules if isinstance(rule, dict)] if isinstance(rules, list | tuple) else []
    total = sum(len(text) for text in texts if isinstance(text, str))
    if total > MAX_ALL_CHARACTERS:
        message = f"holds expressions of more than {MAX_ALL_CHARACTERS} characters in all"
        raise problem(message, "write fewer or shorter ones", below=(field,))
