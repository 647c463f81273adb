"""Schemas of OpenAPI 3.0 and 3.1 as JSON Schema 2020-12.

What a reference leads to becomes a definition, which the tools of a document share: so a cycle stays a cycle, and a
schema that a hundred operations use is kept once. The schemas are those of requests: a property that is ``readOnly`` is
not part of them.
"""

from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from ostiary_core.contract.openapi import MOST_DEFINITIONS
from ostiary_core.errors import OpenApiError
from ostiary_core.openapi.document import OpenApiDocument, shown, steps_of
from ostiary_core.openapi.schema_keywords import (
    LIST,
    LONGEST_PATTERN,
    LONGEST_TEXT,
    MAP,
    ONE,
    PLAIN,
    REBASING,
    REFERENCE,
    is_pattern,
    is_text,
)
from ostiary_core.openapi.tool_names import LONGEST_ARGUMENT, plain_name

#: The different patterns of one document: each takes memory where it is compiled.
MOST_PATTERNS: Final = 256
#: The schemas of one document, with those within others.
MOST_SCHEMAS: Final = 20_000

Schema = dict[str, Any] | bool


@dataclass(slots=True)
class Definition:
    """A schema that others refer to.

    ``faults`` say why it cannot be expressed, ``refers_to`` names the definitions that it needs itself.
    """

    schema: Schema = True
    faults: list[str] = field(default_factory=list)
    refers_to: set[str] = field(default_factory=set)


class Schemas:
    """The schemas of one document.

    ``note`` is told of each keyword that is left out, as text that names its place.
    """

    def __init__(self, document: OpenApiDocument, note: Callable[[str], None]) -> None:
        self._document = document
        self._note = note
        #: By name.
        self.definitions: dict[str, Definition] = {}
        self._names: dict[tuple[str, ...], str] = {}
        self._waiting: deque[tuple[str, Any, str]] = deque()
        self._patterns: set[str] = set()
        self._numbers: Counter[str] = Counter()
        self._count = 0

    def translate(self, schema: Any, where: str) -> Definition:
        """Return a schema of a request, with all definitions that it needs made.

        ``where`` is its place, for messages.
        """
        made = self._made(schema, where)
        while self._waiting:
            name, target, place = self._waiting.popleft()
            found = self._made(target, place)
            kept = self.definitions[name]
            kept.schema, kept.faults, kept.refers_to = found.schema, found.faults, found.refers_to
        return made

    def needed_by(self, made: Definition) -> list[str]:
        """Return the names of all definitions that a schema needs, also those behind others."""
        found: dict[str, None] = {}
        left = deque(sorted(made.refers_to))
        while left:
            name = left.popleft()
            if name not in found:
                found[name] = None
                left.extend(sorted(self.definitions[name].refers_to))
        return sorted(found)

    def _made(self, schema: Any, where: str) -> Definition:
        made = Definition()
        made.schema = _SchemaTranslator(self, made).schema(schema, where)
        return made

    def count(self) -> None:
        """Count one schema more.

        Raises:
            OpenApiError: there are too many.
        """
        self._count += 1
        if self._count > MOST_SCHEMAS:
            raise OpenApiError(f"has more than {MOST_SCHEMAS} schemas; leave out what agents do not need")

    def accepts(self, pattern: Any) -> bool:
        """Return whether a pattern can be used."""
        if not isinstance(pattern, str) or len(pattern) > LONGEST_PATTERN or not is_pattern(pattern):
            return False
        self._patterns.add(pattern)
        return len(self._patterns) <= MOST_PATTERNS

    def leave_out(self, keyword: str, value: Any, where: str) -> None:
        """Note a keyword that is left out."""
        said = f" ({shown(value)})" if isinstance(value, str) else ""
        self._note(f"{where}: {keyword}{said} cannot be used and is left out")

    def name_of(self, reference: Any) -> str:
        """Return the name of the definition that a reference leads to.

        Raises:
            OpenApiError: it leads to no schema of the document.
        """
        steps = steps_of(reference)
        if steps not in self._names:
            target = self._document.target(reference)
            if not isinstance(target, dict | bool):
                raise OpenApiError(f"refers to {shown(reference)}, which is not a schema")
            if len(self._names) >= MOST_DEFINITIONS:
                raise OpenApiError(f"has more than {MOST_DEFINITIONS} schemas that others refer to")
            name = self._distinct(plain_name(steps[-1] if steps else "root") or "schema")
            self._names[steps] = name
            self.definitions[name] = Definition()
            self._waiting.append((name, target, shown(reference)))
        return self._names[steps]

    def _distinct(self, name: str) -> str:
        name = name[:LONGEST_ARGUMENT]
        found = name
        while found in self.definitions:  # each name of a text is tried once in all
            self._numbers[name] += 1
            found = f"{name}_{self._numbers[name] + 1}"
        return found

    @property
    def is_3_0(self) -> bool:
        """Whether they are those of OpenAPI 3.0."""
        return self._document.is_3_0


