"""What servers have listed, whole, for people who look at what a proxy offers.

An item is kept as its server last sent it, whichever caller asked: what a caller may see of it is judged with the
proxy's policies by the reader. All of it is bounded, by server and in sum.

Most of a list is as it was before, also where its bytes are not: only the items that changed are learned again, here
and by whatever else learns from lists.
"""

from collections.abc import Mapping
from typing import Any, Final
from weakref import WeakKeyDictionary

import orjson

from ostiary_core.evidence.definitions import MOST_DEFINITION_BYTES, MOST_ITEMS
from ostiary_core.mcp.methods import Method, Primitive
from ostiary_gateway.upstream.known_names import LONGEST_NAME
from ostiary_gateway.upstream.server import UpstreamServer

#: Bytes of the items of one server, and of all servers.
_BYTES_EACH: Final = 1 << 20
_BYTES_IN_ALL: Final = 16 << 20


class DefinitionTexts:
    """The items of one server as JSON, by primitive and name; empty for one that is too large."""

    def __init__(self) -> None:
        self.bytes = 0
        self.by_primitive: dict[Primitive, dict[str, bytes]] = {primitive: {} for primitive in Primitive}

    def keep(self, primitive: Primitive, name: str, item: bytes, *, room: int) -> None:
        """Keep an item in place of the one that had its name; without room, only its name."""
        items = self.by_primitive[primitive]
        before = items.get(name)
        if before is None and len(items) >= MOST_ITEMS:
            return
        self.bytes -= len(before or b"")
        kept = item if len(item) <= min(MOST_DEFINITION_BYTES, room, _BYTES_EACH - self.bytes) else b""
        items[name] = kept
        self.bytes += len(kept)


class ListedDefinitions:
    """The items of all servers of this process. Must be used within one event loop."""

    def __init__(self) -> None:
        self._servers: WeakKeyDictionary[UpstreamServer, DefinitionTexts] = WeakKeyDictionary()

    def of(self, server: UpstreamServer) -> DefinitionTexts | None:
        """Return the items of a server; None before it has listed anything."""
        return self._servers.get(server)

    def learn(self, server: UpstreamServer, method: Method, items: list[Any]) -> list[Any]:
        """Keep the items of a page, before anything is filtered out.

        Return those that differ from what was kept.
        """
        if method.primitive is None:
            return items
        known = self._servers.get(server)
        if known is None:
            known = self._servers[server] = DefinitionTexts()
        changed = _changed(items, known.by_primitive[method.primitive], method.item_key)
        if changed:
            self._keep(known, method, changed)
        return changed

    def _keep(self, known: DefinitionTexts, method: Method, items: list[Any]) -> None:
        room = _BYTES_IN_ALL - sum(each.bytes for each in self._servers.values())
        for item in items[:MOST_ITEMS]:
            name = item.get(method.item_key) if isinstance(item, dict) else None
            if isinstance(name, str) and 0 < len(name) <= LONGEST_NAME and name.isprintable() and method.primitive:
                before = known.bytes
                known.keep(method.primitive, name, _text(item), room=room)
                room -= known.bytes - before


def _changed(items: list[Any], kept: Mapping[str, bytes], key: str) -> list[Any]:
    """Return the items that differ from what is kept of them.

    These are all of them where one is no item as MCP has them.
    """
    written = orjson.dumps
    try:
        return [item for item in items if kept.get(item.get(key)) != written(item)]
    except (AttributeError, TypeError, ValueError, RecursionError):
        return items


def _text(item: Mapping[str, Any]) -> bytes:
    """Return an item as JSON; empty where JSON cannot say what it holds."""
    try:
        return orjson.dumps(item)
    except (TypeError, ValueError, RecursionError):
        return b""


#: What the servers of this process have listed.
LISTED: Final = ListedDefinitions()
