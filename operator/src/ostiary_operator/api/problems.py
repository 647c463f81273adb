"""Problems of a document, as reported to its author: field, fault and remedy.

Messages repeat names of fields and choices but never values, since a URL or a header may hold a secret.
"""

import difflib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from ostiary_core.errors import OstiaryError
from ostiary_operator.api.constraints import PROBLEM
from ostiary_operator.api.schema import Schema, inlined

#: Problems that one message lists; it states how many more there are.
_LIMIT = 20
#: Characters of a field's name that are repeated.
_NAME_LIMIT = 100


@dataclass(frozen=True, slots=True)
class Problem:
    """One fault in a document.

    ``field`` is a path in Kubernetes' notation such as `spec.servers[0].url`; empty means the whole document.
    """

    field: str
    message: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.field or 'document'}: {self.message}; {self.remedy}"


class InvalidDocument(OstiaryError):
    """A user's document that cannot be used, with all of its problems.

    ``subject`` names the document for people, such as `MCPProxy tools/crm`.
    """

    def __init__(self, subject: str, problems: Sequence[Problem]) -> None:
        super().__init__(subject, problems)
        self.subject = subject
        self.problems = tuple(problems)

    def __str__(self) -> str:
        listed = [str(problem) for problem in self.problems[:_LIMIT]]
        omitted = len(self.problems) - len(listed)
        more = [f"and {omitted} more"] if omitted > 0 else []
        return f"{self.subject}: " + "\n".join(listed + more)


def field_path(location: Sequence[int | str]) -> str:
    """A location as Kubernetes writes it: `spec.servers[0].url`. Very long keys are cut."""
    path = ""
    for step in location:
        path += f"[{step}]" if isinstance(step, int) else f".{step[:_NAME_LIMIT]}"
    return path.removeprefix(".")


def nulls(value: Any, location: tuple[int | str, ...] = ()) -> Iterator[Problem]:
    """A problem for every field without a value.

    YAML reads `tools:` without a value as null. If null meant absent, a rule that was meant for some tools would
    apply to everything.
    """
    if value is None:
        yield Problem(field_path(location), "has no value", "give it a value, or remove the line")
    elif isinstance(value, dict):
        for key, child in value.items():
            if child is None or isinstance(child, dict | list):
                yield from nulls(child, (*location, str(key)))
    elif isinstance(value, list):
        for index, child in enumerate(value):
            if child is None or isinstance(child, dict | list):
                yield from nulls(child, (*location, index))


def problems(error: ValidationError, model: type[BaseModel]) -> list[Problem]:
    """The problems that pydantic found, as plain messages, in the order of the document."""
    found = error.errors(include_url=False)
    faulty = {step for details in found for step in _above(details["loc"])}
    # Pydantic counts only the valid items of a list: one bad item must not make the list too short as well.
    return [_problem(it, model) for it in found if it["type"] != "too_short" or it["loc"] not in faulty]


def _above(location: tuple[int | str, ...]) -> Iterator[tuple[int | str, ...]]:
    return (location[:length] for length in range(len(location)))


def _problem(details: ErrorDetails, model: type[BaseModel]) -> Problem:
    location, context = details["loc"], details.get("ctx", {})
    kind = _kind(details)
    if kind == PROBLEM:
        return Problem(field_path((*location, *context["below"])), context["message"], context["remedy"])
    if kind == "extra_forbidden":
        return _unknown_field(location, model)
    if location and location[-1] == "[key]":
        location = location[:-1]
    message, remedy = _MESSAGES.get(kind, ("is not valid: {msg}", "see the reference of this field"))
    words = {**context, "msg": details["msg"], "choices": _choices(location, model)}
    return Problem(field_path(location), message.format_map(words), remedy.format_map(words))


def _kind(details: ErrorDetails) -> str:
    """Return the type of a problem.

    Pydantic counts items of a text, too, where it bounds a type once more.
    """
    kind = details["type"]
    return f"string_{kind}" if kind in {"too_long", "too_short"} and isinstance(details["input"], str) else kind


_MESSAGES: Mapping[str, tuple[str, str]] = {
    "invalid_key": ("has a key that is not text", "put it in quotes"),
    "missing": ("is required", "add it"),
    "enum": ("is not one of the allowed values", "use {choices}"),
    "literal_error": ("is not one of the allowed values", "use {choices}"),
    "string_type": ("must be a string", "write text; put quotes around numbers, dates, true and false"),
    "string_too_short": ("must not be empty", "write at least {min_length} character"),
    "string_too_long": ("is too long", "write at most {max_length} characters"),
    "string_pattern_mismatch": ("does not match {pattern}", "see the reference of this field"),
    "int_type": ("must be a whole number", "write digits without quotes"),
    "greater_than_equal": ("is too small", "write at least {ge}"),
    "less_than_equal": ("is too large", "write at most {le}"),
    "tuple_type": ("must be a list", "write it as [a, b], or as lines that start with a hyphen"),
    "dict_type": ("must be a mapping", "write it as key: value"),
    "model_type": ("must be a mapping of fields", "write it as field: value"),
    "model_attributes_type": ("must be a mapping of fields", "write it as field: value"),
    "too_short": ("has too few items", "write at least {min_length}, or remove it"),
    "too_long": ("has too many items", "write at most {max_length}"),
}


def _unknown_field(location: Sequence[int | str], model: type[BaseModel]) -> Problem:
    name = str(location[-1])
    known = list(_schema_at(location[:-1], model).get("properties", ()))
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.7) or [k for k in known if k.lower() == name.lower()]
    elsewhere = [] if close or name in _COMMON_NAMES else _places(location, model)
    remedy = f"did you mean {close[0]}?" if close else f"known here: {', '.join(known)}"
    remedy = f"move it to {' or '.join(elsewhere)}" if elsewhere else remedy
    return Problem(field_path(location), "is not a known field", remedy)


#: Names of fields in many objects, which say nothing about where a misplaced field belongs.
_COMMON_NAMES = frozenset({"kind", "name", "namespace", "path", "url"})


def _places(location: Sequence[int | str], model: type[BaseModel]) -> list[str]:
    """Return where a misplaced field belongs: in the nearest object around it, or below."""
    name = str(location[-1])
    for length in range(len(location) - 1, 0, -1):
        outer = location[:length]
        if isinstance(outer[-1], int) and length < len(location) - 1:
            continue
        members = _schema_at(outer, model).get("properties", {})
        if name in members:
            return [field_path((*outer, name))]
        below = [
            f"{field_path((*outer, step))}{'[]' if 'items' in schema else ''}.{name}"
            for step, schema in members.items()
            if name in _members(schema)
        ]
        if below:
            return below
    return []


def _members(schema: Schema) -> Mapping[str, Any]:
    """Return the fields of an object, or of the items of a list."""
    found = schema.get("items", schema).get("properties", {})
    return found if isinstance(found, Mapping) else {}


def _choices(location: Sequence[int | str], model: type[BaseModel]) -> str:
    schema = _schema_at(location, model)
    *others, last = [str(choice) for choice in schema.get("enum", [schema.get("const")])]
    return f"{', '.join(others)} or {last}" if others else last


def _schema_at(location: Sequence[int | str], model: type[BaseModel]) -> Schema:
    """The schema of the value at a location; empty if the location is not in the model."""
    schema = inlined(model)
    for step in location:
        below = schema.get("items") if isinstance(step, int) else schema.get("properties", {}).get(step)
        if not isinstance(below, dict):
            return {}
        schema = below
    return schema
