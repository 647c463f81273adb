"""Compares lists with the lock, as their servers send them.

Each item is judged by its own digest alone, whenever and for whomever the server shows it, so nothing depends on what
was seen before. With Block an item that is not approved is left out, and with Warn it is only reported.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from time import monotonic
from typing import Any, Final

from ostiary_core import strict_json
from ostiary_core.content.finding import ContentFinding, Direction
from ostiary_core.definitions.definition_digest import definition_digest
from ostiary_core.definitions.definition_rules import DefinitionRules, ServerLock
from ostiary_core.mcp.methods import LISTS, Method
from ostiary_gateway.catalogue.raw_list import RawList
from ostiary_gateway.config.pinned_state import PinnedDefinitions, pinned_state
from ostiary_gateway.pipeline.exchange import Exchange
from ostiary_gateway.pipeline.large_messages import ITEMS_AT_ONCE, Steps, limit_of, process_large
from ostiary_gateway.pipeline.list_filter import Reading, reading_for
from ostiary_gateway.pipeline.lists.caller_context import presented
from ostiary_gateway.pipeline.lists.raw_page import PAGE_ID
from ostiary_gateway.pipeline.server_answer import ServerAnswer
from ostiary_gateway.upstream.server import UpstreamServer

_MOST_RAW: Final = 64


@dataclass(frozen=True, slots=True)
class PinnedList:
    """What a lock leaves of a list: the approved items, and how many are not."""

    items: list[Any]
    drifted: int


def pinning(
    exchange: Exchange,
    server: UpstreamServer,
    method: Method,
    result: Any,
    *,
    is_sent_now: bool = True,
    is_first: bool = False,
) -> Steps[PinnedList | None]:
    """Compare the items of a list with the lock of its server, in steps.

    None where there is nothing to compare.

    ``result`` is that of the server, which is not changed. One that ``is_sent_now``, and not from a cache, is noted as
    seen; ``is_first`` says that it is the first page of its list.
    """
    rules, place = exchange.visibility.definitions, exchange.proxy.servers.index(server)
    lock = rules.lock_of(place) if rules is not None else None
    items = result.get(method.list_key) if isinstance(result, dict) else None
    if rules is None or lock is None or not isinstance(items, list):
        return None
    state = pinned_state(rules)
    sightings = state.sightings(place, presented(exchange, server), method.list_key) if is_sent_now else {}
    seen = _Comparison(state, lock, method, sightings)
    found = yield from seen.comparing(items)
    if is_first and not result.get("nextCursor"):
        seen.note_gone(items)
    return found


def approving(
    exchange: Exchange, server: UpstreamServer, method: Method, text: bytes, reading: Reading
) -> Steps[tuple[bytes, bool]]:
    """Return a list without what its lock does not approve, and whether all of it is approved.

    ``text`` is the list, and ``reading`` what was read of it, which is changed. It is that of the server, unless it
    comes from a cache.
    """
    rules, result, message = exchange.visibility.definitions, reading.message.get("result"), exchange.message
    is_cached = exchange.sent_id is PAGE_ID
    is_first = not is_cached and message is not None and "cursor" not in message.params
    found = yield from pinning(exchange, server, method, result, is_sent_now=not is_cached, is_first=is_first)
    if found is None or rules is None or not found.drifted:
        return text, True
    exchange.note_findings((drift_finding(exchange, rules, found.drifted),))
    if rules.blocks and isinstance(result, dict):
        result[method.list_key] = found.items
        return strict_json.dumps(reading.message), False
    return text, False


def approving_streamed(
    exchange: Exchange, server: UpstreamServer, text: bytes, message: dict[str, Any]
) -> Steps[tuple[bytes, dict[str, Any]]]:
    """Return a message of a stream of unknown requests, with what is approved of its lists.

    Raises:
        UpstreamFault: it holds a list, and readers could disagree about it.
    """
    rules, result = exchange.visibility.definitions, message.get("result")
    methods = [each for each in LISTS.values() if isinstance(result, dict) and each.list_key in result]
    if not methods or rules is None or not rules.changes_lists:
        return text, message
    reading = yield from reading_for(
        methods[0], text, exchange.visibility, limit=limit_of(exchange.snapshot.settings.bounds)
    )
    for method in methods:
        text, _ = yield from approving(exchange, server, method, text, reading)
        if overriding(rules, method, reading.message["result"]):
            text = strict_json.dumps(reading.message)
    return text, reading.message


def drift_finding(exchange: Exchange, rules: DefinitionRules, count: int) -> ContentFinding:
    """Return the evidence of definitions that are not approved."""
    action = "Block" if rules.blocks else "Warn"
    return ContentFinding(exchange.proxy.identity, "pinning", "Drift", action, Direction.DEFINITIONS, count)


@dataclass(frozen=True, slots=True)
class _Comparison:
    """Compares one list with one lock."""

    state: PinnedDefinitions
    lock: ServerLock
    method: Method
    sightings: dict[str, float]

    def comparing(self, items: list[Any]) -> Steps[PinnedList]:
        kept, now = [], monotonic()
        self.state.has_seen = True
        approved, sightings, item_key = self.lock.approved[self.method.list_key], self.sightings, self.method.item_key
        for start in range(0, len(items), ITEMS_AT_ONCE):
            if start:
                yield
            for item in items[start : start + ITEMS_AT_ONCE]:
                # This is part of every list: what `_is_approved` does is written out for what never drifted.
                name = item.get(item_key) if type(item) is dict else None
                if (
                    type(name) is str
                    and not self.state.has_drifted
                    and definition_digest(item) in approved.get(name, ())
                ):
                    sightings[name] = now
                    kept.append(item)
                elif self._is_approved(item, now):
                    kept.append(item)
        return PinnedList(kept, len(items) - len(kept))

    def _is_approved(self, item: Any, now: float) -> bool:
        key, server = self.method.list_key, self.lock.server
        name = item.get(self.method.item_key) if isinstance(item, dict) else None
        if not isinstance(name, str):
            return False
        digest = definition_digest(item)
        if self.lock.approves(key, name, digest):
            self.sightings[name] = now
            if self.state.has_drifted:
                self.state.note_well(server, key, name)
            return True
        self.sightings.pop(name, None)
        self.state.note_drift(server, key, name, digest, item)
        return False

    def note_gone(self, items: list[Any]) -> None:
        if not self.state.has_drifted:
            return
        names = {item.get(self.method.item_key) for item in items if isinstance(item, dict)}
        self.state.note_gone(self.lock.server, self.method.list_key, {str(name) for name in names})


async def note_pinned(
    exchange: Exchange, server: UpstreamServer, method: Method, answer: ServerAnswer, *, is_first: bool
) -> None:
    """Compare a page that a server sends to the gateway itself."""
    steps = pinning(exchange, server, method, answer.result, is_first=is_first)
    found = await process_large(steps, text=answer.text, proxy=exchange.proxy.uid)
    rules = exchange.visibility.definitions
    if rules is not None and found is not None and found.drifted:
        exchange.note_findings((drift_finding(exchange, rules, found.drifted),))


def pinned_raw(exchange: Exchange, place: int, method: Method, raw: RawList) -> Steps[RawList]:
    """Return a list of one of several merged servers without what its lock does not approve."""
    rules = exchange.visibility.definitions
    if rules is None or not rules.blocks or rules.lock_of(place) is None:
        return raw
    known, key = pinned_state(rules).raw, (place, method.list_key, raw.digest)
    found = known.get(key)
    if found is None:
        server, result = exchange.proxy.servers[place], {method.list_key: raw.items()}
        left = yield from pinning(exchange, server, method, result, is_sent_now=False)
        found = raw if left is None or not left.drifted else _without(raw, left)
        known[key] = found
        while len(known) > _MOST_RAW:
            known.popitem(last=False)
    return found


def _without(raw: RawList, left: PinnedList) -> RawList:
    text = strict_json.dumps(left.items)
    return RawList.of(text, len(left.items), unwritable=raw.unwritable, is_cut=raw.is_cut)


def overriding(rules: DefinitionRules | None, method: Method, result: Mapping[str, Any]) -> bool:
    """Put reviewed texts into the items of a list, under the names that callers know.

    Return whether anything changed.
    """
    overrides = rules.overrides if rules is not None else None
    items = result.get(method.list_key)
    if overrides is None or not overrides.has(method.list_key) or not isinstance(items, list):
        return False
    changed = False
    for place, name, item in _named(items, method.item_key):
        shown = overrides.applied(method.list_key, name, item)
        changed = changed or shown is not item
        items[place] = shown
    return changed


def _named(items: list[Any], key: str) -> Iterator[tuple[int, str, dict[str, Any]]]:
    for place, item in enumerate(items):
        if isinstance(item, dict) and isinstance(name := item.get(key), str):
            yield place, name, item
