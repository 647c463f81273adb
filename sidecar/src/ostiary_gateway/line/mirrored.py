"""Mirrored parameters: does ``Mcp-Param-Region`` say what the argument says (specification, Custom Headers; SEP-2243)?

A tool's schema says with ``x-mcp-header`` which argument a header mirrors, and the gateway has no catalogue. So it
remembers what the lists said that passed through it, for each server, and refuses a header that contradicts the body.
What it does not know it hands on: the server has to judge every mirrored parameter itself. That a header is missing
is never refused here, for what is remembered may be old, and a server may have stopped asking for it.

What a server says of its tools counts for calls to that server only, and costs a bounded walk and bounded memory.
"""

import re
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any, Final
from weakref import WeakKeyDictionary

from ostiary_core.mcp.methods import Method
from ostiary_gateway.line.exchange import Message
from ostiary_gateway.line.headers import decoded, mismatch
from ostiary_gateway.upstream.server import UpstreamServer

PREFIX: Final = "mcp-param-"
_ANNOTATION: Final = "x-mcp-header"
_TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,128}")
_NUMBER: Final = re.compile(r"-?[0-9]{1,32}(?:\.[0-9]{1,32})?(?:[eE][+-]?[0-9]{1,3})?")
#: For one server, and for one tool of it: parameters. Together with the lengths these bound what is held to 3 MB.
_PARAMETERS: Final = 4000
_PARAMETERS_EACH: Final = 64
_NAME_LENGTH: Final = 128
#: Schemas are walked so deep, and so many properties of one list are looked at.
_DEPTH: Final = 4
_PROPERTIES: Final = 20_000

#: Where a parameter lies in the arguments.
Place = tuple[str, ...]


class MirroredParameters:
    """What one server's lists said of its tools: the place of each parameter, by the lower-case name of its header."""

    def __init__(self) -> None:
        self._tools: dict[str, Mapping[str, Place]] = {}
        self._held = 0

    def __len__(self) -> int:
        """How many parameters are remembered."""
        return self._held

    def learn(self, tools: list[Any]) -> None:
        """Take what a page of the list says of its tools, in place of what was known of them."""
        budget = iter(range(_PROPERTIES))
        for tool in tools:
            name = tool.get("name") if isinstance(tool, dict) else None
            if isinstance(name, str) and len(name) <= _NAME_LENGTH:
                self._forget(name)
                self._remember(name, _places(tool.get("inputSchema"), budget))
        while self._held > _PARAMETERS:
            self._forget(next(iter(self._tools)))

    def _remember(self, tool: str, places: Mapping[str, Place]) -> None:
        if places:
            self._tools[tool] = places
            self._held += len(places)

    def _forget(self, tool: str) -> None:
        self._held -= len(self._tools.pop(tool, ()))

    def check(self, tool: str, arguments: Any, headers: Mapping[str, str]) -> None:
        """Judge the mirrored parameters of a call; ``headers`` are the decoded ones, by lower-case name.

        Raises:
            Refusal: -32020 for one that contradicts the argument.
        """
        places = self._tools.get(tool)
        if places is None:
            return
        for name, text in headers.items():
            place = places.get(name.removeprefix(PREFIX))
            if place is not None and not _agrees(text, _at(arguments, place)):
                raise mismatch(f"The header {name} does not say what the argument says")


_KNOWN: Final[WeakKeyDictionary[UpstreamServer, MirroredParameters]] = WeakKeyDictionary()


def learn(server: UpstreamServer | None, method: Method | None, text: bytes, message: Mapping[str, Any]) -> bool:
    """Remember what an answer says, if it is a list of tools. ``text`` is its bytes, ``message`` what they hold.

    Return whether it teaches: such a list must be read whenever it comes, for another may have come in between.
    """
    if server is None or method is None or method.name != "tools/list":
        return False
    known = _KNOWN.get(server)
    if known is None:
        if _ANNOTATION.encode() not in text:
            return False  # as nearly always
        known = _KNOWN[server] = MirroredParameters()
    result = message.get("result")
    tools = result.get("tools") if isinstance(result, dict) else None
    if isinstance(tools, list):
        known.learn(tools)
    return True


def check(server: UpstreamServer, message: Message, mirrored: Mapping[str, str]) -> None:
    """Judge the mirrored parameters of a message for ``server``; ``mirrored`` are its headers by lower-case name.

    Raises:
        Refusal: -32020 for one that is badly encoded, or contradicts the body.
    """
    headers = {name: decoded(name, value) for name, value in mirrored.items()}
    known = _KNOWN.get(server)
    if known is not None and message.method is not None and message.method.name == "tools/call":
        known.check(message.name, message.params.get("arguments"), headers)


def _places(schema: Any, budget: Iterator[int]) -> Mapping[str, Place]:
    """Return the place of each parameter that a tool mirrors. One that stands twice is nowhere."""
    places: dict[str, Place] = {}
    twice: set[str] = set()
    for header, place in _annotations(schema, (), budget):
        name = header.lower()
        if name in places:
            twice.add(name)
        elif len(places) < _PARAMETERS_EACH:
            places[name] = place
    return {name: place for name, place in places.items() if name not in twice}


def _annotations(schema: Any, place: Place, budget: Iterator[int]) -> Iterator[tuple[str, Place]]:
    """Walk a schema through its ``properties``, the only way on which an annotation counts."""
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


def _at(arguments: Any, place: Place) -> Any:
    for name in place:
        if not isinstance(arguments, dict):
            return None
        arguments = arguments.get(name)
    return arguments


def _agrees(text: str, value: Any) -> bool:
    """Say whether a header's text is an argument: text by its letters, numbers by their value; null has no header."""
    if isinstance(value, bool):
        return text == ("true" if value else "false")
    if isinstance(value, str):
        return text == value
    if isinstance(value, int | float):
        return _NUMBER.fullmatch(text) is not None and Decimal(text) == Decimal(repr(value))
    return False
