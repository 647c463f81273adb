"""Which keywords of a schema are understood, and which values they may have.

The table is closed: what is not in it is an annotation at best, or an extension, and no caller needs it. A keyword with
a value that no reader could use is left out, and named.
"""

import math
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, Final

import orjson

from ostiary_core.json_schema.engine import compile_schema

#: The largest default, example or list of values that is shown to models, in bytes of JSON.
_LARGEST_VALUE: Final = 64 * 1024
#: The longest description of one schema, in characters.
LONGEST_TEXT: Final = 4096
#: The longest pattern, in characters.
LONGEST_PATTERN: Final = 2048
_INT64: Final = range(-(2**63), 2**64)
_TYPES: Final = frozenset({"null", "boolean", "object", "array", "number", "integer", "string"})


def is_type(value: Any) -> bool:
    """Return whether a value is one of JSON Schema's types, or a list of them."""
    if isinstance(value, list):
        return bool(value) and all(isinstance(each, str) and each in _TYPES for each in value)
    return isinstance(value, str) and value in _TYPES


def is_number(value: Any) -> bool:
    """Return whether a value is a number that every reader of JSON reads as the same."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return math.isfinite(value) if isinstance(value, float) else value in _INT64


def _is_divisor(value: Any) -> bool:
    """Return whether a value is a whole number above 0.

    To divide a very large number by a fraction takes very long.
    """
    return is_number(value) and value > 0 and value == int(value)


def is_count(value: Any) -> bool:
    """Return whether a value is a count."""
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**53


def is_text(value: Any) -> bool:
    """Return whether a value is text that can be written as JSON."""
    return isinstance(value, str) and is_value(value)


def _is_names(value: Any) -> bool:
    return isinstance(value, list) and len(value) == len({each for each in value if is_text(each)})


def _is_dependencies(value: Any) -> bool:
    return isinstance(value, dict) and all(is_text(key) and _is_names(each) for key, each in value.items())


def is_value(value: Any) -> bool:
    """Return whether a value can be written as JSON and is not too large."""
    try:
        return len(orjson.dumps(value)) <= _LARGEST_VALUE
    except TypeError:  # a lone surrogate, a number beyond 64 bits
        return False


def _is_values(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and is_value(value)


@lru_cache(maxsize=1024)
def is_pattern(pattern: str) -> bool:
    """Return whether a text is a pattern of the linear engine.

    That engine has no look-around and no back-references.
    """
    try:
        compile_schema({"pattern": pattern})
    except ValueError:
        return False
    return True


#: Keywords with plain values, and what their values must be.
PLAIN: Final[Mapping[str, Callable[[Any], bool]]] = {
    "type": is_type,
    "title": is_text,
    "description": is_text,
    "format": is_text,
    "deprecated": lambda value: isinstance(value, bool),
    "default": is_value,
    "examples": _is_values,
    "enum": _is_values,
    "const": is_value,
    "multipleOf": _is_divisor,
    "maximum": is_number,
    "minimum": is_number,
    "exclusiveMaximum": is_number,
    "exclusiveMinimum": is_number,
    "maxLength": is_count,
    "minLength": is_count,
    "pattern": is_text,  # which must be a pattern of the engine, too
    "maxItems": is_count,
    "minItems": is_count,
    "maxContains": is_count,
    "minContains": is_count,
    "uniqueItems": lambda value: isinstance(value, bool),
    "maxProperties": is_count,
    "minProperties": is_count,
    "required": _is_names,
    "dependentRequired": _is_dependencies,
}
#: Keywords with one schema, with a list of schemas, and with schemas by name.
ONE: Final = (
    "not",
    "if",
    "then",
    "else",
    "additionalProperties",
    "propertyNames",
    "items",
    "contains",
    "unevaluatedItems",
    "unevaluatedProperties",
)
LIST: Final = ("allOf", "anyOf", "oneOf", "prefixItems")
MAP: Final = ("properties", "patternProperties", "dependentSchemas")
#: Keywords that change what references mean. A schema with one of them cannot be expressed.
REBASING: Final = ("$id", "$anchor", "$dynamicRef", "$dynamicAnchor", "$recursiveRef", "$recursiveAnchor")
#: The prefix of a reference to one of the definitions that the tools of a document share.
REFERENCE: Final = "#/$defs/"
