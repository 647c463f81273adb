"""URIs in what one server sends, under the names of the catalogue.

They are rewritten where MCP says that a value is the URI of a resource: in the contents of a resource, in links and
embedded resources of results, prompts and sampling requests, in ``resources/updated``, and in ``_meta`` for MCP Apps.
Never in text, and never in structured content: there a URI is data.

A value that can have no URI in the catalogue, since it has no scheme or is in the space of another server, is dropped
with the item that it names.
"""

import json
from collections.abc import Iterator
from typing import Any, Final

from ostiary_core import json_weight, strict_json
from ostiary_core.catalogue_names import CatalogueNames
from ostiary_core.errors import StrictJSONError
from ostiary_core.json_edits import REMOVED, Edits, edited
from ostiary_core.mcp import codes
from ostiary_core.mcp.methods import Primitive
from ostiary_core.upstream_faults import INVALID
from ostiary_gateway.catalogue.exposed_items import META_URIS
from ostiary_gateway.errors import UpstreamFault

#: The places of a heavier text are not searched: it is written again as a whole.
_WEIGHT: Final = 10_000 * json_weight.UNIT
#: The members of a result, besides its content, that may hold URIs.
_PLACES: Final = frozenset(("_meta", "contents", "inputRequests", "messages"))
#: Items of content that are looked through first for something else than text.
_FEW: Final = 64
_UPDATED: Final = "notifications/resources/updated"
#: Results of tools nest in messages of sampling; deeper ones are no longer MCP.
_DEEPEST: Final = 4

#: The path to a value: keys and indexes.
Path = tuple[str | int, ...]


