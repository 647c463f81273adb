"""The names that one server has listed.

Only these may label a metric or name a counter. Callers invent names, so a name counts as known only once the server
itself has listed it. Names stay known while the server's description does not change, whatever policies hide: they are
of the server, not of a caller.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from ostiary_core.mcp.methods import Method, Primitive

#: The most names of one primitive of one server; later ones stay unknown.
MOST_NAMES: Final = 500
#: The longest known name, in characters; longer ones stay unknown.
LONGEST_NAME: Final = 256


class KnownNames:
    """The names that a server has listed, by primitive. Bounded, whatever the server lists."""

    __slots__ = ("prompts", "resources", "tools")

    def __init__(self) -> None:
        self.tools: set[str] = set()
        self.resources: set[str] = set()
        self.prompts: set[str] = set()

    def learn(self, method: Method | None, message: Mapping[str, Any]) -> None:
        """Learn from the response to a request for a list, before anything is filtered out."""
        result = message.get("result")
        if method is None or method.primitive is None or not method.list_key or not isinstance(result, dict):
            return
        items = result.get(method.list_key)
        if isinstance(items, list):
            found = (item.get(method.item_key) for item in items[:MOST_NAMES] if isinstance(item, dict))
            self._add(self.of(method.primitive), found)

    def of(self, primitive: Primitive) -> set[str]:
        """Return the known names of a primitive."""
        if primitive is Primitive.TOOLS:
            return self.tools
        return self.prompts if primitive is Primitive.PROMPTS else self.resources

    @staticmethod
    def _add(names: set[str], found: Iterable[object]) -> None:
        for name in found:
            if len(names) >= MOST_NAMES:
                return
            if isinstance(name, str) and 0 < len(name) <= LONGEST_NAME and name.isprintable():
                names.add(name)
