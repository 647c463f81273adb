"""Parameters of an operation as arguments of its tool.

No argument sets a credential, a header that HTTP or the gateway needs, or a cookie. A parameter that cannot be
expressed is left out where it is optional; where it is required, so is the operation.
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, cast

from ostiary_core.contract.openapi import (
    MOST_PARAMETERS,
    OpenApiParameterConfig,
    ParameterPlaceName,
    ParameterStyleName,
)
from ostiary_core.errors import OpenApiError
from ostiary_core.openapi.document import OpenApiDocument, shown
from ostiary_core.openapi.tool_names import argument_name

#: The argument that holds the body of a request.
BODY: Final = "body"
#: A parameter in the path of an operation: its name in braces.
PLACEHOLDER: Final = re.compile(r"\{([^{}]*)\}")
_STYLES: Final[Mapping[str, tuple[str, ...]]] = {
    "path": ("simple", "label", "matrix"),
    "query": ("form", "spaceDelimited", "pipeDelimited", "deepObject"),
    "header": ("simple",),
}
#: Headers that OpenAPI itself gives no parameter: what is written of them is ignored.
_IGNORED: Final = frozenset({"accept", "content-type", "authorization"})
#: Headers that belong to HTTP, to proxies or to the gateway, in the spelling of :func:`_plain`.
_NOT_OF_ARGUMENTS: Final = re.compile(
    "host|x-host|connection|keep-alive|te|trailer|transfer-encoding|upgrade|expect|content-.*|accept-encoding|date|via"
    "|forwarded|x-forwarded.*|x-real-ip|(x-|true-|cf-connecting-|x-cluster-)?client-ip|cf-connecting-ip|x-remote-.*"
    "|remote-.*|x-original-.*|x-rewrite-.*|x-http-.*|x-method.*|proxy.*|x-envoy-.*|x-accel-.*|ssl-client-.*"
    "|cookie2?|set-cookie2?|www-authenticate|traceparent|tracestate|baggage|mcp-.*|sec-.*|origin|referer|http2-settings"
)
_HEADER: Final = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]{1,128}")
_JSON: Final = re.compile(r"application/([a-z0-9.+_-]+\+)?json\b.*", re.IGNORECASE)
_LONGEST_NAME: Final = 256


@dataclass(frozen=True, slots=True)
class ReservedNames:
    """Names of parameters that carry credentials or are set by the gateway.

    They are headers in the spelling of :func:`_plain`, and keys of queries.
    """

    headers: frozenset[str] = frozenset()
    queries: frozenset[str] = frozenset()

    @classmethod
    def of(cls, document: OpenApiDocument, headers: Iterable[str] = (), queries: Iterable[str] = ()) -> "ReservedNames":
        """Return these, and the names in the document's security schemes."""
        found: dict[str, set[str]] = {"header": {_plain(each) for each in headers}, "query": set(queries)}
        for scheme in document.components("securitySchemes").values():
            place, name = scheme.get("in"), scheme.get("name")
            if scheme.get("type") == "apiKey" and isinstance(place, str) and isinstance(name, str) and place in found:
                found[place].add(_plain(name) if place == "header" else name)
        return cls(frozenset(found["header"]), frozenset(found["query"]))


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter that can be expressed, with its schema as the document has it."""

    config: OpenApiParameterConfig
    is_required: bool
    schema: Any
    description: str


class Unusable(OpenApiError):
    """A parameter that cannot be expressed."""


def merged(document: OpenApiDocument, item: Mapping[str, Any], operation: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the parameters of an operation, with those of its path that it does not replace.

    Raises:
        OpenApiError: a reference leads nowhere, or there are too many.
    """
    found: dict[tuple[str, str], Mapping[str, Any]] = {}
    for each in (*item.get("parameters", ()), *operation.get("parameters", ())):
        parameter = document.resolve(each)
        if not isinstance(parameter, dict) or not isinstance(parameter.get("name"), str):
            raise OpenApiError("has a parameter without a name")
        found[str(parameter.get("in")), parameter["name"]] = parameter
        if len(found) > MOST_PARAMETERS:
            raise OpenApiError(f"has more than {MOST_PARAMETERS} parameters")
    return list(found.values())


