"""The places of a JSON-RPC message that can be read: every string, number and object key.

A rule about content must see what a model or a person sees, at whatever place a server or caller puts it: text blocks,
structured content, resources, links, `_meta`, prompts, completions, questions to the user, progress, log messages and
errors. Left out is only what is nothing but a handle: JSON-RPC ids, cursors, `requestState`, ids of tasks, tokens of
progress. A handle that is masked would not work any more.

The outer part of a message has MCP's shape, and there the name of a member says what it is. Below
``structuredContent``, ``arguments``, ``data``, ``_meta`` and in schemas any name may stand, and all of it is read.
"""

import base64
import enum
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final, NamedTuple, TypeAlias

from ostiary_core.content.encoded_text import decoded_text, is_base64
from ostiary_core.mcp.protocol_revisions import LEGACY_REVISIONS, MODERN_REVISIONS
from ostiary_core.steps import Steps

#: Places that are collected or judged in one step.
PLACES_AT_ONCE: Final = 256
#: The keys and indices that lead from the root of a message to a value.
Trail: TypeAlias = tuple[str | int, ...]


class PlaceKind(enum.Enum):
    """What a place holds, which says how it can be changed."""

    PROSE = "prose"  # language that a model reads: text blocks, descriptions, messages
    VALUE = "value"  # a string in structured data
    NUMBER = "number"
    KEY = "key"  # a key of an object
    URI = "uri"  # the URI or URI template of an item
    NAME = "name"  # the name by which a tool or prompt is used
    BLOB = "blob"  # text in base64


@dataclass(slots=True)
class ReadablePlace:
    """One string, number or key in a message.

    ``holder[key]`` is the value, except for a KEY, where ``key`` itself is what is read. ``text`` is what a reader
    sees: decoded where it is BLOB, in decimal where it is NUMBER. ``trail`` leads to ``holder``. ``near`` is the key of
    the object that the value belongs to, which says what a bare number is.
    """

    holder: Any
    key: Any
    kind: PlaceKind
    text: str
    trail: Trail
    near: str = ""

    @property
    def full_trail(self) -> Trail:
        """The keys and indices from the root of the message to the value."""
        return (*self.trail, self.key)

    @property
    def is_protocol_word(self) -> bool:
        """Whether it is a word of MCP or JSON Schema at its place.

        It says nothing of a server or caller, and without it no client could read the message.
        """
        return self.kind in _WORDED and self.text in _PROTOCOL_WORDS.get(self.key, ())

    def put(self, value: Any) -> None:
        """Replace the value; the text of a BLOB is encoded, and a KEY renamed where it stands."""
        if self.kind is PlaceKind.KEY:
            _rename(self.holder, self.key, value)
        elif self.kind is PlaceKind.BLOB:
            self.holder[self.key] = base64.b64encode(value.encode()).decode()
        else:
            self.holder[self.key] = value


_WORDED: Final = (PlaceKind.PROSE, PlaceKind.VALUE)


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


#: What MCP and JSON Schema themselves write, by the name of the member.
_PROTOCOL_WORDS: Final = {
    "type": _words("text image audio resource resource_link tool_use tool_result ref/prompt ref/resource")
    | _words("object array string number integer boolean null"),
    "role": _words("user assistant"),
    "resultType": _words("complete input_required task"),
    "mimeType": _words("text/plain text/markdown text/html text/csv application/json image/png image/jpeg"),
    "level": _words("debug info notice warning error critical alert emergency"),
    "action": _words("accept decline cancel"),
    "status": _words("working input_required completed failed cancelled"),
    "cacheScope": _words("public private"),
    **dict.fromkeys(
        ("protocolVersion", "io.modelcontextprotocol/protocolVersion"), LEGACY_REVISIONS | MODERN_REVISIONS
    ),
}
#: Members of MCP's shape that are handles, where they hold a string or a number.
_HANDLES: Final = frozenset(
    {"nextCursor", "cursor", "requestState", "taskId", "progressToken", "requestId", "jsonrpc", "method"}
)
#: The same in `_meta`, where other names are free.
_META_HANDLES: Final = frozenset({"progressToken", "io.modelcontextprotocol/subscriptionId"})
_RELATED_TASK: Final = "io.modelcontextprotocol/related-task"
#: Members below which any name may stand.
_FREE: Final = frozenset(
    {"structuredContent", "arguments", "data", "input", "requestedSchema", "inputSchema", "outputSchema"}
)
#: Objects whose keys are ids of the requests in them.
_BY_ID: Final = frozenset({"inputRequests", "inputResponses"})
_WORDS: Final = frozenset({"type", "role", "mimeType"})
_URIS: Final = frozenset({"uri", "uriTemplate"})
_NAMED: Final = frozenset({"tools", "prompts"})
#: Where the name of what a request is about stands, or of what it completes.
_SUBJECTS: Final = (("params",), ("params", "ref"), ("params", "argument"))
_DESCRIBING: Final = frozenset({"description", "title"})
#: Members of MCP's shape that hold base64.
_ENCODED: Final = frozenset({"blob", "data"})


