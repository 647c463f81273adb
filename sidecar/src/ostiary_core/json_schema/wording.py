"""What is wrong with a value, in words that a model can act on.

Each fault is a JSON Pointer (RFC 6901) and what is expected there, with the nearest known name for one that is unknown.
The value itself is never repeated: it may be what must not reach a log. What the schema says is repeated, since its
reader has been shown the schema.
"""

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

import jsonschema_rs
import orjson

from ostiary_core.closest_name import Nearest
from ostiary_core.json_schema.compiled_schema import CompiledSchema
from ostiary_core.json_schema.faults import UncheckableSchemaError
from ostiary_core.json_schema.meant_alternative import meant_alternative
from ostiary_core.json_schema.relaxed_schema import relaxed

#: The most faults that are named, and properties that are searched for them.
MOST_FAULTS: Final = 5
_MOST_PROPERTIES: Final = 256
#: The cost of a schema up to which it is compiled a second time for words.
_MOST_COST: Final = 4_000
#: The largest value, in bytes of JSON, of which the engine is asked what is wrong within: it copies it to say so.
_MOST_BYTES: Final = 64 * 1024
_TOO_LARGE: Final = "does not match the schema, and is too large to say where"
_OF_TYPES: Final = frozenset({"Type", "FalseSchema"})
_SHOWN: Final = 64
_OPTIONS: Final = 12
_SCHEMA_ROOTS: Final = ("$id", "$defs", "definitions")
_OF_PROPERTIES: Final = (*_SCHEMA_ROOTS, "properties", "patternProperties")
_UNKNOWN_RULES: Final = frozenset({"allOf", "anyOf", "oneOf", "if", "$ref", "patternProperties", "dependentSchemas"})


class SchemaWords:
    """Words about values that do not match one schema."""

    def __init__(self, compiled: CompiledSchema) -> None:
        self._schema = compiled.schema
        self._compiled = compiled
        self._properties: jsonschema_rs.Validator | None = None
        self._relaxed: jsonschema_rs.Validator | None = None
        self._relaxed_whole: jsonschema_rs.Validator | None = None
        #: Alternatives that members were meant to be, by identity: the schema holds them.
        self._alternatives: dict[tuple[str, int], jsonschema_rs.Validator] = {}
        if compiled.price.cost <= _MOST_COST:
            self._compile()

    def _compile(self) -> None:
        own = {key: value for key, value in self._schema.items() if key in _OF_PROPERTIES}
        try:
            self._properties = self._compiled.compiled(own)
            self._relaxed = self._compiled.compiled(relaxed(own))
            self._relaxed_whole = self._compiled.compiled(relaxed(self._schema))
        except UncheckableSchemaError:  # references of the root to parts that words need not
            self._relaxed = self._relaxed_whole = None

    def faults(self, value: Any) -> list[str]:
        """Return what is wrong with a value that does not match.

        These are one to :data:`MOST_FAULTS` faults.
        """
        found = list(itertools.islice(self._all(value), MOST_FAULTS))
        return found or [_first(self._relaxed_whole, value) or "the values do not fit each other"]

    def first_fault(self, value: Any) -> tuple[str | int, ...] | None:
        """Return the path to the first fault of a value, as far as it is not one of alternatives."""
        error = _error(self._relaxed_whole, value)
        return tuple(error.instance_path) if error is not None else None

    def _all(self, value: Any) -> Iterator[str]:
        if isinstance(value, dict):
            yield from self._missing(value)
            if self._schema.get("additionalProperties") is False and _UNKNOWN_RULES.isdisjoint(self._schema):
                yield from unknown_names(value, known_names(self._schema), most=MOST_FAULTS)
            yield from self._of_properties(value)

    def _missing(self, value: Mapping[str, Any]) -> Iterator[str]:
        required = self._schema.get("required")
        for name in required if isinstance(required, list) else ():
            if isinstance(name, str) and name not in value:
                yield f"{pointer([name])}: is missing, and required{_of_type(self._schema, name)}"

    def _of_properties(self, value: Mapping[str, Any]) -> Iterator[str]:
        if self._properties is None:
            return
        for name, each in itertools.islice(value.items(), _MOST_PROPERTIES):
            own = {name: each}
            if not self._properties.is_valid(own):
                otherwise = _TOO_LARGE if _is_large(own) else "matches none of the schema's alternatives"
                yield (
                    _first(self._relaxed, own) or self._of_alternative(name, each) or f"{pointer([name])}: {otherwise}"
                )

    def _of_alternative(self, name: str, value: Any) -> str:
        """Return what is wrong with a member by the alternative that it is meant to be.

        Empty where that is none.
        """
        alternative = meant_alternative(self._schema, name, value)
        if alternative is None or self._relaxed is None or _is_large(value):
            return ""
        key = name, id(alternative)
        if key not in self._alternatives:
            roots = {key: each for key, each in self._schema.items() if key in _SCHEMA_ROOTS}
            try:
                found = self._compiled.compiled(relaxed({**roots, "properties": {name: alternative}}))
            except UncheckableSchemaError:
                return ""
            self._alternatives[key] = found
        return _first(self._alternatives[key], {name: value})


