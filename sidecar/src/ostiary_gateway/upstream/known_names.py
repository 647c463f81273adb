"""The names that one server has listed.

Only these may label a metric or name a counter. Callers invent names, so a name counts as known only once the server
itself has listed it. Names stay known while the server's description does not change, whatever policies hide: they are
of the server, not of a caller.
"""

from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from typing import Any, Final

from ostiary_core.mcp.methods import Method, Primitive

#: The most names of one primitive of one server; later ones stay unknown.
MOST_NAMES: Final = 500
#: The longest known name, in characters; longer ones stay unknown.
LONGEST_NAME: Final = 256
#: Of all servers that have listed nothing yet.
_NONE: Final[AbstractSet[str]] = frozenset()


class KnownNames:
    """The names that a server has listed, by primitive. Bounded, whatever the server lists."""

    __slots__ = ("prompts", "resources", "tools")

    def __init__(self) -> None:
        self.tools: AbstractSet[str] = _NONE
        self.resources: AbstractSet[str] = _NONE
        self.prompts: AbstractSet[str] = _NONE

    def learn(self, method: Method | None, message: Mapping[str, Any]) -> None:
        """Learn from the response to a request for a list, before anything is filtered out."""
        result = message.get("result")
        if method is None or method.primitive is None or not method.list_key or not isinstance(result, dict):
            return
        items = result.get(method.list_key)
        if isinstance(items, list):
            found = (item.get(method.item_key) for item in items[:MOST_NAMES] if isinstance(item, dict))
            self._add(method.primitive, found)

    def of(self, primitive: Primitive) -> AbstractSet[str]:
        """Return the known names of a primitive."""
        if primitive is Primitive.TOOLS:
            return self.tools
        return self.prompts if primitive is Primitive.PROMPTS else self.resources

    def _add(self, primitive: Primitive, found: Iterable[object]) -> None:
        names = self.of(primitive)
        for name in found:
            if len(names) >= MOST_NAMES:
                return
            if isinstance(name, str) and 0 < len(name) <= LONGEST_NAME and name.isprintable():
                if not isinstance(names, set):
                    names = set()
                    setattr(self, primitive.value, names)
                names.add(name)