class ExposedContent:
    """Turns messages of one server into those of the catalogue.

    ``server`` is its place in the order of the spec.
    """

    __slots__ = ("_names", "_server")

    def __init__(self, names: CatalogueNames, server: int) -> None:
        self._names = names
        self._server = server

    def response(self, text: bytes, message: dict[str, Any]) -> bytes:
        """Return the response to a request.

        ``message`` is the parsed ``text``, and is changed in the same way.

        Raises:
            UpstreamFault: a URI is at a place that cannot be written again.
        """
        result = message.get("result")
        if isinstance(result, dict):
            if _is_plain(result):
                return text
            return self._edited(text, message, self._in_result(result, ("result",)))
        error = message.get("error")
        data = error.get("data") if isinstance(error, dict) and error.get("code") == codes.RESOURCE_NOT_FOUND else None
        if isinstance(data, dict):
            return self._edited(text, message, self._in_uri(data, "uri", ("error", "data")))
        return text

    def streamed(self, text: bytes, message: dict[str, Any]) -> bytes | None:
        """Return a notification or a request of the server, as :meth:`response` does.

        None drops it: it is about a resource that is not this server's.
        """
        params = message.get("params")
        if not isinstance(params, dict):
            return text
        if message.get("method") != _UPDATED:
            return self._edited(text, message, self._in_messages(params, ("params",)))
        uri = params.get("uri")
        if not isinstance(uri, str) or self._exposed(uri) is None:
            return None
        return self._edited(text, message, self._in_uri(params, "uri", ("params",)))

    def _exposed(self, uri: str) -> str | None:
        return self._names.exposed(Primitive.RESOURCES, self._server, uri)

    # Where URIs are: each yields the path of a value and its new text, and changes the value

    def _in_result(self, result: dict[str, Any], path: Path) -> Iterator[tuple[Path, str]]:
        yield from self._in_content(result, (*path, "content"), depth=0)
        yield from self._in_messages(result, path)
        yield from self._in_contents(result, (*path, "contents"))
        yield from self._in_meta(result, path)
        asked = result.get("inputRequests")
        for key, request in asked.items() if isinstance(asked, dict) else ():
            params = request.get("params") if isinstance(request, dict) else None
            if isinstance(params, dict):
                yield from self._in_messages(params, (*path, "inputRequests", key, "params"))

    def _in_messages(self, members: dict[str, Any], path: Path) -> Iterator[tuple[Path, str]]:
        messages = members.get("messages")
        for place, each in enumerate(messages if isinstance(messages, list) else ()):
            if isinstance(each, dict):
                yield from self._in_content(each, (*path, "messages", place, "content"), depth=0)

    def _in_content(self, members: dict[str, Any], path: Path, *, depth: int) -> Iterator[tuple[Path, str]]:
        """Look into the content of a result or a message: one item, or a list of them."""
        content = members.get("content")
        if isinstance(content, dict):
            yield from self._in_item(content, path, depth)
        elif isinstance(content, list):
            gone = []
            for place, item in enumerate(content):
                if isinstance(item, dict) and self._is_lost(item):
                    gone.append(place)
                    yield (*path, place), REMOVED
                elif isinstance(item, dict):
                    yield from self._in_item(item, (*path, place), depth)
            for place in reversed(gone):
                del content[place]

    def _is_lost(self, item: dict[str, Any]) -> bool:
        """Return whether an item names a resource that has no URI in the catalogue."""
        resource = item.get("resource") if item.get("type") == "resource" else item
        if not isinstance(resource, dict) or item.get("type") not in ("resource", "resource_link"):
            return False
        uri = resource.get("uri")
        return isinstance(uri, str) and self._exposed(uri) is None

    def _in_item(self, item: dict[str, Any], path: Path, depth: int) -> Iterator[tuple[Path, str]]:
        kind = item.get("type")
        yield from self._in_meta(item, path)
        if kind == "resource_link":
            yield from self._in_uri(item, "uri", path)
        elif kind == "resource" and isinstance(item.get("resource"), dict):
            yield from self._in_uri(item["resource"], "uri", (*path, "resource"))
            yield from self._in_meta(item["resource"], (*path, "resource"))
        elif kind == "tool_result" and depth < _DEEPEST:
            yield from self._in_content(item, (*path, "content"), depth=depth + 1)

    def _in_contents(self, result: dict[str, Any], path: Path) -> Iterator[tuple[Path, str]]:
        """Look into the contents of a resource that was read."""
        contents = result.get("contents")
        gone = []
        for place, each in enumerate(contents if isinstance(contents, list) else ()):
            uri = each.get("uri") if isinstance(each, dict) else None
            if isinstance(uri, str) and self._exposed(uri) is None:
                gone.append(place)
                yield (*path, place), REMOVED
            elif isinstance(each, dict):
                yield from self._in_uri(each, "uri", (*path, place))
                yield from self._in_meta(each, (*path, place))
        for place in reversed(gone):
            del result["contents"][place]

    def _in_meta(self, members: dict[str, Any], path: Path) -> Iterator[tuple[Path, str]]:
        meta = members.get("_meta")
        if not isinstance(meta, dict):
            return
        for *above, key in META_URIS:
            found: Any = meta
            for each in above:
                found = found.get(each) if isinstance(found, dict) else None
            if isinstance(found, dict):
                yield from self._in_uri(found, key, (*path, "_meta", *above))

    def _in_uri(self, members: dict[str, Any], key: str, path: Path) -> Iterator[tuple[Path, str]]:
        uri = members.get(key)
        if not isinstance(uri, str):
            return
        shown = self._exposed(uri)
        if shown is None or shown != uri:
            members[key] = shown or ""
            yield (*path, key), strict_json.dumps(members[key]).decode()

    def _edited(self, text: bytes, message: dict[str, Any], places: Iterator[tuple[Path, str]]) -> bytes:
        """Return a text with the new values at these places."""
        try:
            found = list(places)
            if not found:
                return text
            return _written(text, message, found)
        except StrictJSONError as error:
            raise UpstreamFault(INVALID, f"a URI in the answer cannot be rewritten: {error}") from None


def _is_plain(result: dict[str, Any]) -> bool:
    """Return whether a result is of text only, as most are: then it names no resource."""
    if not _PLACES.isdisjoint(result):
        return False
    content = result.get("content")
    if type(content) is not list or len(content) > _FEW:
        return "content" not in result
    for item in content:  # noqa: SIM110  a generator would cost more than all items: this is part of every call
        if type(item) is not dict or item.get("type") != "text" or "_meta" in item:
            return False
    return True


def _written(text: bytes, message: dict[str, Any], found: list[tuple[Path, str]]) -> bytes:
    if json_weight.at_most(text) <= _WEIGHT:
        try:
            return edited(text, _nested(found))
        except StrictJSONError:
            pass  # the text can be read in two ways: what was read is written instead
    if b"Infinity" in text or b"NaN" in text or strict_json.may_hold_wild_numbers(text):
        _check_finite(message)
    return strict_json.dumps(message)


def _check_finite(message: dict[str, Any]) -> None:
    """Check that a message can be written without a change: no JSON has infinite numbers.

    Raises:
        StrictJSONError: it holds one, which would be written as null.
    """
    try:
        json.dumps(message, allow_nan=False)
    except ValueError as error:
        raise StrictJSONError(str(error)) from None


def _nested(found: list[tuple[Path, str]]) -> Edits:
    edits: dict[str | int, Any] = {}
    for path, text in found:
        within = edits
        for key in path[:-1]:
            within = within.setdefault(key, {})
        within[path[-1]] = text
    return edits
