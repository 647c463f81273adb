"""Constraints that both the models and the API server check.

Each constraint is one object with both forms (Python, and OpenAPI keywords or CEL), so that neither can be changed
alone. Put a constraint into `Annotated[...]` of a scalar or a list, or into `constraints` of a model (`ApiModel`).
"""

import functools
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from typing import Any

import re2
from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

PROBLEM = "ostiary_problem"
"""The type of the pydantic errors raised here; their context holds `message`, `remedy` and `below`."""


def problem(message: str, remedy: str, *, below: tuple[int | str, ...] = ()) -> PydanticCustomError:
    """Make an error with a remedy for pydantic to collect.

    ``below`` is the path from the value to the faulty field.
    """
    context = {"message": message, "remedy": remedy, "below": below}
    return PydanticCustomError(PROBLEM, "{message}", context)


@functools.cache
def compiled(regex: str) -> Any:
    """Compile an RE2 expression once: `re2.search` evaluates many options at every call."""
    return re2.compile(regex)


class Constraint:
    """Base of all constraints.

    Pydantic calls it after the type's own validation, and when it makes the schema.
    """

    def check(self, value: Any) -> Any:
        """Return the value itself, or raise a problem."""
        raise NotImplementedError

    def extend(self, schema: dict[str, Any]) -> None:
        """Add the API server's form of the constraint to the JSON schema of the value."""
        raise NotImplementedError

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(self.check, handler(source))

    def __get_pydantic_json_schema__(self, core: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        schema = handler(core)
        self.extend(schema)
        return schema


@dataclass(frozen=True)
class Pattern(Constraint):
    """A string that an anchored RE2 expression must match: the keyword `pattern`.

    Both sides use RE2. Python's `re` is not used because its `$` accepts a trailing newline.
    """

    regex: str
    message: str
    remedy: str

    def check(self, value: Any) -> Any:
        """The value, if the expression matches."""
        if compiled(self.regex).search(value) is None:
            raise problem(self.message, self.remedy)
        return value

    def extend(self, schema: dict[str, Any]) -> None:
        """Add the keyword."""
        schema["pattern"] = self.regex


@dataclass(frozen=True)
class Rule(Constraint):
    """A condition in CEL (`self` is the value) and the same condition in Python."""

    cel: str
    holds: Callable[[Any], bool] = field(compare=False)
    message: str
    remedy: str
    field_path: str = ""
    """Path from the value to the faulty field, such as `.spec.path`; empty means the value itself."""

    def check(self, value: Any) -> Any:
        """The value, if the condition holds."""
        if not self.holds(value):
            raise problem(self.message, self.remedy, below=tuple(self.field_path.split(".")[1:]))
        return value

    def extend(self, schema: dict[str, Any]) -> None:
        """Add the condition to the CEL rules."""
        rule = {"rule": self.cel, "message": f"{self.message}; {self.remedy}"}
        if self.field_path:
            rule["fieldPath"] = self.field_path
        schema.setdefault("x-kubernetes-validations", []).append(rule)


def matches(regex: str, message: str, remedy: str) -> Rule:
    """A pattern as a CEL rule, whose error is a sentence.

    The error of the keyword `pattern` would be the expression.
    """
    return Rule(f"self.matches(r'{regex}')", lambda v: compiled(regex).search(v) is not None, message, remedy)


def excludes(regex: str, message: str, remedy: str) -> Rule:
    """The opposite of `matches`: no part of the string may match."""
    return Rule(f"!self.matches(r'{regex}')", lambda v: compiled(regex).search(v) is None, message, remedy)


@dataclass(frozen=True)
class Unique(Constraint):
    """A list without duplicates, which server-side apply can merge.

    It is a set of scalars, or with `keys` a map of objects. `absent` holds defaults of keys that may be absent. The API
    server does not accept such keys for a map, so the list is then replaced as a whole.
    """

    keys: tuple[str, ...] = ()
    absent: tuple[tuple[str, str], ...] = ()

    def check(self, value: Sequence[Any]) -> Any:
        """The list, if no two items are the same."""
        seen: set[Hashable] = set()
        for index, item in enumerate(value):
            key = self._key(item)
            if key in seen:
                below = () if self.absent else (index,)  # a CEL rule can only report the list
                raise problem(self._message(), "remove or rename one of the two", below=below)
            seen.add(key)
        return value

    def _message(self) -> str:
        return f"has the same {', '.join(self.keys)} as an earlier item" if self.keys else "repeats an earlier item"

    def _key(self, item: Any) -> Hashable:
        return tuple(getattr(item, key) for key in self.keys) if self.keys else item

    def extend(self, schema: dict[str, Any]) -> None:
        """Add the list type, or a CEL rule if no list type expresses it."""
        if self.absent:
            Atomic().extend(schema)
            rule = {"rule": self._cel(), "message": f"{self._message()}; remove or rename one of the two"}
            schema.setdefault("x-kubernetes-validations", []).append(rule)
            return
        schema["x-kubernetes-list-type"] = "map" if self.keys else "set"
        if self.keys:
            schema["x-kubernetes-list-map-keys"] = list(self.keys)

    def _cel(self) -> str:
        return f"self.all(a, self.exists_one(b, {' && '.join(map(self._same, self.keys))}))"

    def _same(self, key: str) -> str:
        default = dict(self.absent).get(key)
        # A ternary instead of `orValue`: the API server cannot estimate the cost of `orValue` and refuses the CRD.
        words = "{it}.{key}" if default is None else "(has({it}.{key}) ? {it}.{key} : '{default}')"
        return " == ".join(words.format(it=it, key=key, default=default) for it in "ab")


@dataclass(frozen=True)
class AnyOfTypes(Constraint):
    """A value of several JSON types.

    Structural schemas have no union, so the schema is written out.
    """

    schema: tuple[tuple[str, Any], ...]
    holds: Callable[[Any], bool] = field(compare=False)
    message: str
    remedy: str

    def check(self, value: Any) -> Any:
        """The value, if it has one of the types."""
        if not self.holds(value):
            raise problem(self.message, self.remedy)
        return value

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(self.check)

    def __get_pydantic_json_schema__(self, core: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return dict(self.schema)


@dataclass(frozen=True)
class Atomic(Constraint):
    """A list that server-side apply replaces as a whole."""

    def check(self, value: Any) -> Any:
        """Accept every list."""
        return value

    def extend(self, schema: dict[str, Any]) -> None:
        """Add the list type."""
        schema["x-kubernetes-list-type"] = "atomic"
