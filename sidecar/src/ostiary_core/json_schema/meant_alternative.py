"""Which alternative of a union a value is meant to be.

Unions of objects usually tell their alternatives apart by a member with a constant, as pydantic, zod
and OpenAPI write them. Where the value has the constant of exactly one alternative, words can be about that one.
"""

from collections.abc import Mapping
from typing import Any, Final

from ostiary_core.json_schema.faults import UncheckableSchemaError
from ostiary_core.json_schema.references import SchemaReferences

#: Alternatives that are looked at.
_MOST: Final = 64
_UNIONS: Final = ("oneOf", "anyOf")


def meant_alternative(root: Mapping[str, Any], name: str, value: Any) -> Mapping[str, Any] | None:
    """Return the alternative that a member of the root is meant to be.

    None where it has none, or more than one could be meant.
    """
    properties = root.get("properties")
    if not isinstance(value, dict) or not isinstance(properties, dict):
        return None
    references = SchemaReferences(root)
    schema = _resolved(references, properties.get(name))
    lists = [schema[keyword] for keyword in _UNIONS if isinstance(schema.get(keyword), list)]
    found = [_resolved(references, each) for alternatives in lists for each in alternatives[:_MOST]]
    meant = [each for each in found if _has_constant(each, value)]
    return meant[0] if len(meant) == 1 else None


def _resolved(references: SchemaReferences, schema: Any) -> Mapping[str, Any]:
    try:
        while isinstance(schema, dict) and schema.keys() == {"$ref"}:
            [schema] = references.targets(schema["$ref"])
            if isinstance(schema, dict) and "$ref" in schema:
                return {}
    except (UncheckableSchemaError, ValueError):
        return {}
    return schema if isinstance(schema, dict) else {}


def _has_constant(schema: Mapping[str, Any], value: Mapping[str, Any]) -> bool:
    properties = schema.get("properties")
    constants = [
        (name, each["const"])
        for name, each in (properties.items() if isinstance(properties, dict) else ())
        if isinstance(each, dict) and isinstance(each.get("const"), str)
    ]
    return bool(constants) and all(value.get(name) == constant for name, constant in constants)