def places_of(message: dict[str, Any]) -> Iterator[ReadablePlace]:
    """Yield the readable places of a message; compute all before one is changed.

    Those of one object or list follow each other, before those of what is nested in it.
    """
    roots: list[_Unread] = []
    for member in ("result", "error", "params"):
        inner = message.get(member)
        if type(inner) is dict:
            roots.append(_Unread(_shaped, inner, (member,)))
        elif type(inner) is list:
            roots.append(_Unread(_free, inner, (member,)))
        elif inner is not None:
            yield from _scalar(message, member, inner, (), member)
    yield from _walk(roots)


def collecting(message: dict[str, Any]) -> Steps[list[ReadablePlace]]:
    """Return the readable places of a message, in steps."""
    found: list[ReadablePlace] = []
    places = places_of(message)
    while some := list(islice(places, PLACES_AT_ONCE)):
        found += some
        if len(some) == PLACES_AT_ONCE:
            yield
    return found


def values_of(value: Any, trail: Trail = ()) -> Iterator[ReadablePlace]:
    """Yield the places of an object or list without MCP's shape, to which ``trail`` leads."""
    return _walk([_Unread(_free, value, trail)]) if type(value) in (dict, list) else iter(())


class _Unread(NamedTuple):
    """An object or list that is still to be read; ``near`` is the key that leads to it."""

    read: "Callable[[_Unread, list[_Unread]], Iterator[ReadablePlace]]"
    value: Any
    trail: Trail
    near: str = ""


def _walk(nodes: list[_Unread]) -> Iterator[ReadablePlace]:
    # A stack rather than recursion: a place must not pass through a generator for each level that it is nested in.
    stack = nodes[::-1]
    while stack:
        node = stack.pop()
        inner: list[_Unread] = []
        yield from node.read(node, inner)
        stack += inner[::-1]


def _free(node: _Unread, inner: list[_Unread]) -> Iterator[ReadablePlace]:
    """Yield the places of an object or list in which any name may stand."""
    value, trail, near = node.value, node.trail, node.near
    is_object = type(value) is dict
    members: Iterable[tuple[Any, Any]] = value.items() if is_object else enumerate(value)
    for key, item in members:
        if is_object:
            near = key
            yield ReadablePlace(value, key, PlaceKind.KEY, key, trail)
        if type(item) is dict or type(item) is list:
            inner.append(_Unread(_free, item, (*trail, key), near))
        else:
            yield from _scalar(value, key, item, trail, near)


def _scalar(holder: Any, key: Any, item: Any, trail: Trail, near: str) -> Iterator[ReadablePlace]:
    kind = type(item)
    if kind is str:
        yield ReadablePlace(holder, key, PlaceKind.PROSE if key in _DESCRIBING else PlaceKind.VALUE, item, trail, near)
    elif kind is int or kind is float:
        yield ReadablePlace(holder, key, PlaceKind.NUMBER, spelled(item), trail, near)


def spelled(number: float) -> str:
    """Return a number in decimal, without an exponent where it is whole."""
    if type(number) is float and number.is_integer():
        return str(int(number))
    return str(number)


