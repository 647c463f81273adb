"""What calls of tools cost, for limits that count cost: `cost` of a limit."""

from typing import Annotated, Final, Self

from pydantic import Field, StrictInt, model_validator

from ostiary_core.errors import ExpressionError
from ostiary_core.policy.expressions import MESSAGE_VARIABLES, PRINCIPAL_VARIABLES, RESULT_VARIABLES
from ostiary_core.policy.number_expression import NumberExpression
from ostiary_operator.api.base_model import ApiModel
from ostiary_operator.api.constraints import Atomic, Rule, problem
from ostiary_operator.api.name_selections import CountedTools
from ostiary_operator.api.quantities import INTEGRAL
from ostiary_operator.api.rule_conditions import MAX_ALL_CHARACTERS, ExpressionText, expression_problem

#: Weights of one limit.
_MOST_WEIGHTS: Final = 16

Amount = Annotated[StrictInt, Field(ge=1, le=1_000_000_000), INTEGRAL]
"""Requests, or units of cost."""


class ToolCost(ApiModel):
    """What calls of some tools cost."""

    tools: CountedTools | None = None
    """Tools whose calls have this cost; absent means all of them. Example: `{names: [summarize]}`."""

    units: Annotated[StrictInt, Field(ge=0, le=1_000_000_000), INTEGRAL] | None = None
    """The cost of each call. Zero makes calls free. Example: `5`."""

    arguments: ExpressionText | None = None
    """CEL expression that returns the cost as a number, from the variables that `when` of a rule reads. It is rounded
    up. Where it fails, or returns less than zero, the call costs 1: convert what a server may accept as another type.
    Example: `double(args.pages) * 2.0`."""

    result: ExpressionText | None = None
    """CEL expression that returns the cost from `result`, the result of the call, and the same variables. A call costs
    1 at first, and the rest once its result is known: it may pass the budget then, and the next call is refused.
    Example: `result.structuredContent.usage.total_tokens`."""

    constraints = (
        Rule(
            "[has(self.units), has(self.arguments), has(self.result)].exists_one(each, each)",
            lambda it: sum(each is not None for each in (it.units, it.arguments, it.result)) == 1,
            "must have exactly one of units, arguments and result",
            "keep one of them; of several costs for one call the largest counts",
        ),
    )

    @model_validator(mode="after")
    def _check_expressions(self) -> Self:
        for field, text in (("arguments", self.arguments), ("result", self.result)):
            if text is not None:
                _check_number(text, field)
        return self


def _check_number(text: str, field: str) -> None:
    try:
        NumberExpression.compile(text, reads_result=field == "result")
    except ExpressionError as error:
        known = {**PRINCIPAL_VARIABLES, **MESSAGE_VARIABLES, **(RESULT_VARIABLES if field == "result" else {})}
        raise expression_problem(error, returns="a number", known=known, below=(field,)) from None


class CostBudget(ApiModel):
    """A budget of cost, for tools that are not equally expensive."""

    budget: Amount
    """How much may be used in each window. Example: `5000`."""

    weights: Annotated[tuple[ToolCost, ...], Field(max_length=_MOST_WEIGHTS), Atomic()] = ()
    """What calls cost; the largest of those that match counts, and 1 where none matches.
    Example: `[{tools: {names: [summarize]}, units: 5}]`."""

    constraints = (
        Rule(
            "!has(self.weights) || self.weights.all(each, !has(each.units) || each.units <= self.budget)",
            lambda it: all(each.units is None or each.units <= it.budget for each in it.weights),
            "has a weight of more units than the budget, so that its tools could never be called",
            "raise budget, or deny the tools with a rule of access",
            field_path=".weights",
        ),
    )


def count_limit_characters(limits: object) -> None:
    """Check the total length of the expressions in raw limits, before any of them is compiled.

    Raises:
        PydanticCustomError: they are too long together.
    """
    budgets = (
        [each.get("cost") for each in limits if isinstance(each, dict)] if isinstance(limits, list | tuple) else []
    )
    weights = [each.get("weights") for each in budgets if isinstance(each, dict)]
    items = [item for each in weights if isinstance(each, list | tuple) for item in each if isinstance(item, dict)]
    texts = [item.get(field) for item in items for field in ("arguments", "result")]
    if sum(len(text) for text in texts if isinstance(text, str)) > MAX_ALL_CHARACTERS:
        message = f"hold expressions of more than {MAX_ALL_CHARACTERS} characters in all"
        raise problem(message, "write fewer or shorter ones", below=("limits",))
