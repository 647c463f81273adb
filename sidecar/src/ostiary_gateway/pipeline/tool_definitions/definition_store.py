"""The store of definitions: what servers say that their tools and prompts take.

It is filled by lists that pass, and by lists that are asked for when a call needs one. A definition belongs to a server
and to what the server can tell callers apart by (:mod:`..lists.caller_context`): another credential may be shown other
tools. Schemas are kept as text, and compiled when a call needs them (:mod:`.schema_checks`).
"""

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from time import monotonic
from typing import Any, Final, NamedTuple

import orjson

from ostiary_core.json_schema.price import MOST_BYTES
from ostiary_core.mcp.methods import METHODS, Method
from ostiary_core.policy.cost_limits import NAME_LENGTH
from ostiary_gateway.pipeline.large_messages import ITEMS_AT_ONCE, Steps
from ostiary_gateway.pipeline.lists.bounded_entries import BoundedEntries, EntriesOfOwner
from ostiary_gateway.upstream.server import UpstreamServer

#: The bytes that are kept: of all servers, and of one.
_BYTES_IN_ALL: Final = 32 << 20
_BYTES_EACH: Final = 12 << 20
#: The definitions that are kept of one list.
MOST_DEFINITIONS: Final = 4096
#: Contexts of one server of which is remembered when its lists were asked for.
_MOST_FETCHES: Final = 1024
_MOST_ARGUMENTS: Final = 64
TOOLS_LIST: Final = METHODS["tools/list"]
PROMPTS_LIST: Final = METHODS["prompts/list"]
_KEPT: Final = frozenset({TOOLS_LIST.name, PROMPTS_LIST.name})


@dataclass(frozen=True, slots=True)
class KnownDefinition:
    """What is known of one tool or prompt.

    ``input_schema`` and ``output_schema`` are JSON, None where there is none; empty where it is too large to be kept.
    ``arguments`` are those of a prompt: names, and whether each is required.
    """

    input_schema: bytes | None = None
    output_schema: bytes | None = None
    arguments: Mapping[str, bool] = field(default_factory=dict)

    @classmethod
    def read(cls, item: Mapping[str, Any]) -> "KnownDefinition":
        """Return what is known of an item of a list."""
        return cls(_text(item.get("inputSchema")), _text(item.get("outputSchema")), _arguments(item.get("arguments")))

    @property
    def size(self) -> int:
        """The approximate bytes that it takes."""
        names = sum(map(len, self.arguments))
        return len(self.input_schema or b"") + len(self.output_schema or b"") + names


class DefinitionKey(NamedTuple):
    """Which definition of a server.

    ``context`` is what the server can tell the caller apart by.
    """

    context: Hashable
    method: str
    name: str


class ServerDefinitions(EntriesOfOwner[DefinitionKey, KnownDefinition]):
    """What is known of one server."""

    def __init__(self) -> None:
        super().__init__()
        self._listed_until: dict[tuple[Hashable, str], float] = {}

    def note_listed(self, context: Hashable, method: str, *, until: float) -> None:
        """Note that a list was asked for, and need not be asked for again until then."""
        if len(self._listed_until) >= _MOST_FETCHES:
            self._listed_until.clear()
        self._listed_until[context, method] = until

    def was_listed(self, context: Hashable, method: str, *, at: float) -> bool:
        """Return whether a list was asked for a short time ago."""
        return at < self._listed_until.get((context, method), 0.0)


class DefinitionStore(BoundedEntries[UpstreamServer, ServerDefinitions]):
    """The definitions of all servers, in at most ``limit`` bytes, and ``each`` for one server."""

    def __init__(self, *, limit: int = _BYTES_IN_ALL, each: int = _BYTES_EACH) -> None:
        super().__init__(ServerDefinitions, limit=limit, each=each)

    def find(self, server: UpstreamServer, context: Hashable, method: str, name: str) -> KnownDefinition | None:
        """Return what is known of a tool or prompt by its server's own name; None without anything."""
        known = self.known(server)
        if known is None:
            return None
        key = DefinitionKey(context, method, name)
        found = known.value(key)
        if found is not None:
            self.use(known, key)
        return found

    def was_listed(self, server: UpstreamServer, context: Hashable, method: str) -> bool:
        """Return whether a list was asked for a short time ago: what it lacks does not exist."""
        known = self.known(server)
        return known is not None and known.was_listed(context, method, at=monotonic())

    def learning(
        self, server: UpstreamServer, context: Hashable, method: Method, result: Any, *, wanted: str = ""
    ) -> Steps[None]:
        """Keep the definitions of a page of a list, a few in each step.

        The one that is ``wanted`` is kept last, so that no other takes its room.
        """
        items = result.get(method.list_key) if isinstance(result, dict) and method.name in _KEPT else None
        known = self.of(server) if isinstance(items, list) else None
        if known is None or not items:
            return
        kept = items[:MOST_DEFINITIONS]
        kept += [item for item in items if isinstance(item, dict) and wanted and item.get("name") == wanted]
        for number, item in enumerate(kept, start=1):
            if isinstance(item, dict):
                self._learn(known, context, method.name, item)
            if number % ITEMS_AT_ONCE == 0:
                yield

    def _learn(self, known: ServerDefinitions, context: Hashable, method: str, item: Mapping[str, Any]) -> None:
        name = item.get("name")
        if not isinstance(name, str) or not 0 < len(name) <= NAME_LENGTH:
            return
        found = KnownDefinition.read(item)
        self.keep(known, DefinitionKey(context, method, name), found, size=found.size)


def _text(schema: Any) -> bytes | None:
    """Return a schema as JSON.

    It is empty where it is too large, or not JSON that all readers read alike.
    """
    if schema is None:
        return None
    try:
        text = orjson.dumps(schema)
    except TypeError:
        return b""
    return text if len(text) <= MOST_BYTES else b""


def _arguments(arguments: Any) -> dict[str, bool]:
    found: dict[str, bool] = {}
    for each in arguments[:_MOST_ARGUMENTS] if isinstance(arguments, list) else ():
        name = each.get("name") if isinstance(each, dict) else None
        if isinstance(name, str) and len(name) <= NAME_LENGTH:
            found[name] = each.get("required") is True
    return found


#: The store of this process.
DEFINITIONS: Final = DefinitionStore()