def _shaped(node: _Unread, inner: list[_Unread]) -> Iterator[ReadablePlace]:
    """Yield the places of an object of MCP's shape."""
    value, trail = node.value, node.trail
    for name, item in value.items():
        yield ReadablePlace(value, name, PlaceKind.KEY, name, trail)
        kind = type(item)
        if kind is dict or kind is list:
            inner.append(_Unread(_reader(name, item), item, (*trail, name), name))
        elif name not in _HANDLES or not _is_handle(name, trail):
            yield from _string(value, name, item, trail) if kind is str else _scalar(value, name, item, trail, name)


def _is_handle(name: str, trail: Trail) -> bool:
    """Return whether the name of a handle stands where MCP has one."""
    if len(trail) <= 1:
        return True
    if name == "taskId":
        is_listed = type(trail[-1]) is int and trail[-2] == "tasks"
        return is_listed or trail[-2:] == ("_meta", _RELATED_TASK) or trail[1:] == ("task",)
    return name == "method" and trail[-2] in _BY_ID


def _reader(name: str, item: Any) -> "Callable[[_Unread, list[_Unread]], Iterator[ReadablePlace]]":
    """Return what reads the object or list under this name of an object of MCP's shape."""
    if name in _FREE:
        return _free
    if type(item) is list:
        return _listed
    return _meta if name == "_meta" else _by_id if name in _BY_ID else _shaped


def _listed(node: _Unread, inner: list[_Unread]) -> Iterator[ReadablePlace]:
    items, trail, near = node.value, node.trail, node.near
    for index, item in enumerate(items):
        kind = type(item)
        if kind is dict or kind is list:
            inner.append(_Unread(_shaped if kind is dict else _listed, item, (*trail, index), near))
        elif kind is str:
            yield ReadablePlace(items, index, PlaceKind.PROSE, item, trail, near)
        else:
            yield from _scalar(items, index, item, trail, near)


def _by_id(node: _Unread, inner: list[_Unread]) -> Iterator[ReadablePlace]:
    """Yield the places of an object whose keys are ids."""
    for key, item in node.value.items():
        if type(item) is dict:
            inner.append(_Unread(_shaped, item, (*node.trail, key)))
        elif type(item) is list:
            inner.append(_Unread(_free, item, (*node.trail, key)))
        else:
            yield from _scalar(node.value, key, item, node.trail, "")


def _meta(node: _Unread, inner: list[_Unread]) -> Iterator[ReadablePlace]:
    value, trail = node.value, node.trail
    for name, item in value.items():
        yield ReadablePlace(value, name, PlaceKind.KEY, name, trail)
        if type(item) is dict or type(item) is list:
            is_task = name == _RELATED_TASK and type(item) is dict
            inner.append(_Unread(_shaped if is_task else _free, item, (*trail, name), name))
        elif name not in _META_HANDLES:
            yield from _scalar(value, name, item, trail, name)


def _string(node: dict[str, Any], name: str, text: str, trail: Trail) -> Iterator[ReadablePlace]:
    if name in _ENCODED and (name == "blob" or "mimeType" in node):
        decoded = decoded_text(text, node.get("mimeType"))
        if decoded is not None:
            yield ReadablePlace(node, name, PlaceKind.BLOB, decoded, trail, name)
            return
        if is_base64(text):
            return
    yield ReadablePlace(node, name, _kind_of(name, trail), text, trail, name)


def _kind_of(name: str, trail: Trail) -> PlaceKind:
    if name in _URIS:
        return PlaceKind.URI
    if name == "name" and (trail in _SUBJECTS or (len(trail) > 1 and trail[-2] in _NAMED)):
        return PlaceKind.NAME
    return PlaceKind.VALUE if name in _WORDS else PlaceKind.PROSE


def _rename(holder: dict[str, Any], old: str, new: str) -> None:
    """Rename a key where it stands; a name that is taken already gets a number."""
    name, count = new, 1
    while name in holder:
        count += 1
        name = f"{new} {count}"
    members = [(name if key == old else key, value) for key, value in holder.items()]
    holder.clear()
    holder.update(members)
