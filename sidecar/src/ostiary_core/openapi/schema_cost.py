"""How often a validator may evaluate schemas for one value, at worst.

Schemas can hide exponential work: thirty definitions, each ``anyOf`` twice the next, are a billion evaluations of one
value; a definition that refers to itself twice doubles with each level of the arguments. An author of a document could
so stop a gateway. The bound is computed once, from the schemas alone: what it costs a caller to be judged is then known
before a call. It is never too low; it may be too high where branches exclude each other.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from ostiary_core.openapi.schema_keywords import LIST, MAP, ONE, REFERENCE

#: Levels that arguments may nest.
DEEPEST_ARGUMENTS: Final = 32
#: Evaluations for one value beyond which a schema is not used.
MOST_EVALUATIONS: Final = 512
#: Values of an enumeration that cost as much as one schema; one with members costs several.
_VALUES_EACH: Final = 8
_EACH_CONTAINER: Final = 4
#: What a division of very large numbers costs.
_DIVISION: Final = 128
#: To find what is not evaluated yet, the library evaluates all that applies in place again, three times at worst.
_UNEVALUATED: Final = frozenset({"unevaluatedItems", "unevaluatedProperties"})
_AGAIN: Final = 4
_IN_PLACE_ONE: Final = frozenset({"not", "if", "then", "else"})
_IN_PLACE_LIST: Final = frozenset({"allOf", "anyOf", "oneOf"})


class _Node:
    """One schema: what it applies to the same value, and to values within it.

    ``choices`` are groups of which one schema applies to a value within. What it applies to the same value is evaluated
    ``repeats`` times.
    """

    __slots__ = ("choices", "in_place", "repeats", "weight", "within")

    def __init__(self) -> None:
        self.weight = self.repeats = 1
        self.in_place: list[int] = []
        self.within: list[int] = []
        self.choices: list[list[int]] = []


class EvaluationBounds:
    """The bounds of a set of schemas, which may refer to each other by ``#/$defs/<name>``."""

    def __init__(self, schemas: Mapping[str, Any]) -> None:
        self._nodes: list[_Node] = [_Node() for _ in schemas]
        self._numbers = {name: number for number, name in enumerate(schemas)}
        for number, schema in enumerate(schemas.values()):
            self._fill(self._nodes[number], schema)
        self._order, self._endless = _order(self._nodes)
        self._bounds = self._worst()

    def of(self, name: str) -> int | None:
        """Return how often one value may be evaluated against a schema.

        None where that has no useful bound.
        """
        number = self._numbers[name]
        if self._endless[number] or self._bounds[number] > MOST_EVALUATIONS:
            return None
        return self._bounds[number]

    def _add(self, schema: Any) -> int:
        node = _Node()
        self._nodes.append(node)
        number = len(self._nodes) - 1
        self._fill(node, schema)
        return number

    def _fill(self, node: _Node, schema: Any) -> None:
        for keyword, value in schema.items() if isinstance(schema, dict) else ():
            if keyword == "$ref":
                node.in_place.append(self._numbers[value.removeprefix(REFERENCE)])
            elif keyword in _WEIGHTS:
                node.weight += _WEIGHTS[keyword](value)
            elif keyword in ONE:
                if keyword in _UNEVALUATED:
                    node.repeats = _AGAIN
                (node.in_place if keyword in _IN_PLACE_ONE else node.within).append(self._add(value))
            elif keyword in LIST or keyword in MAP:
                self._fill_many(node, keyword, [self._add(each) for each in _values(value)])

    @staticmethod
    def _fill_many(node: _Node, keyword: str, numbers: list[int]) -> None:
        if keyword in _IN_PLACE_LIST or keyword == "dependentSchemas":
            node.in_place += numbers
        elif keyword == "patternProperties":
            node.within += numbers
        else:
            node.choices.append(numbers)

    def _worst(self) -> list[int]:
        """Return for each schema the most evaluations of a value at any depth."""
        current = [0] * len(self._nodes)
        self._settle(current, [node.weight for node in self._nodes])
        worst = list(current)
        for _ in range(DEEPEST_ARGUMENTS):
            before = current
            current = [0] * len(self._nodes)
            self._settle(current, [_deeper(node, before) for node in self._nodes])
            if current == before:
                break
            worst = list(map(max, worst, current))
        return worst

    def _settle(self, found: list[int], own: Sequence[int]) -> None:
        for number in self._order:
            node = self._nodes[number]
            total = own[number] + node.repeats * sum(found[each] for each in node.in_place)
            found[number] = min(total, MOST_EVALUATIONS + 1)


def _of_enum(values: Sequence[Any]) -> int:
    containers = sum(isinstance(each, dict | list) for each in values)
    return len(values) // _VALUES_EACH + _EACH_CONTAINER * containers


#: What keywords cost that are no schemas themselves and do not cost the same for every value of theirs.
_WEIGHTS: Final[Mapping[str, Callable[[Any], int]]] = {
    "enum": _of_enum,
    "dependentRequired": lambda value: 2 * len(value),
    "multipleOf": lambda _: _DIVISION,
}


def _deeper(node: _Node, before: Sequence[int]) -> int:
    found = sum(before[each] for each in node.within)
    for group in node.choices:
        found += max((before[each] for each in group), default=0)
    return found


def _values(value: Any) -> Iterable[Any]:
    return value.values() if isinstance(value, dict) else value


def _order(nodes: Sequence[_Node]) -> tuple[list[int], list[bool]]:
    """Return the schemas, each after those that it applies in place.

    The second list says which of them never end doing so.
    """
    order: list[int] = []
    endless = [False] * len(nodes)
    state = bytearray(len(nodes))  # 0 not met, 1 being followed, 2 done
    for start in range(len(nodes)):
        if not state[start]:
            _follow(start, nodes, state, order, endless)
    for number in order:  # what leads into a circle does not end either
        endless[number] = endless[number] or any(endless[each] for each in nodes[number].in_place)
    return order, _spread(nodes, endless)


def _follow(start: int, nodes: Sequence[_Node], state: bytearray, order: list[int], endless: list[bool]) -> None:
    path: list[tuple[int, Iterator[int]]] = [(start, iter(nodes[start].in_place))]
    state[start] = 1
    while path:
        number, left = path[-1]
        for each in left:
            if state[each] == 1:
                endless[each] = endless[number] = True
            elif not state[each]:
                state[each] = 1
                path.append((each, iter(nodes[each].in_place)))
                break
        else:
            path.pop()
            state[number] = 2
            order.append(number)


def _spread(nodes: Sequence[_Node], endless: list[bool]) -> list[bool]:
    """Mark every schema from which an endless one is reached, also within values."""
    users: list[list[int]] = [[] for _ in nodes]
    for number, node in enumerate(nodes):
        for each in (*node.in_place, *node.within, *(one for group in node.choices for one in group)):
            users[each].append(number)
    left = [number for number, is_endless in enumerate(endless) if is_endless]
    while left:
        for user in users[left.pop()]:
            if not endless[user]:
                endless[user] = True
                left.append(user)
    return endless
