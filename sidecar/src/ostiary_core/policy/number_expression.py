"""Expressions in CEL that return a number: what a call costs.

They have the limits on work of conditions (:mod:`.expressions`). A result may be larger than what the engine is given:
then it gets only the members that the expression names.
"""

import math
from collections.abc import Mapping
from typing import Any, Final

from ostiary_core.errors import ExpressionError
from ostiary_core.policy.expression_cost import ExpressionCost, measure
from ostiary_core.policy.expressions import compile_program, engine
from ostiary_core.policy.message_conditions import Call

#: Levels of a result whose unnamed members are removed; below them it is given whole.
_LEVELS: Final = 16


class NumberExpression:
    """A compiled expression that returns a number."""

    __slots__ = ("_cost", "_program", "reads_result", "source")

    def __init__(self, source: str, program: Any, *, reads_result: bool) -> None:
        self.source = source
        self.reads_result = reads_result
        self._program = program
        self._cost: ExpressionCost = measure(program.serialize())

    @classmethod
    def compile(cls, source: str, *, reads_result: bool = False) -> "NumberExpression":
        """Compile an expression; ``reads_result`` lets it read ``result``.

        Raises:
            ExpressionError: it is too long, is not valid, or returns something that is certainly no number.
        """
        program = compile_program(engine().OF_RESULT if reads_result else engine().OF_MESSAGE, source)
        if program.return_type() not in engine().NUMBERS:
            found = program.return_type().name().lower()
            raise ExpressionError(f"returns {found}, and must return a number")
        return cls(source, program, reads_result=reads_result)

    @property
    def weight(self) -> int:
        """The cost of compiling and evaluating it, in instructions of patterns: what budgets count."""
        return 32 + len(self.source) // 4

    def evaluate(self, call: Call, result: Mapping[str, Any] | None = None) -> float | None:
        """Return the number for a call and its result; None where it fails, or is no finite number."""
        context = call.message_context()
        if result is not None:
            whole = context.with_result(result)
            context = whole if whole.is_readable else context.with_result(self._named(result))
        if not context.admits(self._cost):
            return None
        try:
            value = self._program.eval(context.activation).value()
        except RuntimeError:
            return None
        is_number = type(value) in (int, float) and math.isfinite(value)
        return value if is_number else None

    def _named(self, result: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the result without the members that the expression does not name.

        One with a macro may read the names of members, so it gets none.
        """
        return pruned(result, self._cost.members) if not self._cost.comprehensions else result


def pruned(value: Mapping[str, Any], names: set[str]) -> Mapping[str, Any]:
    """Return a value of JSON with those members alone that an expression names."""
    kept: Mapping[str, Any] = _pruned(value, names, _LEVELS)
    return kept


def _pruned(value: Any, names: set[str], levels: int) -> Any:
    if levels and isinstance(value, Mapping):
        return {name: _pruned(each, names, levels - 1) for name, each in value.items() if name in names}
    if levels and isinstance(value, list):
        return [_pruned(each, names, levels - 1) for each in value]
    return value
