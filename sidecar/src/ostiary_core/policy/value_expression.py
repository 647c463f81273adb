"""Expressions in CEL that return a value of JSON, for transformations of messages.

They have the limits on work of conditions (:mod:`.expressions`), but may concatenate texts and build lists and maps. A
message may be larger than what the engine is given: then it gets only the members that the expression names.
"""

import math
from collections.abc import Mapping
from typing import Any, Final

from ostiary_core.errors import ExpressionError, TransformError
from ostiary_core.policy.expression_cost import LARGEST_INPUT, ExpressionCost, measure
from ostiary_core.policy.expressions import MESSAGE_VARIABLES, ExpressionContext, compile_program, engine
from ostiary_core.policy.message_conditions import Call
from ostiary_core.policy.number_expression import pruned

#: Levels of nesting in a value; deeper ones are of no use as arguments, and writers of JSON recurse.
_DEPTH: Final = 32


class ValueExpression:
    """A compiled expression that returns a value of JSON.

    ``variables`` are those that it reads.
    """

    __slots__ = ("_cost", "_program", "source", "variables")

    def __init__(self, source: str, program: Any) -> None:
        self.source = source
        self._program = program
        self._cost: ExpressionCost = measure(program.serialize(), builds=True)
        self.variables: frozenset[str] = frozenset(self._cost.variables)

    @classmethod
    def compile(cls, source: str, *, reads_result: bool = False, is_text: bool = False) -> "ValueExpression":
        """Compile an expression.

        ``reads_result`` lets it read ``result``, and ``is_text`` demands a string.

        Raises:
            ExpressionError: it is too long, is not valid, or returns something that is certainly no such value.
        """
        program = compile_program(engine().OF_RESULT if reads_result else engine().OF_MESSAGE, source)
        found = program.return_type()
        if is_text and found not in engine().TEXTS:
            raise ExpressionError(f"returns {found.name().lower()}, and must return a string: convert it with string()")
        if found in engine().NOT_JSON:
            raise ExpressionError(f"returns {found.name().lower()}, which JSON does not have: convert it with string()")
        return cls(source, program)

    @property
    def weight(self) -> int:
        """The cost of compiling and evaluating it, in instructions of patterns: what budgets count."""
        return 32 + len(self.source) // 4

    @property
    def reads_message(self) -> bool:
        """Whether it reads the request, and not only its caller or the result."""
        return not self.variables.isdisjoint(MESSAGE_VARIABLES)

    def evaluate(self, values: "MessageValues") -> Any:
        """Return the value for a message.

        Raises:
            TransformError: it fails, takes too much work, or is no value of JSON.
        """
        context = values.context(self)
        if not context.admits(self._cost):
            raise TransformError("its input is too large, or has members whose names differ in case only")
        try:
            value = self._program.eval(context.activation)
            plain = value.plain_value()
        except (RuntimeError, TypeError):
            raise TransformError("its expression fails") from None
        if value.type() == engine().FAILURE:
            raise TransformError("its expression fails")
        if not _is_json(plain):
            raise TransformError("its expression returns something that is no JSON, or too large")
        return plain

    def named(self, value: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return a value of JSON without the members that the expression does not name.

        It is whole where a macro may read them.
        """
        return pruned(value, self._cost.members) if not self._cost.comprehensions else value

    def __repr__(self) -> str:
        return f"ValueExpression({self.source!r})"


class MessageValues:
    """The values that expressions read of one message, which share a budget of steps.

    ``result`` is that of a response, None for a request.
    """

    __slots__ = ("_call", "_result", "_whole")

    def __init__(self, call: Call, result: Mapping[str, Any] | None = None) -> None:
        self._call = call
        self._result = result
        context = call.message_context()
        self._whole = context if result is None else context.with_result(result)

    def context(self, expression: ValueExpression) -> ExpressionContext:
        """Return what an expression reads: of a large message, only the members that it names."""
        whole = self._whole
        if whole.is_readable:
            return whole
        reads = expression.variables
        context = whole.with_args(expression.named(self._call.arguments) if "args" in reads else {})
        if self._result is None:
            return context
        return context.with_result(expression.named(self._result) if "result" in reads else {})


def _is_json(value: Any) -> bool:
    """Return whether a value is JSON of bounded size and depth."""
    level, size = [value], 0
    for _ in range(_DEPTH):
        below: list[Any] = []
        for each in level:
            if isinstance(each, dict):
                if not all(type(key) is str for key in each):
                    return False
                size += sum(map(len, each))
                below += each.values()
            elif isinstance(each, list):
                below += each
            elif isinstance(each, str):
                size += len(each)
            elif not (each is None or type(each) in (bool, int) or (type(each) is float and math.isfinite(each))):
                return False
        size += len(level)
        if size > LARGEST_INPUT:
            return False
        if not below:
            return True
        level = below
    return False
