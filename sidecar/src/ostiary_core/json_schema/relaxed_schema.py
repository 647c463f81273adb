"""A schema without the keywords whose faults the engine explains by trying every branch.

To say what is wrong under ``anyOf``, the engine collects the faults of all branches, and under a definition that refers
to itself that doubles with each level of the value: fourteen levels take it seconds, where the verdict takes
microseconds. So words come from a schema that takes at least what the whole one takes, and has none of these keywords.
Where all alternatives say their type, the union of the types stands for them, and a nullable schema stays itself for
what is not null.
"""

from collections.abc import Mapping
from typing import Any, Final

#: Keywords that are kept as they are.
_PLAIN: Final = frozenset(
    {"$anchor", "$dynamicAnchor", "$dynamicRef", "$id", "$recursiveRef", "$ref", "const", "dependentRequired", "enum"}
    | {"exclusiveMaximum", "exclusiveMinimum", "maxItems", "maxLength", "maxProperties", "maximum", "minItems"}
    | {"minLength", "minProperties", "minimum", "multipleOf", "pattern", "required", "type", "uniqueItems"}
)
_ONE: Final = frozenset({"additionalItems", "additionalProperties", "items"})
_LISTS: Final = frozenset({"allOf", "prefixItems", "items"})
_MAPS: Final = frozenset({"$defs", "definitions", "patternProperties", "properties"})
_UNIONS: Final = ("anyOf", "oneOf")
_NULL: Final = {"type": "null"}


def relaxed(schema: Any) -> Any:
    """Return a schema that takes at least what this one takes, without alternatives."""
    if not isinstance(schema, dict):
        return schema
    found: dict[str, Any] = {}
    for keyword, value in schema.items():
        if keyword in _PLAIN:
            found[keyword] = value
        elif keyword in _MAPS and isinstance(value, dict):
            found[keyword] = {name: relaxed(each) for name, each in value.items()}
        elif keyword in _LISTS and isinstance(value, list):
            found[keyword] = [relaxed(each) for each in value]
        elif keyword in _ONE:
            found[keyword] = relaxed(value)
    for keyword in _UNIONS:
        if isinstance(schema.get(keyword), list):
            found.update(_union(found, schema[keyword]))
    return found


def _union(found: Mapping[str, Any], alternatives: list[Any]) -> dict[str, Any]:
    """Return what stands for alternatives next to what was found already."""
    others = [each for each in alternatives if each != _NULL]
    if len(others) == 1 and len(alternatives) > 1 and "if" not in found:
        union = _types(alternatives) if "type" not in found else {}
        return {**union, "if": _NULL, "else": relaxed(others[0])}
    return _types(alternatives) if "type" not in found else {}


def _types(alternatives: list[Any]) -> dict[str, Any]:
    types: list[str] = []
    for each in alternatives:
        own = each.get("type") if isinstance(each, dict) else None
        if not isinstance(own, str | list) or not own:
            return {}
        types += [own] if isinstance(own, str) else own
    return {"type": list(dict.fromkeys(types))}
