"""Limits the work of an expression, from its syntax tree.

The engine limits the iterations of one evaluation, but not the size of values: ten nested lists that each repeat a
variable hold more elements than a machine could compare. So an expression must not build larger values than it reads.
It may not concatenate, replace, join, format or map, and patterns must be literals. What one evaluation can cost is
then bounded by the size of its input, which is limited (``largest_input``).
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from ostiary_core.errors import ExpressionError, PatternError
from ostiary_core.policy.name_matcher import compile_expression

#: Steps that one evaluation may take, and the largest input in characters and values.
_STEPS: Final = 1 << 25
_LARGEST_INPUT: Final = 1 << 16
#: The engine's own limit of iterations in one evaluation.
_ITERATIONS: Final = 10_000
_COMPREHENSIONS: Final = 8
_GROWING: Final = frozenset({"replace", "join", "format", "quote", "split"})
_FREE: Final = frozenset({"_&&_", "_||_", "!_", "@not_strictly_false", "_?_:_"})

# Field numbers of cel.expr.Expr (google/api/expr/v1alpha1/syntax.proto) and of the messages in it.
_PACKED, _TREE = 2, 4  # of google.protobuf.Any and cel.expr.CheckedExpr
_CONST, _SELECT, _CALL, _LIST, _STRUCT, _LOOP = 3, 5, 6, 7, 8, 9


@dataclass(slots=True)
class ExpressionCost:
    """The operations and comprehensions of an expression, and the members that it reads."""

    operations: int = 0
    comprehensions: int = 0
    members: set[str] = field(default_factory=set)
    depth: int = 0

    @property
    def largest_input(self) -> int:
        """The most characters and values that the input may have."""
        if not self.comprehensions:
            return min(_LARGEST_INPUT, _STEPS // max(self.operations, 1))
        size = int((_STEPS // max(self.operations, 1)) ** 0.5)
        return min(_LARGEST_INPUT, max(size, _STEPS // max(self.operations * _ITERATIONS, 1)))


def measure(checked: bytes) -> ExpressionCost:
    """Return the cost of an expression from its serialized syntax tree.

    Raises:
        ExpressionError: it could build large values.
    """
    cost = ExpressionCost()
    trees = [value for number, value in _fields(_only(checked, _PACKED)) if number == _TREE]
    if len(trees) != 1 or not isinstance(trees[0], bytes):
        raise ExpressionError("has a syntax tree that this version cannot read")
    _measure(trees[0], cost)
    return cost


def _only(message: bytes, wanted: int) -> bytes:
    return next((value for number, value in _fields(message) if number == wanted and isinstance(value, bytes)), b"")


def _measure(expr: bytes, cost: ExpressionCost) -> None:
    for number, value in _fields(expr):
        if not isinstance(value, bytes):
            continue
        if number == _CALL:
            _measure_call(value, cost)
        elif number == _LOOP:
            _measure_loop(value, cost)
        elif number == _SELECT:
            _measure_select(value, cost)
        elif number == _LIST:
            _measure_list([part for inner, part in _fields(value) if inner == 1 and isinstance(part, bytes)], cost)
        elif number == _STRUCT:
            raise ExpressionError("builds a map or message, which conditions may not do")
    if cost.comprehensions > _COMPREHENSIONS:
        raise ExpressionError(f"holds more than {_COMPREHENSIONS} macros such as all and exists")


def _measure_list(elements: list[bytes], cost: ExpressionCost) -> None:
    if cost.depth and any(number != _CONST and isinstance(v, bytes) for it in elements for number, v in _fields(it)):
        raise ExpressionError("builds a list from variables in a macro, which can build large values")
    for element in elements:
        _measure(element, cost)


def _measure_select(select: bytes, cost: ExpressionCost) -> None:
    for number, value in _fields(select):
        if isinstance(value, bytes) and number == 1:
            _measure(value, cost)
        elif isinstance(value, bytes) and number == 2:
            cost.members.add(value.decode())


def _measure_call(call: bytes, cost: ExpressionCost) -> None:
    parts = list(_fields(call))
    name = next((v.decode() for n, v in parts if n == 2 and isinstance(v, bytes)), "")
    operands = [v for n, v in parts if n in (1, 3) and isinstance(v, bytes)]
    if name in _GROWING:
        raise ExpressionError(f"uses {name}, which can build large values")
    if name == "_+_" and not any(_is_number(operand) for operand in operands):
        raise ExpressionError("uses + on values that may be text or lists; convert numbers with int() or double()")
    if name == "matches":
        _check_pattern(operands[-1])
    cost.operations += name not in _FREE
    cost.members |= {text for operand in operands if (text := _text(operand)) is not None}
    for operand in operands:
        _measure(operand, cost)


def _check_pattern(operand: bytes) -> None:
    pattern = _text(operand)
    if pattern is None:
        raise ExpressionError("uses matches with a pattern that is not written out")
    try:
        compile_expression(pattern)
    except PatternError as error:
        raise ExpressionError(f"uses matches: {error}") from None


def _is_number(operand: bytes) -> bool:
    """Return whether an operand is a literal number, or the result of a numeric function."""
    for number, value in _fields(operand):
        if number == _CONST and isinstance(value, bytes):
            return any(kind in (3, 4, 5) for kind, _ in _fields(value))
        if number == _CALL and isinstance(value, bytes):
            names = [v for n, v in _fields(value) if n == 2]
            return bool(names) and names[0] in (b"int", b"double", b"uint", b"size", b"_*_", b"_/_", b"_-_", b"_%_")
    return False


def _text(operand: bytes) -> str | None:
    """Return the text of an operand that is a literal text."""
    for number, value in _fields(operand):
        if number == _CONST and isinstance(value, bytes):
            return next((v.decode() for kind, v in _fields(value) if kind == 6 and isinstance(v, bytes)), None)
    return None


def _measure_loop(loop: bytes, cost: ExpressionCost) -> None:
    parts = {number: value for number, value in _fields(loop) if isinstance(value, bytes)}
    cost.comprehensions += 1
    if _builds_list(parts.get(4, b"")):
        if not _keeps_elements(parts.get(6, b""), parts.get(1, b"")):
            raise ExpressionError("uses map, which can build large values")
        # filter: the condition is the only part of the step that the author wrote
        bodies = [_operand(parts[6], 0)]
    else:
        bodies = [parts.get(number, b"") for number in (4, 5, 6, 7)]
    _measure(parts.get(2, b""), cost)
    cost.depth += 1
    for body in bodies:
        _measure(body, cost)
    cost.depth -= 1


def _builds_list(start: bytes) -> bool:
    return any(number == _LIST for number, _ in _fields(start))


def _operand(expr: bytes, position: int) -> bytes:
    for number, value in _fields(expr):
        if number == _CALL and isinstance(value, bytes):
            operands = [v for n, v in _fields(value) if n == 3 and isinstance(v, bytes)]
            return operands[position] if position < len(operands) else b""
    return b""


def _keeps_elements(step: bytes, variable: bytes) -> bool:
    """Return whether a step adds only elements of the list that it reads, as filter does."""
    addition = _operand(step, 1)
    added = _operand(addition, 1)
    for number, value in _fields(added):
        if number == _LIST and isinstance(value, bytes):
            elements = [v for n, v in _fields(value) if n == 1 and isinstance(v, bytes)]
            return len(elements) == 1 and _ident(elements[0]) == variable
    return False


def _ident(expr: bytes) -> bytes | None:
    for number, value in _fields(expr):
        if number == 4 and isinstance(value, bytes):
            return next((v for n, v in _fields(value) if n == 1 and isinstance(v, bytes)), None)
    return None


def _fields(message: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Yield the fields of a message in the protobuf wire format."""
    position = 0
    while position < len(message):
        key, position = _varint(message, position)
        kind = key & 7
        if kind == 0:
            value, position = _varint(message, position)
            yield key >> 3, value
            continue
        size = {1: 8, 5: 4}.get(kind, 0)
        if kind == 2:
            size, position = _varint(message, position)
        yield key >> 3, message[position : position + size]
        position += size


def _varint(message: bytes, position: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = message[position]
        value |= (byte & 0x7F) << shift
        position, shift = position + 1, shift + 7
        if byte < 0x80:
            return value, position