class _SchemaTranslator:
    """Translates one schema; what it refers to is left to :class:`Schemas`."""

    def __init__(self, schemas: Schemas, made: Definition) -> None:
        self._schemas = schemas
        self._made = made

    def schema(self, schema: Any, where: str) -> Schema:
        """Return a schema; one that cannot be expressed becomes True, with a fault."""
        self._schemas.count()
        if isinstance(schema, bool):
            return schema
        if not isinstance(schema, dict):
            return self._fault(f"{where} is not a schema")
        for keyword in REBASING:
            if keyword in schema:
                return self._fault(f"{where} has {keyword}, which changes what references mean")
        if "$ref" in schema and self._schemas.is_3_0:
            return self._referring(schema["$ref"], where)  # in 3.0 what is next to it is ignored
        found = self._keywords(schema, where)
        if "$ref" in schema:
            referring = self._referring(schema["$ref"], where)
            found = {**referring, **found} if isinstance(referring, dict) else found
        return self._nullable(schema, found) if self._schemas.is_3_0 else found

    def _fault(self, message: str) -> Schema:
        self._made.faults.append(message)
        return True

    def _referring(self, reference: Any, where: str) -> Schema:
        try:
            name = self._schemas.name_of(reference)
        except OpenApiError as error:
            return self._fault(f"{where} {error}")
        self._made.refers_to.add(name)
        return {"$ref": REFERENCE + name}

    def _keywords(self, schema: Mapping[str, Any], where: str) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for keyword, value in _written(schema, is_3_0=self._schemas.is_3_0).items():
            if keyword in PLAIN:
                self._plain(found, keyword, value, where)
            elif keyword in ONE and isinstance(value, dict | bool):
                found[keyword] = self.schema(value, f"{where}/{keyword}")
            elif keyword in LIST and isinstance(value, list) and value:
                found[keyword] = [self.schema(each, f"{where}/{keyword}/{at}") for at, each in enumerate(value)]
            elif keyword in MAP and isinstance(value, dict):
                found[keyword] = self._map(keyword, value, where)
            elif keyword in ONE or keyword in LIST or keyword in MAP:
                self._schemas.leave_out(keyword, value, where)
        return _of_request(schema, found)

    def _plain(self, found: dict[str, Any], keyword: str, value: Any, where: str) -> None:
        is_usable = self._schemas.accepts(value) if keyword == "pattern" else PLAIN[keyword](value)
        if not is_usable:
            self._schemas.leave_out(keyword, value, where)
        elif keyword == "description" and len(value) > LONGEST_TEXT:
            found[keyword] = f"{value[:LONGEST_TEXT]}..."
        else:
            found[keyword] = value

    def _map(self, keyword: str, value: Mapping[str, Any], where: str) -> dict[str, Schema]:
        found = {}
        for name, each in value.items():
            if not is_text(name) or (keyword == "patternProperties" and not self._schemas.accepts(name)):
                self._schemas.leave_out(keyword, name, where)
            elif not (keyword == "properties" and _is_read_only(each)):
                found[name] = self.schema(each, f"{where}/{shown(name)}")
        return found

    @staticmethod
    def _nullable(schema: Mapping[str, Any], found: dict[str, Any]) -> Schema:
        """Return a schema of 3.0 that also allows null, where it says so."""
        if schema.get("nullable") is not True:
            return found
        if isinstance(found.get("type"), str) and not {"enum", "const"} & found.keys():
            return {**found, "type": [found["type"], "null"]}
        said: dict[str, Any] = {key: found.pop(key) for key in ("title", "description", "default") if key in found}
        return {**said, "anyOf": [found, {"type": "null"}]}


def _is_read_only(schema: Any) -> bool:
    return isinstance(schema, dict) and schema.get("readOnly") is True


def _of_request(schema: Mapping[str, Any], found: dict[str, Any]) -> dict[str, Any]:
    """Return a schema that does not require the properties that only answers have."""
    properties = schema.get("properties")
    required = found.get("required")
    if required and isinstance(properties, dict):
        left = [name for name in required if not _is_read_only(properties.get(name))]
        if left:
            found["required"] = left
        else:
            del found["required"]
    return found


def _written(schema: Mapping[str, Any], *, is_3_0: bool) -> Mapping[str, Any]:
    """Return the keywords of a schema as 2020-12 writes them."""
    found = dict(schema)
    if "example" in found and "examples" not in found:
        found["examples"] = [found["example"]]
    if not is_3_0:
        return found
    for bound, exclusive in (("maximum", "exclusiveMaximum"), ("minimum", "exclusiveMinimum")):
        if isinstance(found.get(exclusive), bool) and found.pop(exclusive) and bound in found:
            found[exclusive] = found.pop(bound)
    return found


def closure_of(names: Iterable[str], definitions: Mapping[str, Definition]) -> dict[str, Schema]:
    """Return these definitions as ``$defs``."""
    return {name: definitions[name].schema for name in names}
