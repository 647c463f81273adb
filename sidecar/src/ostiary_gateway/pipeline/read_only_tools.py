"""The tools that servers declare as read-only, learned from lists that passed through.

A call of such a tool gets one audit record instead of two. The hint is the server's own (specification, Tool
annotations): nothing else depends on it, and a tool that was never listed counts as one with effects.
"""

from collections.abc import Mapping
from typing import Any, Final
from weakref import WeakKeyDictionary

from ostiary_core.mcp.methods import Method
from ostiary_gateway.upstream.server import UpstreamServer

#: Names of one server that are remembered, and the length of a name.
_NAMES: Final = 1000
_LENGTH: Final = 128
_NONE: Final[frozenset[str]] = frozenset()


class ReadOnlyTools:
    """The names by server; they are forgotten with it."""

    def __init__(self) -> None:
        self._servers: WeakKeyDictionary[UpstreamServer, set[str]] = WeakKeyDictionary()

    def has(self, server: UpstreamServer, tool: str) -> bool:
        """Return whether a server has declared a tool as read-only when it last listed it."""
        return tool in self._servers.get(server, _NONE)

    def learn(self, server: UpstreamServer | None, method: Method | None, message: Mapping[str, Any]) -> None:
        """Learn from the response to a request for a list, before anything is filtered out."""
        result = message.get("result")
        if server is None or method is None or method.name != "tools/list" or not isinstance(result, dict):
            return
        items = result.get("tools")
        known = self._servers.setdefault(server, set())
        for item in items[:_NAMES] if isinstance(items, list) else ():
            name = item.get("name") if isinstance(item, dict) else None
            if isinstance(name, str) and len(name) <= _LENGTH:
                known.discard(name)
                if _only_reads(item) and len(known) < _NAMES:
                    known.add(name)


def _only_reads(tool: Mapping[str, Any]) -> bool:
    annotations = tool.get("annotations")
    return isinstance(annotations, dict) and annotations.get("readOnlyHint") is True


#: Those of this process.
READ_ONLY: Final = ReadOnlyTools()
