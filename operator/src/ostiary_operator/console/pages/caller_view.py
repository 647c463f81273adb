"""The catalogue of a proxy for one caller, as a page shows it. Pure."""

import enum
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from ostiary_core.evidence.definitions import MOST_ITEMS, ListedItem, ListedServer
from ostiary_core.mcp.methods import Primitive
from ostiary_core.policy.name_access import NameAccess
from ostiary_core.policy.visibility import Visibility
from ostiary_operator.console.pages.seen_drift import blocked_names
from ostiary_operator.local import caller_catalogue
from ostiary_operator.local.caller_catalogue import CatalogueEntry, as_seen
from ostiary_operator.local.described_caller import CallerDescription, find_caller
from ostiary_operator.local.governed_proxy import GovernedProxy
from ostiary_operator.view.evidence.reader import ReplicaDefinitions

#: Names that one page can choose from; a gateway knows fewer of each list.
_MOST_NAMES: Final = 5000
_Definitions: TypeAlias = Mapping[tuple[str, Primitive, str], Mapping[str, Any]]
_WORDS: Final = {
    NameAccess.USE: "sees and may use it",
    NameAccess.CONDITIONAL: "sees it; the message decides",
    NameAccess.SEE: "sees it, and may not use it",
    NameAccess.BLIND: "may use it, and does not see it",
    NameAccess.NONE: "neither sees nor may use it",
}


class ShownNames(enum.StrEnum):
    """Which names a page shows."""

    ALL = "All"
    SEEN = "Seen"
    HIDDEN = "Hidden"


@dataclass(frozen=True, slots=True)
class NameFilter:
    """What a viewer chose of the names."""

    search: str = ""
    shown: ShownNames = ShownNames.ALL
    primitive: Primitive | None = None

    def keeps(self, entry: CatalogueEntry) -> bool:
        """Return whether a name is one of them."""
        if self.primitive not in {None, entry.primitive} or self.search.lower() not in entry.name.lower():
            return False
        return self.shown is ShownNames.ALL or entry.is_seen is (self.shown is ShownNames.SEEN)


@dataclass(frozen=True, slots=True)
class CallerName:
    """One name, and what the caller may do with it.

    ``shown`` is its definition as the caller sees it and ``listed`` as the server sends it, both as JSON; empty where
    the caller does not see it, or where no replica keeps it.
    """

    kind: str
    name: str
    own: str
    server: str
    access: str
    words: str
    why: str
    policy: str
    rule: str
    shown: str
    listed: str

    @property
    def is_changed(self) -> bool:
        """Whether the caller sees another definition than the server sends."""
        return bool(self.shown) and self.shown != self.listed


@dataclass(frozen=True, slots=True)
class CallerView:
    """What a caller sees.

    ``refusal`` says why the gateway does not admit it; then it sees none of what servers list. ``seen`` and ``total``
    count all names that are known, ``found`` are those that the filter keeps. ``unlisted`` are servers of which nothing
    is known, ``cut`` are lists that may be longer than what a replica tells, and ``left_out`` says what of OpenAPI
    documents is no tool.
    """

    refusal: str
    is_ignored: bool
    seen: int
    total: int
    found: tuple[CallerName, ...]
    unlisted: tuple[str, ...]
    cut: tuple[str, ...]
    left_out: tuple[str, ...]


def caller_view(
    proxy: GovernedProxy,
    described: CallerDescription,
    listed: Sequence[ReplicaDefinitions],
    chosen: NameFilter,
    readable: frozenset[str],
) -> CallerView:
    """Return what a described caller sees of what replicas listed.

    It is for a viewer who may read the ``readable`` policies.
    """
    caller = find_caller(proxy, described)
    refusal = caller.refusal or ""
    if refusal and not readable.issuperset(proxy.authentication):
        refusal = "its credential is not accepted"
    names, definitions = _names(listed), _definitions(listed)
    entries = caller_catalogue.entries(proxy, caller.principal, names)[:_MOST_NAMES]
    blocked = blocked_names(proxy, listed)
    entries = [_blocked(each, is_refused=bool(refusal), names=blocked) for each in entries]
    view = proxy.visibility.for_principal(caller.principal)
    return CallerView(
        refusal,
        caller.is_ignored,
        sum(each.is_seen for each in entries),
        len(entries),
        tuple(_name(view, each, definitions, readable) for each in entries if chosen.keeps(each)),
        tuple(caller_catalogue.unlisted(proxy, names)),
        tuple(dict.fromkeys(_cut(listed))),
        tuple(f"{server}: {words}" for server, words in caller_catalogue.left_out(proxy)),
    )


def _blocked(
    entry: CatalogueEntry, *, is_refused: bool, names: frozenset[tuple[str, Primitive, str]]
) -> CatalogueEntry:
    """Return a name without access where its caller or its definition is refused."""
    if not is_refused and (entry.server, entry.primitive, entry.own) not in names:
        return entry
    why = "the gateway refuses this caller" if is_refused else "its definition is not the one that an MCPLock approves"
    return entry._replace(access=NameAccess.NONE.value, why=why, policy="", rule="")


def _names(listed: Iterable[ReplicaDefinitions]) -> caller_catalogue.ListedNames:
    found: dict[str, dict[Primitive, dict[str, None]]] = {}
    for server, primitive, item in _items(listed):
        found.setdefault(server.name, {}).setdefault(primitive, {})[item.name] = None
    return {server: {each: sorted(names) for each, names in kinds.items()} for server, kinds in found.items()}


def _definitions(listed: Iterable[ReplicaDefinitions]) -> _Definitions:
    """Return the definitions, each of the first replica that keeps it."""
    found: dict[tuple[str, Primitive, str], Mapping[str, Any]] = {}
    for server, primitive, item in _items(listed):
        if item.definition is not None:
            found.setdefault((server.name, primitive, item.name), item.definition)
    return found


def _items(listed: Iterable[ReplicaDefinitions]) -> Iterable[tuple[ListedServer, Primitive, ListedItem]]:
    for replica in listed:
        for server in replica.definitions.servers:
            of_kinds = {
                Primitive.TOOLS: server.tools,
                Primitive.RESOURCES: server.resources,
                Primitive.PROMPTS: server.prompts,
            }
            yield from ((server, primitive, item) for primitive, items in of_kinds.items() for item in items)


def _cut(listed: Iterable[ReplicaDefinitions]) -> Iterator[str]:
    """Yield the lists of which replicas tell as many names as they ever do.

    Their servers may have more.
    """
    for server in (each for replica in listed for each in replica.definitions.servers):
        lists = {"tools": server.tools, "resources": server.resources, "prompts": server.prompts}
        yield from (f"{kind} of server {server.name}" for kind, items in lists.items() if len(items) >= MOST_ITEMS)


def _name(view: Visibility, entry: CatalogueEntry, definitions: _Definitions, readable: frozenset[str]) -> CallerName:
    listed = definitions.get((entry.server, entry.primitive, entry.own))
    shown = as_seen(view, entry, listed) if listed is not None else None
    is_plain = not entry.policy or entry.policy in readable
    rule = f"rule {entry.rule} of " if entry.rule else ""
    why = entry.why if is_plain else f"{rule}MCPPolicy {entry.policy}, which you may not read"
    return CallerName(
        entry.primitive.value,
        entry.name,
        entry.own,
        entry.server,
        entry.access,
        _WORDS[NameAccess(entry.access)],
        why,
        entry.policy,
        entry.rule,
        _json(shown),
        _json(listed),
    )


def _json(definition: Mapping[str, Any] | None) -> str:
    return json.dumps(definition, indent=2, ensure_ascii=False) if definition is not None else ""
