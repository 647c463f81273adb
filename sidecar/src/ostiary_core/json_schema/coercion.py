"""Texts that are numbers, where a schema takes an integer and no text.

Models send ``"5"`` for 5. That is undone only where nothing is lost and nothing is guessed: the text is the one way to
write an integer of 64 bits, and the schema takes integers there, and no text in any of its alternatives.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from ostiary_core.json_schema.faults import UncheckableSchemaError
from ostiary_core.json_schema.references import SchemaReferences

_INTEGER: Final = re.compile(r"-?[1-9][0-9]{0,17}|0")
_ALL: Final = frozenset({"null", "boolean", "object", "array", "number", "integer", "string"})
_NONE: Final[frozenset[str]] = frozenset()
#: Steps through schemas for one value, and texts that are looked at.
_STEPS: Final = 5_000
_TEXTS: Final = 256
#: Values that are looked at: a walk through more would hold the gateway.
_VALUES: Final = 5_000
_DEEPEST: Final = 64

#: Names of members and numbers of items, from the root of a value.
ValuePath = tuple[str | int, ...]


def coerced(value: Any, schema: Mapping[str, Any]) -> Any:
    """Return a copy of a value with integers in place of texts.

    They are put where the schema takes integers and no text. It is the value itself where nothing changes.
    Whether the copy matches the schema is not said.
    """
    walk = _TypeWalk(schema)
    paths = [path for path in _numeric_texts(value) if walk.takes_integer_only(path)]
    for path in paths:
        value = _replaced(value, path)
    return value


def types_at(schema: Mapping[str, Any], path: ValuePath) -> frozenset[str]:
    """Return the types that a schema takes at a place, at most.

    These are all where that is not known.
    """
    return _TypeWalk(schema).types(path, unknown=_ALL)


def _numeric_texts(value: Any) -> list[ValuePath]:
    """Return where a value has texts that are integers.

    There are none in a value that is too large to be searched, or has too many of them: all are replaced, or none.
    """
    found: list[ValuePath] = []
    left: list[tuple[ValuePath, Any]] = [((), value)]
    budget = _VALUES
    while left:
        path, each = left.pop()
        budget -= 1 + (len(each) if isinstance(each, dict | list) else 0)
        if budget < 0 or len(found) > _TEXTS:
            return []
        if isinstance(each, str):
            if _INTEGER.fullmatch(each):
                found.append(path)
        elif len(path) < _DEEPEST:
            left.extend(((*path, step), inner) for step, inner in _children(each))
    return found


def _children(value: Any) -> Iterator[tuple[str | int, Any]]:
    if isinstance(value, dict):
        yield from value.items()
    elif isinstance(value, list):
        yield from enumerate(value)


def _replaced(value: Any, path: ValuePath) -> Any:
    if not path:
        return int(value)
    step, rest = path[0], path[1:]
    copy = value.copy()
    copy[step] = _replaced(value[step], rest)
    return copy


class _TypeWalk:
    """Finds the types that a schema takes at a place, at most."""

    def __init__(self, schema: Mapping[str, Any]) -> None:
        self._schema = schema
        self._references = SchemaReferences(schema)
        self._left = _STEPS

    def takes_integer_only(self, path: ValuePath) -> bool:
        """Return whether the schema takes an integer at a place, and no text."""
        types = self.types(path, unknown=_NONE)
        return "integer" in types and "string" not in types

    def types(self, path: ValuePath, *, unknown: frozenset[str]) -> frozenset[str]:
        """Return the types that the schema takes at a place.

        They are ``unknown`` where that costs too much to find.
        """
        try:
            return self._types(self._schema, path, 0)
        except UncheckableSchemaError:
            return unknown

    def _types(self, schema: Any, path: ValuePath, depth: int) -> frozenset[str]:
        self._left -= 1
        if self._left < 0 or depth > _DEEPEST:
            raise UncheckableSchemaError("costs too much to search")
        if not isinstance(schema, dict):
            return _NONE if schema is False else _ALL
        types = self._of_place(schema, path, depth)
        if "$ref" in schema:
            for target in self._references.targets(schema["$ref"]):
                types &= self._types(target, path, depth + 1)
        for each in _list(schema.get("allOf")):
            types &= self._types(each, path, depth + 1)
        for keyword in ("anyOf", "oneOf"):
            if isinstance(schema.get(keyword), list):
                types &= _NONE.union(*[self._types(each, path, depth + 1) for each in schema[keyword]])
        return types

    def _of_place(self, schema: Mapping[str, Any], path: ValuePath, depth: int) -> frozenset[str]:
        if not path:
            return _own_types(schema)
        inner = _inner(schema, path[0])
        return _ALL if inner is None else self._types(inner, path[1:], depth + 1)


def _own_types(schema: Mapping[str, Any]) -> frozenset[str]:
    types = _ALL
    declared = schema.get("type")
    if isinstance(declared, str):
        types = frozenset({declared})
    elif isinstance(declared, list):
        types = frozenset(each for each in declared if isinstance(each, str))
    if "number" in types:
        types |= {"integer"}
    values = [schema["const"]] if "const" in schema else _list(schema.get("enum"))
    return types & {_type_of(each) for each in values} if values else types


def _type_of(value: Any) -> str:
    if isinstance(value, str):
        return "string"
    return "integer" if isinstance(value, int) and not isinstance(value, bool) else "other"


def _inner(schema: Mapping[str, Any], step: str | int) -> Any:
    """Return the schema that applies to a member or an item; None where none is known."""
    if isinstance(step, str):
        properties = schema.get("properties")
        if isinstance(properties, dict) and step in properties:
            return properties[step]
        return None if "patternProperties" in schema else schema.get("additionalProperties")
    first = _list(schema.get("prefixItems")) or _list(schema.get("items"))
    if step < len(first):
        return first[step]
    rest = schema.get("items")
    return schema.get("additionalItems") if isinstance(rest, list) else rest


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
