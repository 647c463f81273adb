"""Arguments against the schema of a tool.

A check gives the verdict, the words, and what may be corrected without loss.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

from ostiary_core.json_schema.coercion import coerced
from ostiary_core.json_schema.compiled_schema import CompiledSchema, SchemaVerdict
from ostiary_core.json_schema.faults import UncheckableSchemaError
from ostiary_core.json_schema.keyword_weights import IN_PLACE, REFERENCES, schemas_of
from ostiary_core.json_schema.references import SchemaReferences
from ostiary_core.json_schema.wording import MOST_FAULTS, SchemaWords, known_names, unknown_names

#: Schemas that are searched for the names of properties.
_MOST_SCHEMAS: Final = 2_000
#: Keywords under which any name, or a pattern of names, is declared.
_OPEN: Final = ("additionalProperties", "unevaluatedProperties")


@dataclass(frozen=True, slots=True)
class CheckedValue:
    """What was found of one value.

    ``value`` is the value, or a copy in which texts became integers. ``faults`` are words for a model; none where it is
    valid or could not be checked. ``has_unknown`` where names that are not declared were to be refused, and are among
    them.
    """

    verdict: SchemaVerdict
    value: Any
    faults: tuple[str, ...] = ()
    has_unknown: bool = False


class SchemaCheck:
    """Checks values against one schema.

    Raises:
        UncheckableSchemaError: the schema cannot be used.
    """

    def __init__(self, schema: Any) -> None:
        self.compiled = CompiledSchema(schema)

    @cached_property
    def words(self) -> SchemaWords:
        """Words about values that do not match: compiled for the first of them."""
        return SchemaWords(self.compiled)

    @cached_property
    def declared(self) -> frozenset[str] | None:
        """The names of the properties that the schema declares.

        None where it declares others by a rule.
        """
        try:
            return _declared(self.compiled.schema)
        except UncheckableSchemaError:
            return None

    def matches(self, value: Any, *, refuses_unknown: bool = False) -> bool:
        """Return whether :meth:`check` certainly finds nothing, as it mostly does."""
        if refuses_unknown and self._unknown(value):
            return False
        return self.compiled.verdict(value) is SchemaVerdict.VALID

    def check(self, value: Any, *, refuses_unknown: bool = False, coerces: bool = False) -> CheckedValue:
        """Check the arguments of a call.

        ``refuses_unknown`` where names that the schema does not declare are faults, even if it takes them; ``coerces``
        where texts become integers.
        """
        unknown = self._unknown(value) if refuses_unknown else []
        has_unknown = bool(unknown)
        verdict = self.compiled.verdict(value)
        if verdict is SchemaVerdict.INVALID and coerces:
            other = coerced(value, self.compiled.schema)
            if other is not value and self.compiled.verdict(other) is SchemaVerdict.VALID:
                value, verdict = other, SchemaVerdict.VALID
        if verdict is SchemaVerdict.INVALID:
            found = self.words.faults(value)
            unknown += [each for each in found if each not in unknown]
        elif unknown:
            verdict = SchemaVerdict.INVALID
        return CheckedValue(verdict, value, tuple(unknown[:MOST_FAULTS]), has_unknown)

    def _unknown(self, value: Any) -> list[str]:
        declared = self.declared
        if declared is None or not isinstance(value, dict) or declared.issuperset(value):
            return []
        return list(unknown_names(value, sorted(declared), most=MOST_FAULTS))


def _declared(schema: Mapping[str, Any]) -> frozenset[str] | None:
    names: set[str] = set()
    for each in _in_place(schema):
        if "patternProperties" in each or any(isinstance(each.get(keyword), dict) for keyword in _OPEN):
            return None
        names.update(known_names(each))
    return frozenset(names)


def _in_place(schema: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Yield a schema, and each one that it applies to the same value.

    Raises:
        UncheckableSchemaError: there are too many, or a reference leads nowhere.
    """
    references, met, left = SchemaReferences(schema), {id(schema)}, [schema]
    while left:
        each = left.pop()
        yield each
        if len(met) > _MOST_SCHEMAS:
            raise UncheckableSchemaError("costs too much to search")
        for keyword, value in each.items():
            found = references.targets(value) if keyword in REFERENCES else ()
            for other in schemas_of(keyword, value) if keyword in IN_PLACE else found:
                if isinstance(other, dict) and id(other) not in met:
                    met.add(id(other))
                    left.append(other)
