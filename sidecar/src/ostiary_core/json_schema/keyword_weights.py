"""Which keywords hold schemas, of any dialect, and what the others cost.

One unit is an evaluation of a schema without keywords, about 5 ns. Weights were measured with the worst values of each
keyword; a benchmark compares them with the engine.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from typing import Any, Final

#: Keywords whose schemas apply to the same value.
IN_PLACE: Final = frozenset(
    {"not", "if", "then", "else", "allOf", "anyOf", "oneOf", "dependentSchemas", "dependencies"}
)
#: Keywords whose schemas each apply to values within.
WITHIN: Final = frozenset(
    {
        "additionalItems",
        "additionalProperties",
        "contains",
        "contentSchema",
        "patternProperties",
        "propertyNames",
        "unevaluatedItems",
        "unevaluatedProperties",
    }
)
#: Keywords of whose schemas one applies to each value within.
CHOICES: Final = frozenset({"properties", "prefixItems", "items"})
_BY_NAME: Final = frozenset({"dependentSchemas", "dependencies", "patternProperties", "properties"})
REFERENCES: Final = frozenset({"$ref", "$dynamicRef", "$recursiveRef"})
#: To find what is not evaluated yet, the engine compiles and evaluates all that applies in place again.
UNEVALUATED: Final = frozenset({"unevaluatedItems", "unevaluatedProperties"})

#: Compiling a pattern costs as much as this many schemas.
PATTERN: Final = 150
#: Comparing one name with one pattern.
EACH_PATTERN: Final = 8
_EACH_NAME: Final = 2
_VALUES_EACH: Final = 8
_EACH_CONTAINER: Final = 6
_DIVISION: Final = 4000
_PLAIN_DIVISION: Final = 300
#: Divisors by which the engine divides numbers of usual size in about a microsecond.
_PLAIN_DIVISORS: Final = (1e-9, 2**53)
_HASH: Final = 8
#: States of a pattern that the engine follows in one unit of time, for one byte.
_STATES_EACH: Final = 5
#: The most units for one byte: the engine bounds the states of a pattern by its memory.
_MOST_STEPS: Final = 100
_COUNT: Final = re.compile(r"\{(\d{1,6})(?:,(\d{0,6}))?\}")


def schemas_of(keyword: str, value: Any) -> Iterable[Any]:
    """Return the schemas that a keyword holds: one, a list, or some by name.

    Names that depend on other names (``dependencies`` of draft-07) are no schemas.
    """
    if keyword in _BY_NAME:
        return [each for each in value.values() if not isinstance(each, list)] if isinstance(value, dict) else [value]
    return value if isinstance(value, list) else [value]


def weight_of(keyword: str, value: Any) -> int:
    """Return what a keyword costs that holds no schema, for each value that is checked."""
    measure = _WEIGHTS.get(keyword)
    return measure(value) if measure is not None else 0


@lru_cache(maxsize=1024)
def steps_of(pattern: str) -> int:
    """Return the units that a pattern costs at worst for one byte of a text."""
    states = len(pattern)
    for least, most in _COUNT.findall(pattern):
        states *= max(int(least), int(most or 0), 1)
        if states > _MOST_STEPS * _STATES_EACH:
            break
    return min(_MOST_STEPS, 1 + states // _STATES_EACH)


def _of_names(value: Any) -> int:
    return _EACH_NAME * len(value) if isinstance(value, list) else 0


def _of_dependencies(value: Any) -> int:
    return sum(1 + _of_names(each) for each in value.values()) if isinstance(value, dict) else 0


def _of_values(value: Any) -> int:
    values = value if isinstance(value, list) else [value]
    containers = sum(isinstance(each, dict | list) for each in values)
    return len(values) // _VALUES_EACH + _EACH_CONTAINER * containers


def _of_divisor(value: Any) -> int:
    least, most = _PLAIN_DIVISORS
    is_plain = isinstance(value, int | float) and least <= value <= most
    return _PLAIN_DIVISION if is_plain else _DIVISION


_WEIGHTS: Final[Mapping[str, Callable[[Any], int]]] = {
    "enum": _of_values,
    "const": lambda value: _of_values([value]),
    "required": _of_names,
    "dependentRequired": _of_dependencies,
    "dependencies": _of_dependencies,
    "multipleOf": _of_divisor,
    "uniqueItems": lambda value: _HASH if value else 0,
}