def read_parameters(
    document: OpenApiDocument,
    given: Sequence[Mapping[str, Any]],
    reserved: ReservedNames,
    *,
    has_body: bool,
) -> tuple[list[Parameter], list[str]]:
    """Return the parameters that can be expressed, and why others are left out.

    Raises:
        OpenApiError: a required one cannot be expressed.
    """
    names = _argument_names(given, has_body=has_body)
    found, omissions = [], []
    for each in given:
        if each.get("in") == "header" and _plain(each["name"]) in _IGNORED:
            continue
        try:
            found.append(_read(document, each, reserved, names))
        except Unusable as error:
            message = f"the parameter {shown(each['name'])} {error}"
            if each.get("required") is True:
                raise OpenApiError(f"requires what cannot be sent: {message}") from None
            omissions.append(message)
    return found, omissions


def _argument_names(given: Sequence[Mapping[str, Any]], *, has_body: bool) -> Mapping[tuple[str, str], str | None]:
    """Return the names of the arguments, None for one that cannot have any.

    It is that of the parameter, with its place in front where two would have the same.
    """
    plain = {(str(each.get("in")), each["name"]): argument_name(each["name"]) for each in given}
    uses = Counter(plain.values())
    if has_body:
        uses[BODY] += 1
    found = {
        key: name if uses[name] < 2 or name is None else argument_name(f"{key[0]}_{name}")
        for key, name in plain.items()
    }
    again = Counter(found.values())
    return {key: name if again[name] < 2 else None for key, name in found.items()}


def _read(
    document: OpenApiDocument,
    given: Mapping[str, Any],
    reserved: ReservedNames,
    names: Mapping[tuple[str, str], str | None],
) -> Parameter:
    place, name = str(given.get("in")), given["name"]
    if place not in _STYLES:
        raise Unusable(f"is in {shown(place)}, which no argument can set")
    _refuse_reserved(place, name, reserved)
    argument = names[place, name]
    if argument is None or len(name) > _LONGEST_NAME:
        raise Unusable("has no name of its own that an argument could have")
    schema, style, explode = _shape(given, place)
    if place == "query" and style == "form" and explode and _is_object(document, schema):
        raise Unusable("is an object whose members would be parameters of their own")
    description = given.get("description")
    config = OpenApiParameterConfig(
        argument=argument,
        name=name,
        place=cast("ParameterPlaceName", place),
        style=cast("ParameterStyleName", style),
        explode=explode,
    )
    said = description if isinstance(description, str) else ""
    return Parameter(config, given.get("required") is True or place == "path", schema, said)


def _is_object(document: OpenApiDocument, schema: Any) -> bool:
    try:
        found = document.resolve(schema)
    except OpenApiError:
        return False  # which is reported where the schema is translated
    return isinstance(found, dict) and (found.get("type") == "object" or isinstance(found.get("properties"), dict))


def _plain(header: str) -> str:
    """Return the name of a header as services compare it.

    Many read their headers as variables (RFC 3875, section 4.1.18), in which ``_`` and ``-`` are one.
    """
    return header.lower().replace("_", "-")


def _refuse_reserved(place: str, name: str, reserved: ReservedNames) -> None:
    if place == "header":
        if _HEADER.fullmatch(name) is None:
            raise Unusable("is no name of a header")
        if _NOT_OF_ARGUMENTS.fullmatch(_plain(name)) is not None:
            raise Unusable("is a header that belongs to HTTP or to the gateway")
    if (place == "header" and _plain(name) in reserved.headers) or (place == "query" and name in reserved.queries):
        raise Unusable("carries a credential or is set by the gateway")


def _shape(given: Mapping[str, Any], place: str) -> tuple[Any, str, bool]:
    """Return the schema of a parameter, and how its values are written."""
    content = given.get("content")
    if isinstance(content, dict):
        for media_type, media in content.items():
            if _JSON.fullmatch(media_type) and isinstance(media, dict):
                return media.get("schema", {}), "json", False
        raise Unusable("is neither JSON nor a plain value")
    style = given.get("style", _STYLES[place][0])
    if style not in _STYLES[place]:
        raise Unusable(f"has the style {shown(str(style))}, which is not one of its place")
    explode = given.get("explode", style == "form")
    return given.get("schema", {}), style, explode is True
