"""A schema with its price, compiled, and whether a value matches it.

A check costs at most what its price promises for each node of the value. What that multiplies to is bounded, since the
engine holds the GIL while it works: a value beyond the bound is not checked, which is no verdict about it.
"""

from collections.abc import Mapping
from enum import Enum
from typing import Any, Final

import jsonschema_rs
import orjson

from ostiary_core.json_schema.engine import compile_schema, dialect_of, without_dialect
from ostiary_core.json_schema.faults import UncheckableSchemaError
from ostiary_core.json_schema.price import SchemaPrice, price_of

#: The most that one check may cost, in evaluations of a schema without keywords.
MOST_WORK: Final = 500_000
#: What one node costs without any schema: the engine gets a copy of it.
_EACH_NODE: Final = 4
#: Bytes of texts that cost one unit.
_BYTES_EACH: Final = 64
_BEGINNINGS: Final = (b"{", b"[", b",")
#: Keywords under which a property is judged by its own schema only.
_SEPARATE: Final = frozenset(
    {"$comment", "$defs", "$id", "$schema", "additionalProperties", "definitions", "description", "properties"}
    | {"required", "title", "type", "examples", "default", "minProperties", "maxProperties"}
)


class SchemaVerdict(Enum):
    """Whether a value matches a schema, as far as that can be said."""

    VALID = "Valid"
    INVALID = "Invalid"
    UNCHECKABLE = "Uncheckable"


class CompiledSchema:
    """A schema that can be checked.

    ``schema`` is the parsed document, which must not be changed.

    Raises:
        UncheckableSchemaError: it is no schema, too costly, or of a dialect that is not used.
    """

    def __init__(self, schema: Any) -> None:
        if not isinstance(schema, dict):
            raise UncheckableSchemaError("is not an object")
        self.schema: Mapping[str, Any] = schema
        self.dialect = dialect_of(schema)
        self.price, self._properties = price_of(schema)
        self._is_separate = _SEPARATE.issuperset(schema) and isinstance(schema.get("additionalProperties", True), bool)
        self.validator = self.compiled(schema)

    def compiled(self, schema: Mapping[str, Any]) -> jsonschema_rs.Validator:
        """Compile another schema in the same dialect, such as a part of this one.

        Raises:
            UncheckableSchemaError: it is no schema of the dialect.
        """
        try:
            return compile_schema(without_dialect(schema), self.dialect)
        except (ValueError, jsonschema_rs.ReferencingError):
            raise UncheckableSchemaError("is not a valid schema of its dialect") from None

    def verdict(self, value: Any) -> SchemaVerdict:
        """Return whether a value matches, or that it is too large or too deep to be checked."""
        if not self.is_affordable(value):
            return SchemaVerdict.UNCHECKABLE
        try:
            return SchemaVerdict.VALID if self.validator.is_valid(value) else SchemaVerdict.INVALID
        except (ValueError, TypeError, OverflowError):  # nested too deep, or no JSON
            return SchemaVerdict.UNCHECKABLE

    def is_affordable(self, value: Any) -> bool:
        """Return whether a check of a value costs at most :data:`MOST_WORK`."""
        work = _work(value, self.price)
        if work is None:
            return False
        if work <= MOST_WORK:
            return True
        if not self._is_separate or not isinstance(value, dict):
            return False
        return self._work_by_property(value) <= MOST_WORK

    def _work_by_property(self, value: Mapping[str, Any]) -> int:
        total = self.price.in_place
        for name, each in value.items():
            work = _work(each, self._properties.get(name, _NOTHING))
            total += work if work is not None else MOST_WORK
        return total


_NOTHING: Final = SchemaPrice()


def _work(value: Any, price: SchemaPrice) -> int | None:
    """Return what a check costs at most; None for a value that is no JSON."""
    try:
        text = orjson.dumps(value)
    except TypeError:
        return None
    nodes = 1 + sum(map(text.count, _BEGINNINGS))
    return nodes * (_EACH_NODE + price.evaluations) + len(text) * price.steps + len(text) // _BYTES_EACH
