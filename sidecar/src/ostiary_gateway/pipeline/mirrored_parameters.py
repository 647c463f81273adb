"""Check mirrored parameters.

``Mcp-Param-*`` must agree with the argument (specification, Custom Headers; SEP-2243).

A tool's schema declares with ``x-mcp-header`` which argument a header mirrors, and the gateway has no catalogue. So it
remembers, for each server, the schemas in the lists that passed through it, and refuses a header that contradicts the
body. An unknown header is forwarded: the server must check every mirrored parameter itself. A missing header is never
refused here: the remembered list may be old, and the server may no longer ask for the header.

What a server declares affects only calls to that server, and takes bounded time and memory.

This memory is not the store of definitions (:mod:`.tool_definitions`): every proxy needs it, most have no rules about
contents, and would have to keep all schemas for a few paths. Both learn from the same lists, those that pass and those
that either needs (:mod:`.list_observation`).
"""

import re
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any, Final
from weakref import WeakKeyDictionary

from ostiary_core.mcp.methods import Method
from ostiary_gateway.pipeline.message import Message
from ostiary_gateway.pipeline.mirrored_headers import decoded, encoded, mismatch
from ostiary_gateway.upstream.server import UpstreamServer

PREFIX: Final = "mcp-param-"
_ANNOTATION: Final = "x-mcp-header"
_TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,128}")
_NUMBER: Final = re.compile(r"-?[0-9]{1,32}(?:\.[0-9]{1,32})?(?:[eE][+-]?[0-9]{1,3})?")
#: Limits on parameters: for one server, and for one tool of it. With the limits on lengths they bound memory to 3 MB.
_PARAMETERS: Final = 4000
_PARAMETERS_EACH: Final = 64
_NAME_LENGTH: Final = 128
#: The depth to which schemas are searched, and the number of properties of one list that are examined.
_DEPTH: Final = 4
_PROPERTIES: Final = 20_000

#: The path of a parameter within the arguments.
ParameterPath = tuple[str, ...]


class MirroredParameters:
    """The path of each mirrored parameter of one server's tools, by lower-case header name."""

    def __init__(self) -> None:
        self._tools: dict[str, Mapping[str, ParameterPath]] = {}
        self._held = 0

    def __len__(self) -> int:
        """The number of parameters that are remembered."""
        return self._held

    def learn(self, tools: list[Any]) -> None:
        """Replace what is known of the tools on this page of a list."""
        budget = iter(range(_PROPERTIES))
        for tool in tools:
            name = tool.get("name") if isinstance(tool, dict) else None
            if isinstance(name, str) and len(name) <= _NAME_LENGTH:
                self._forget(name)
                self._remember(name, _parameter_paths(tool.get("inputSchema"), budget))
        while self._held > _PARAMETERS:
            self._forget(next(iter(self._tools)))

    def _remember(self, tool: str, places: Mapping[str, ParameterPath]) -> None:
        if places:
            self._tools[tool] = places
            self._held += len(places)

    def _forget(self, tool: str) -> None:
        self._held -= len(self._tools.pop(tool, ()))

    def headers(self, tool: str, arguments: Any) -> dict[str, str]:
        """Return the headers that mirror the arguments of a call (specification, Custom Headers).

        An argument that is absent or null has none.
        """
        texts = {name: _text_of(_at(arguments, place)) for name, place in self._tools.get(tool, {}).items()}
        return {f"{PREFIX}{name}": encoded(text) for name, text in texts.items() if text is not None}

    def check(self, tool: str, arguments: Any, headers: Mapping[str, str]) -> None:
        """Check the mirrored parameters of a call.

        ``headers`` are the decoded ones, by lower-case name.

        Raises:
            Refusal: -32020 for one that contradicts the argument.
        """
        places = self._tools.get(tool)
        if places is None:
            return
        for name, text in headers.items():
            place = places.get(name.removeprefix(PREFIX))
            if place is not None and not _agrees(text, _at(arguments, place)):
                raise mismatch(f"The header {name} does not agree with the argument")


_KNOWN: Final[WeakKeyDictionary[UpstreamServer, MirroredParameters]] = WeakKeyDictionary()


def learn(server: UpstreamServer | None, method: Method | None, text: bytes, message: Mapping[str, Any]) -> bool:
    """Remember the parameters in a response, if it is a list of tools.

    ``message`` is the parsed ``text``.

    Return whether it must be read each time it is received, since another list may have arrived in between.
    """
    if server is None or method is None or method.name != "tools/list":
        return False
    known = _KNOWN.get(server)
    if known is None:
        if _ANNOTATION.encode() not in text:
            return False  # the usual case
        known = _KNOWN[server] = MirroredParameters()
    result = message.get("result")
    tools = result.get("tools") if isinstance(result, dict) else None
    if isinstance(tools, list):
        known.learn(tools)
    return True


def check(server: UpstreamServer, message: Message, mirrored: Mapping[str, str]) -> None:
    """Check the mirrored parameters of a message for ``server``.

    ``mirrored`` are its headers by lower-case name.

    Raises:
        Refusal: -32020 for one that is badly encoded, or contradicts the body.
    """
    headers = {name: decoded(name, value) for name, value in mirrored.items()}
    known = _KNOWN.get(server)
    if known is not None and message.method is not None and message.method.name == "tools/call":
        known.check(message.name, message.params.get("arguments"), headers)


def headers(server: UpstreamServer, tool: str, arguments: Any) -> dict[str, str]:
    """Return the headers that mirror the arguments of a call to ``server``.

    There are none for a tool that it has not listed.
    """
    known = _KNOWN.get(server)
    return known.headers(tool, arguments) if known is not None else {}


def _parameter_paths(schema: Any, budget: Iterator[int]) -> Mapping[str, ParameterPath]:
    """Return the path of each parameter that a tool mirrors, without duplicates."""
    places: dict[str, ParameterPath] = {}
    twice: set[str] = set()
    for header, place in _annotations(schema, (), budget):
        name = header.lower()
        if name in places:
            twice.add(name)
        elif len(places) < _PARAMETERS_EACH:
            places[name] = place
    return {name: place for name, place in places.items() if name not in twice}


def _annotations(schema: Any, place: ParameterPath, budget: Iterator[int]) -> Iterator[tuple[str, ParameterPath]]:
    """Search a schema through its ``properties``: annotations elsewhere do not count."""
    properties = schema.get("properties") if isinstance(schema, dict) else None
    if not isinstance(properties, dict) or len(place) >= _DEPTH:
        return
    for name, inner in properties.items():
        if next(budget, None) is None:
            return
        if not isinstance(inner, dict) or len(name) > _NAME_LENGTH:
            continue
        header = inner.get(_ANNOTATION)
        if isinstance(header, str) and _TOKEN.fullmatch(header):
            yield header, (*place, name)
        yield from _annotations(inner, (*place, name), budget)


def _at(arguments: Any, place: ParameterPath) -> Any:
    for name in place:
        if not isinstance(arguments, dict):
            return None
        arguments = arguments.get(name)
    return arguments


def _text_of(value: Any) -> str | None:
    """Return an argument as a header mirrors it; None where it mirrors none."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return value
    return repr(value) if isinstance(value, int | float) else None


def _agrees(text: str, value: Any) -> bool:
    """Return whether a header's text equals an argument: text exactly, numbers by value.

    Null has no header.
    """
    if isinstance(value, bool):
        return text == ("true" if value else "false")
    if isinstance(value, str):
        return text == value
    if isinstance(value, int | float):
        return _NUMBER.fullmatch(text) is not None and Decimal(text) == Decimal(repr(value))
    return False
