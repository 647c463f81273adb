"""What the servers of one proxy have listed, for the page ``/evidence/definitions``."""

from typing import Any, Final

import orjson

from ostiary_core.content.record_masks import RecordMasks
from ostiary_core.evidence.definitions import (
    MOST_DEFINITION_BYTES,
    MOST_DEFINITIONS_BYTES,
    MOST_DRIFT,
    MOST_ITEMS,
    MOST_SERVERS,
)
from ostiary_core.evidence.document import MOST_NAME
from ostiary_core.mcp.methods import Primitive
from ostiary_gateway.config.observed_items import OFFERED
from ostiary_gateway.config.pinned_state import drift_report
from ostiary_gateway.config.runtime import ProxyRuntime
from ostiary_gateway.evidence.listed_items import LISTED
from ostiary_gateway.upstream.server import UpstreamServer

#: Characters of a definition that drifted, which the operator gets whole and readers get masked.
_DRIFT_CHARACTERS: Final = 16 * 1024


def definitions_of(proxy: ProxyRuntime) -> dict[str, Any]:
    """Return the lists of a proxy's servers, and what differs from the lock.

    Runs in a thread: masks look at every text.
    """
    rules, masks = proxy.visibility.definitions, proxy.record_masks
    complete = [str(each) for each in OFFERED.of(proxy)[0]] if len(proxy.servers) == 1 else []
    drift = drift_report(rules)[:MOST_DRIFT] if rules is not None else []
    writer = DefinitionWriter(masks)
    return {
        "servers": [writer.server(server, complete) for server in proxy.servers[:MOST_SERVERS]],
        "drift": drift if masks is None else [masks.value(each, limit=_DRIFT_CHARACTERS)[0] for each in drift],
    }


class DefinitionWriter:
    """Writes items until the bytes of one answer are used up; the rest have names only."""

    def __init__(self, masks: RecordMasks | None) -> None:
        self._masks = masks
        self._left = MOST_DEFINITIONS_BYTES

    def server(self, server: UpstreamServer, complete: list[str]) -> dict[str, Any]:
        """Return the lists of one server."""
        lists = {primitive.value: self._items(server, primitive) for primitive in Primitive}
        return {"name": server.name, **lists, "complete": complete}

    def _items(self, server: UpstreamServer, primitive: Primitive) -> list[dict[str, Any]]:
        listed = LISTED.of(server)
        known = dict(listed.by_primitive[primitive]) if listed is not None else {}
        names = sorted(server.known.of(primitive) | known.keys())[:MOST_ITEMS]
        return [self._item(name, known.get(name, b"")) for name in names]

    def _item(self, name: str, text: bytes) -> dict[str, Any]:
        shown = {"name": name if self._masks is None else self._masks.text(name, limit=MOST_NAME)}
        if not text or len(text) > self._left:
            return shown
        self._left -= len(text)
        item = orjson.loads(text)
        if self._masks is not None:
            item = self._masks.value(item, limit=MOST_DEFINITION_BYTES)[0]
        return {**shown, "definition": item}
