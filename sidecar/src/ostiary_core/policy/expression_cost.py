"""Limits the work of an expression, from its syntax tree.

The engine limits the iterations of one evaluation, but not the size of values: ten nested lists that each repeat a
variable hold more elements than a machine could compare. So an expression must not build larger values than it reads.
It may not concatenate, replace, join, format or map, and patterns must be literals. What one evaluation can cost is
then bounded by the size of its input, and all evaluations for one message or caller have one budget of steps together:
a policy may have hundreds. One for a value may concatenate and build maps outside of macros: that repeats its input at
most as often as it names variables.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from ostiary_core.errors import ExpressionError, PatternError
from ostiary_core.policy.name_matcher import compile_expression

#: Steps that all evaluations for one message or caller may take together: about 100 ms at worst.
STEPS: Final = 1 << 23
#: The largest input in characters and values.
LARGEST_INPUT: Final = 1 << 16
#: The steps of reading one value; reading a character is one step.
_VALUE_STEPS: Final = 8
#: The steps of an operation on nothing.
_LEAST_STEPS: Final = 16
#: The engine's own limit of iterations in one evaluation.
_ITERATIONS: Final = 10_000
#: Searching one text in another takes more steps a character, the longer they are.
_SEARCHES: Final = frozenset({"contains", "indexOf", "lastIndexOf"})
_SEARCH_LENGTH: Final = 2_048
#: The instructions of a pattern that take one step for each character.
_PATTERN_INSTRUCTIONS: Final = 8
_COMPREHENSIONS: Final = 8
_GROWING: Final = frozenset({"replace", "join", "format", "quote", "split"})
_FREE: Final = frozenset({"_&&_", "_||_", "!_", "@not_strictly_false", "_?_:_"})

# Field numbers of cel.expr.Expr (google/api/expr/v1alpha1/syntax.proto) and of the messages in it.
_PACKED, _TREE = 2, 4  # of google.protobuf.Any and cel.expr.CheckedExpr
_CONST, _IDENT, _SELECT, _CALL, _LIST, _STRUCT, _LOOP = 3, 4, 5, 6, 7, 8, 9
_ENTRY = 2  # of cel.expr.Expr.CreateStruct


@dataclass(slots=True)
class ExpressionCost:
    """What determines the steps of an expression: its operations, and what they read.

    ``operations`` and ``searches`` are numbers of operations, by the number of loops that repeat each of them over all
    values of the variables. ``members`` are the members that it reads, ``copies`` how often lists in it repeat a
    variable, ``longest_list`` is the length of the longest of them. ``builds`` where it may build texts and maps.
    """

    operations: Counter[int] = field(default_factory=Counter)
    searches: Counter[int] = field(default_factory=Counter)
    variables: set[str] = field(default_factory=set)
    members: set[str] = field(default_factory=set)
    comprehensions: int = 0
    copies: int = 0
    longest_list: int = 0
    builds: bool = False
    #: The variables of the loops around the part that is measured.
    loops: tuple[bytes, ...] = ()

    @property
    def depth(self) -> int:
        """The loops around the part that is measured."""
        return len(self.loops) // 2

    def count(self, name: str, *, reads_variables: bool, weight: int = 1) -> None:
        """Count an operation.

        On elements of a list alone, it reads the whole list once in all its repetitions.
        """
        repetitions = self.depth if reads_variables else max(self.depth - 1, 0)
        self.operations[repetitions] += weight
        self.searches[repetitions] += name in _SEARCHES

    def steps(self, *, values: int, characters: int) -> int:
        """Return the most steps of one evaluation on variables of this size."""
        size = (_VALUE_STEPS * values + characters + _LEAST_STEPS) * max(self.copies, 1)
        rounds = max(values, self.longest_list)
        return size * (_repeated(self.operations, rounds) + _repeated(self.searches, rounds) * (size // _SEARCH_LENGTH))


def _repeated(numbers: Mapping[int, int], rounds: int) -> int:
    """Return the number of operations, each repeated by its loops of ``rounds``."""
    repetitions = 0
    for loops, number in numbers.items():
        repetitions += number * min(int(rounds**loops), _ITERATIONS)
    return repetitions


def measure(checked: bytes, *, builds: bool = False) -> ExpressionCost:
    """Return the cost of an expression from its serialized syntax tree.

    ``builds`` is for one that is evaluated for its value, and may build it.

    Raises:
        ExpressionError: it could build large values.
    """
    cost = ExpressionCost(builds=builds)
    trees = [value for number, value in _fields(_only(checked, _PACKED)) if number == _TREE]
    if len(trees) != 1 or not isinstance(trees[0], bytes):
        raise ExpressionError("has a syntax tree that this version cannot read")
    _measure(trees[0], cost)
    return cost


def _only(message: bytes, wanted: int) -> bytes:
    return next((value for number, value in _fields(message) if number == wanted and isinstance(value, bytes)), b"")


def _measure(expr: bytes, cost: ExpressionCost) -> bool:
    """Add the cost of a part.

    Return whether it reads variables, and not only elements of loops.
    """
    reads = False
    for number, value in _fields(expr):
        if not isinstance(value, bytes):
            continue
        if number == _IDENT:
            reads |= _measure_variable(value, cost)
        elif number == _CALL:
            reads |= _measure_call(value, cost)
        elif number == _LOOP:
            reads |= _measure_loop(value, cost)
        elif number == _SELECT:
            reads |= _measure_select(value, cost)
        elif number == _LIST:
            elements = [part for inner, part in _fields(value) if inner == 1 and isinstance(part, bytes)]
            reads |= _measure_list(elements, cost)
        elif number == _STRUCT:
            reads |= _measure_struct(value, cost)
    if cost.comprehensions > _COMPREHENSIONS:
        raise ExpressionError(f"holds more than {_COMPREHENSIONS} macros such as all and exists")
    return reads


def _measure_variable(ident: bytes, cost: ExpressionCost) -> bool:
    name = _only(ident, 1)
    if name in cost.loops:
        return False
    cost.variables.add(name.decode())
    return True


def _measure_list(elements: list[bytes], cost: ExpressionCost) -> bool:
    if cost.depth and any(number != _CONST and isinstance(v, bytes) for it in elements for number, v in _fields(it)):
        raise ExpressionError("builds a list from variables in a macro, which can build large values")
    reading = sum(_measure(element, cost) for element in elements)
    cost.copies += reading
    cost.longest_list = max(cost.longest_list, len(elements))
    return reading > 0


def _measure_struct(struct: bytes, cost: ExpressionCost) -> bool:
    if cost.depth or not cost.builds:
        raise ExpressionError(f"builds a map or message, which {'macros' if cost.builds else 'conditions'} may not do")
    entries = [entry for number, entry in _fields(struct) if number == _ENTRY and isinstance(entry, bytes)]
    parts = [v for entry in entries for number, v in _fields(entry) if number in (3, 4) and isinstance(v, bytes)]
    return _measure_list(parts, cost)


def _measure_select(select: bytes, cost: ExpressionCost) -> bool:
    reads = False
    for number, value in _fields(select):
        if isinstance(value, bytes) and number == 1:
            reads |= _measure(value, cost)
        elif isinstance(value, bytes) and number == 2:
            cost.members.add(value.decode())
    return reads


def _measure_call(call: bytes, cost: ExpressionCost) -> bool:
    parts = list(_fields(call))
    name = next((v.decode() for n, v in parts if n == 2 and isinstance(v, bytes)), "")
    operands = [v for n, v in parts if n in (1, 3) and isinstance(v, bytes)]
    if name in _GROWING:
        raise ExpressionError(f"uses {name}, which can build large values")
    joins = name == "_+_" and not any(_is_number(operand) for operand in operands)
    if joins and (cost.depth or not cost.builds):
        raise ExpressionError("uses + on values that may be text or lists; convert numbers with int() or double()")
    weight = 1
    if name == "matches":
        weight += _pattern_size(operands[-1]) // _PATTERN_INSTRUCTIONS
    cost.members |= {text for operand in operands if (text := _text(operand)) is not None}
    reading = sum(_measure(operand, cost) for operand in operands)  # all of them are measured
    reads = reading > 0
    if joins:
        cost.copies += reading
    if name not in _FREE:
        cost.count(name, reads_variables=reads, weight=weight)
    return reads


def _pattern_size(operand: bytes) -> int:
    """Return the instructions of a pattern, which must be written out."""
    pattern = _text(operand)
    if pattern is None:
        raise ExpressionError("uses matches with a pattern that is not written out")
    try:
        return int(compile_expression(pattern).programsize)
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


def _measure_loop(loop: bytes, cost: ExpressionCost) -> bool:
    parts = {number: value for number, value in _fields(loop) if isinstance(value, bytes)}
    cost.comprehensions += 1
    if _builds_list(parts.get(4, b"")):
        if not _keeps_elements(parts.get(6, b""), parts.get(1, b"")):
            raise ExpressionError("uses map, which can build large values")
        # filter: the condition is the only part of the step that the author wrote
        bodies = [_operand(parts[6], 0)]
    else:
        bodies = [parts.get(number, b"") for number in (4, 5, 6, 7)]
    reads = _measure(parts.get(2, b""), cost)
    around = cost.loops
    cost.loops = (*around, parts.get(1, b""), parts.get(3, b""))  # the element and the result so far
    cost.count("loop", reads_variables=False)
    inner = [_measure(body, cost) for body in bodies]
    cost.loops = around
    return reads or any(inner)


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
