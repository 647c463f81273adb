"""One operation of a document as a tool.

What tells models about its effects comes from the HTTP method (RFC 9110, section 9.2): ``GET`` reads, ``PUT`` and
``DELETE`` may be repeated.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, cast

from ostiary_core.contract.openapi import BodyFormatName, OpenApiBodyConfig, OpenApiParameterConfig, RestMethodName
from ostiary_core.errors import OpenApiError
from ostiary_core.openapi.document import METHODS, OpenApiDocument, is_writable, shown
from ostiary_core.openapi.parameters import BODY, PLACEHOLDER, Parameter, ReservedNames, merged, read_parameters
from ostiary_core.openapi.percent_encoding import OF_PATHS, climbs, encode
from ostiary_core.openapi.schema_keywords import LONGEST_TEXT
from ostiary_core.openapi.schemas import Definition, Schemas
from ostiary_core.openapi.tool_names import tool_name

#: What models are told of each method; operations with other methods are left out.
_HINTS: Final[Mapping[str, Mapping[str, bool]]] = {
    "GET": {"readOnlyHint": True, "destructiveHint": False, "idempotentHint": True},
    "PUT": {"readOnlyHint": False, "destructiveHint": True, "idempotentHint": True},
    "DELETE": {"readOnlyHint": False, "destructiveHint": True, "idempotentHint": True},
    "POST": {"readOnlyHint": False, "destructiveHint": True, "idempotentHint": False},
    "PATCH": {"readOnlyHint": False, "destructiveHint": True, "idempotentHint": False},
}
#: Methods whose requests have a body with a meaning (RFC 9110, section 9.3).
_WITH_BODY: Final = frozenset({"PUT", "POST", "PATCH", "DELETE"})
_LONGEST_PATH: Final = 1024
_LONGEST_TITLE: Final = 256
#: In the order of preference. A range is sent as JSON; a JSON Patch is a list, whatever its schema says.
_BODY_FORMATS: Final[tuple[tuple[re.Pattern[str], BodyFormatName], ...]] = (
    (re.compile(r"application/json"), "json"),
    (re.compile(r"application/merge-patch\+json"), "json"),
    (re.compile(r"application/[a-z0-9.+_-]+\+json"), "json"),
    (re.compile(r"\*/\*|application/\*"), "json"),
    (re.compile(r"application/x-www-form-urlencoded"), "form"),
    (re.compile(r"text/plain"), "text"),
)
_JSON: Final = "application/json"
_HTML: Final = re.compile(r"(text/html|application/xhtml\+xml|text/\*|\*/\*)\b.*", re.IGNORECASE)


class Written(NamedTuple):
    """An operation as the document has it: its place, its path item, and itself."""

    method: str
    path: str
    item: Mapping[str, Any]
    operation: Mapping[str, Any]

    @property
    def title(self) -> str:
        """Its place, for messages."""
        return f"{self.method} {shown(self.path)}"


@dataclass(frozen=True, slots=True)
class Operation:
    """An operation that can be a tool, whose schema is not judged yet.

    ``input`` is the schema of its arguments without ``$defs``.
    """

    name: str
    title: str
    description: str
    method: RestMethodName
    path: str
    input: Definition
    parameters: tuple[OpenApiParameterConfig, ...]
    body: OpenApiBodyConfig | None
    answers_html: bool
    omissions: tuple[str, ...]

    def tool(self) -> dict[str, Any]:
        """Return the tool without ``$defs`` (specification, Tool)."""
        said = {"name": self.name, "title": self.title, "description": self.description}
        return {
            **{key: text for key, text in said.items() if text},
            "inputSchema": self.input.schema,
            "annotations": _HINTS[self.method],
        }


def operations_of(document: OpenApiDocument) -> Iterator[Written | str]:
    """Yield the operations of a document, or why a path has none."""
    for path, given in document.paths:
        try:
            item = document.resolve(given)
        except OpenApiError as error:
            yield f"{shown(path)} {error}"
            continue
        if not isinstance(item, dict):
            yield f"{shown(path)} is no path item"
            continue
        for method in METHODS:
            if isinstance(item.get(method), dict):
                yield Written(method.upper(), path, item, item[method])
    yield from (f"{shown(path)} does not begin with / as paths do" for path in document.misplaced_paths)


def read_operation(written: Written, document: OpenApiDocument, schemas: Schemas, reserved: ReservedNames) -> Operation:
    """Return an operation as a tool.

    Raises:
        OpenApiError: it cannot be one; the message continues a sentence that begins with it.
    """
    method, path, item, operation = written
    if method not in _HINTS:
        raise OpenApiError(f"has the method {method}, whose answer says nothing to a model")
    if item.get("servers") or operation.get("servers"):
        raise OpenApiError("names servers of its own, and requests go to the server of the MCPProxy only")
    name = tool_name(_text(operation.get("operationId")), method, path)
    if name is None:
        raise OpenApiError("has no name of at most 128 characters; give it an operationId")
    omissions: list[str] = []
    body = _body(document, operation, method, omissions)
    found, left_out = read_parameters(document, merged(document, item, operation), reserved, has_body=body is not None)
    parameters = _in_path(path, found)
    return Operation(
        name=name,
        title=_text(operation.get("summary"))[:_LONGEST_TITLE],
        description=_description(written),
        method=cast("RestMethodName", method),
        path=_template(path),
        input=_input(parameters, body, schemas, written.title),
        parameters=tuple(each.config for each in parameters),
        body=body.config if body is not None else None,
        answers_html=_answers_html(document, operation),
        omissions=(*omissions, *left_out),
    )


class _Body(NamedTuple):
    config: OpenApiBodyConfig
    is_required: bool
    schema: Any
    description: str


def _text(value: Any) -> str:
    return value if isinstance(value, str) and is_writable(value) else ""


def _description(written: Written) -> str:
    operation = written.operation
    said = _text(operation.get("description")) or _text(operation.get("summary")) or written.title
    if operation.get("deprecated") is True:
        said = f"Deprecated. {said}"
    return said if len(said) <= LONGEST_TEXT else f"{said[:LONGEST_TEXT]}..."


def _body(document: OpenApiDocument, operation: Mapping[str, Any], method: str, omissions: list[str]) -> _Body | None:
    """Return how the body is written; None without one."""
    if operation.get("requestBody") is None:
        return None
    given = document.resolve(operation["requestBody"])
    content = given.get("content") if isinstance(given, dict) else None
    if not isinstance(content, dict):
        raise OpenApiError("has a requestBody without content")
    is_required = given.get("required") is True
    found = _media_type(content) if method in _WITH_BODY else None
    if found is None:
        words = "a body that is neither JSON, a form nor plain text" if method in _WITH_BODY else "a body with GET"
        if is_required:
            raise OpenApiError(f"requires {words}")
        omissions.append(f"it is a tool without its optional body: {words} cannot be sent")
        return None
    media_type, format_ = found
    config = OpenApiBodyConfig(media_type=_JSON if "*" in media_type else media_type, format=format_)
    schema = content[media_type].get("schema", {}) if isinstance(content[media_type], dict) else {}
    return _Body(config, is_required, schema, _text(given.get("description")))


def _media_type(content: Mapping[str, Any]) -> tuple[str, BodyFormatName] | None:
    for pattern, format_ in _BODY_FORMATS:
        for media_type in content:
            plain = media_type.partition(";")[0].strip().lower()
            if pattern.fullmatch(plain) and media_type.isascii() and media_type.isprintable() and len(media_type) < 128:
                return media_type, format_
    return None


def _input(parameters: list[Parameter], body: _Body | None, schemas: Schemas, title: str) -> Definition:
    """Return the schema of the arguments: one property for each parameter, and ``body``."""
    properties: dict[str, Any] = {}
    required: list[str] = []
    made = Definition()
    given = [(each.config.argument, each.schema, each.description, each.is_required) for each in parameters]
    if body is not None:
        given.append((BODY, body.schema, body.description, body.is_required))
    for name, schema, description, is_required in given:
        found = schemas.translate(schema, f"{title}, {name}")
        made.faults += found.faults
        made.refers_to |= found.refers_to
        properties[name] = _described(found.schema, description)
        required += [name] if is_required else []
    made.schema = {"type": "object", "properties": properties, "additionalProperties": False}
    if required:
        made.schema["required"] = required
    return made


def _described(schema: Any, description: str) -> Any:
    if not description or not is_writable(description) or not isinstance(schema, dict):
        return schema
    return {**schema, "description": description[:LONGEST_TEXT]}


def _in_path(path: str, parameters: list[Parameter]) -> list[Parameter]:
    """Return the parameters without those of the path that it does not contain.

    Raises:
        OpenApiError: the path contains what is no parameter.
    """
    named = PLACEHOLDER.findall(path)
    known = {each.config.name for each in parameters if each.config.place == "path"}
    missing = [name for name in named if name not in known]
    if missing or len(set(named)) < len(named):
        raise OpenApiError(f"has {{{shown((missing or named)[0])}}} in its path, which is not one parameter of it")
    return [each for each in parameters if each.config.place != "path" or each.config.name in named]


def _template(path: str) -> str:
    """Return a path whose constant parts are percent-encoded.

    Raises:
        OpenApiError: it is no path, or leads out of its place.
    """
    if len(path) > _LONGEST_PATH:
        raise OpenApiError(f"has a path of more than {_LONGEST_PATH} characters")
    constant = PLACEHOLDER.sub("x", path)
    if any(each in constant for each in "?#\\{}") or not constant.isprintable() or not is_writable(path):
        raise OpenApiError("has a path with characters that no path may hold")
    if "//" in constant or climbs(constant):
        raise OpenApiError("has a path with empty or dot segments")
    pieces = re.split(r"(\{[^{}]*\})", path)
    return "".join(each if at % 2 else encode(each, kept=OF_PATHS) for at, each in enumerate(pieces))


def _answers_html(document: OpenApiDocument, operation: Mapping[str, Any]) -> bool:
    """Return whether the document promises a web page as an answer that is no error."""
    for status, given in operation.get("responses", {}).items():
        if not (status.startswith("2") or status == "default"):
            continue
        try:
            response = document.resolve(given)
        except OpenApiError:
            continue
        content = response.get("content") if isinstance(response, dict) else None
        if isinstance(content, dict) and any(_HTML.fullmatch(each) for each in content):
            return True
    return False