def _first(validator: jsonschema_rs.Validator | None, value: Any) -> str:
    """Return what is wrong first with a value; empty where that cannot be said."""
    is_large = _is_large(value)
    error = _error(validator, _hollow(value) if is_large else value)
    if error is None or (is_large and type(error.kind).__name__ not in _OF_TYPES):
        return ""
    return f"{pointer(error.instance_path)}: {_expected(error.kind)}"


def _is_large(value: Any) -> bool:
    try:
        return len(orjson.dumps(value)) > _MOST_BYTES
    except TypeError:
        return True


def _hollow(value: Any) -> Any:
    """Return a value whose members have the same types, and nothing in them."""
    if not isinstance(value, dict):
        return value
    members = itertools.islice(value.items(), _MOST_PROPERTIES)
    return {name: type(each)() if isinstance(each, dict | list | str) else each for name, each in members}


def _error(validator: jsonschema_rs.Validator | None, value: Any) -> jsonschema_rs.ValidationError | None:
    """Return the first fault of a value; None without a validator, or a fault."""
    if validator is None:
        return None
    try:
        validator.validate(value)
    except jsonschema_rs.ValidationError as error:
        return error
    except (ValueError, TypeError):  # nested too deep
        pass
    return None


def unknown_names(value: Mapping[str, Any], known: Sequence[str], *, most: int) -> Iterator[str]:
    """Yield what is wrong with members of an object that are not among the known ones.

    These are at most ``most``, the first of them.
    """
    names = frozenset(known)
    nearest = None
    for name in itertools.islice((name for name in value if name not in names), most):
        nearest = nearest or Nearest(itertools.islice(sorted(names), _MOST_PROPERTIES))
        meant = nearest.to(name)
        hint = f"did you mean {_shown(meant)}?" if meant else f"known are {_options(known) or 'none'}"
        yield f"{pointer([name])}: is not known; {hint}"


def known_names(schema: Mapping[str, Any]) -> list[str]:
    """Return the names of the properties that a schema declares."""
    properties = schema.get("properties")
    return list(properties) if isinstance(properties, dict) else []


def pointer(path: Iterable[str | int]) -> str:
    """Return a JSON Pointer, or words for the whole value, whose pointer is the empty text."""
    steps = [_line(str(step).replace("~", "~0").replace("/", "~1")) for step in path]
    return "".join(f"/{step}" for step in steps) or "the whole value"


def _of_type(schema: Mapping[str, Any], name: str) -> str:
    properties = schema.get("properties")
    own = properties.get(name) if isinstance(properties, dict) else None
    declared = own.get("type") if isinstance(own, dict) else None
    types = [declared] if isinstance(declared, str) else declared
    return f"; expected {_types(types)}" if isinstance(types, list) and types else ""


def _expected(kind: jsonschema_rs.ValidationErrorKind) -> str:
    words = _WORDS.get(type(kind).__name__)
    return words(kind) if words is not None else "does not match the schema"


def _types(types: Iterable[Any]) -> str:
    return " or ".join(_line(str(each)) for each in itertools.islice(types, _OPTIONS))


def _options(values: Sequence[Any]) -> str:
    shown = ", ".join(_shown(each) for each in values[:_OPTIONS])
    return f"{shown}, ..." if len(values) > _OPTIONS else shown


def _unexpected(names: Iterable[Any]) -> str:
    return "does not take " + ", ".join(_shown(each) for each in itertools.islice(names, MOST_FAULTS))


def _shown(value: Any) -> str:
    try:
        return _line(orjson.dumps(value).decode())
    except TypeError:
        return "a value"


def _line(text: str) -> str:
    line = "".join(each if each.isprintable() else "?" for each in text[:_SHOWN])
    return line if len(text) <= _SHOWN else f"{line}..."


def _count(words: str) -> Callable[[Any], str]:
    return lambda kind: words.format(kind.limit)


_WORDS: Final[Mapping[str, Callable[[Any], str]]] = {
    "Type": lambda kind: f"expected {_types(kind.types)}",
    "Required": lambda kind: f"the member {_shown(kind.property)} is missing",
    "Enum": lambda kind: f"expected one of {_options(kind.options)}",
    "Constant": lambda kind: f"expected {_shown(kind.expected_value)}",
    "AdditionalProperties": lambda kind: _unexpected(kind.unexpected),
    "AdditionalItems": _count("expected at most {} items"),
    "Minimum": _count("expected at least {}"),
    "Maximum": _count("expected at most {}"),
    "ExclusiveMinimum": _count("expected more than {}"),
    "ExclusiveMaximum": _count("expected less than {}"),
    "MultipleOf": lambda kind: f"expected a multiple of {kind.multiple_of}",
    "MinLength": _count("expected at least {} characters"),
    "MaxLength": _count("expected at most {} characters"),
    "Pattern": lambda kind: f"expected text that matches {_shown(kind.pattern)}",
    "MinItems": _count("expected at least {} items"),
    "MaxItems": _count("expected at most {} items"),
    "UniqueItems": lambda _: "expected items that differ from each other",
    "MinProperties": _count("expected at least {} members"),
    "MaxProperties": _count("expected at most {} members"),
    "FalseSchema": lambda _: "must be absent",
}
