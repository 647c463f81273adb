"""Filter lists that are not strict JSON.

Cut the text at the items, judge each item, keep the bytes of the rest.

One schema with an integer of eighty digits, a duplicate key or half a surrogate pair does not make the other tools
unsafe to show. What is judged is read strictly: there is one ``result``, one list in it, and one name in each item. An
item without exactly one name is dropped alone, and reported. All other bytes are the server's own, except input schemas
that are narrowed to what the caller may pass: that needs an item of strict JSON.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Final

from ostiary_core import strict_json
from ostiary_core.errors import StrictJSONError
from ostiary_core.json_spans import MOST_MEMBERS, Item, Read, SpanReader
from ostiary_gateway.pipeline.large_messages import ITEMS_AT_ONCE, Steps

_SHOWN_NAME: Final = 64

#: Says whether a name of one list may be seen.
Shows = Callable[[str], bool]


_NOTHING_KNOWN: Final[Mapping[str, bool]] = {}


def _never() -> bool:
    return False


class ListFilter:
    """Decides which items of a list are kept, by the list's key and the key of an item's name.

    ``known`` is what ``shows`` has returned for some names already.
    """

    def __init__(
        self,
        list_key: str,
        item_key: str,
        shows: Shows,
        is_due: Callable[[], bool] = _never,
        *,
        known: Mapping[str, bool] = _NOTHING_KNOWN,
    ) -> None:
        self.list_key = list_key
        self.item_key = item_key
        self._shows = shows
        self._known = known
        self._is_due = is_due
        #: Whether judging any name costs next to nothing.
        self._is_cheap = is_due is _never
        #: Changes an item that is kept.
        self.reshape: Callable[[dict[str, Any]], dict[str, Any]] | None = None
        #: Descriptions of the items that were dropped because they cannot be judged, safe for a log.
        self.dropped: list[str] = []

    def pauses(self, position: int) -> bool:
        """Return whether other tasks should run before the item at this position is judged."""
        return position % ITEMS_AT_ONCE == ITEMS_AT_ONCE - 1 or self._is_due()

    def keeping(self, items: Sequence[dict[str, Any]]) -> Steps[list[dict[str, Any]]]:
        """Return the items that may be seen, as they are shown, in steps."""
        kept: list[dict[str, Any]] = []
        for start in range(0, len(items), ITEMS_AT_ONCE):
            piece = items[start : start + ITEMS_AT_ONCE]
            found = self._kept_of(piece, start) if self._is_cheap else (yield from self._kept_one_by_one(piece, start))
            kept += found if self.reshape is None else map(self.reshape, found)
            yield
        return kept

    def _kept_of(self, items: Sequence[dict[str, Any]], start: int) -> list[dict[str, Any]]:
        # Nearly every item has a name that was judged before, and needs no call.
        keeps, known, key = self.keeps, self._known, self.item_key
        return [
            item
            for position, item in enumerate(items, start)
            if (
                known[name]
                if type(name := item.get(key)) is str and name in known and item.keys() <= _STANDARD_MEMBERS
                else keeps(position, item)
            )
        ]

    def _kept_one_by_one(self, items: Sequence[dict[str, Any]], start: int) -> Steps[list[dict[str, Any]]]:
        kept = []
        for position, item in enumerate(items, start):
            if self._is_due():
                yield
            kept += self._kept_of((item,), position)
        return kept

    def keeps(self, position: int, item: Mapping[str, Any]) -> bool:
        """Return whether an item without duplicate keys may be seen."""
        name = item.get(self.item_key)
        if not isinstance(name, str):
            return self._drop(position, name, f'no "{self.item_key}"')
        if not item.keys() <= _STANDARD_MEMBERS and (other := look_alike(item, self.item_key)) is not None:
            return self._drop(position, name, f"also a member {other!a}")
        return self._shows(name)

    def keeps_piece(self, position: int, item: Item) -> bool:
        """Return whether an item that was cut out of the text may be seen.

        Raises:
            StrictJSONError: it is not an object.
        """
        pairs = item.value
        if not isinstance(pairs, tuple):
            raise StrictJSONError(f'"{self.list_key}" has an item that is not an object')
        if len(pairs) > MOST_MEMBERS:
            return self._drop(position, None, f"more than {MOST_MEMBERS} members")
        names = [value for key, value in pairs if key == self.item_key]
        if not item.is_json:
            return self._drop(position, names, "contains NaN or an infinity")
        if len(names) > 1:
            return self._drop(position, names, f'duplicate "{self.item_key}"')
        if names and isinstance(names[0], str) and not _is_valid_unicode(names[0]):
            return self._drop(position, names[0], f'half a surrogate pair in "{self.item_key}"')
        return self.keeps(position, dict(pairs))

    def reshaped(self, piece: str) -> str:
        """Return the text of an item that is kept, changed if it is strict JSON.

        Another one keeps its bytes: a change only informs the client, and calls are judged without it.
        """
        if self.reshape is None:
            return piece
        try:
            item = strict_json.loads(piece.encode())
        except (StrictJSONError, UnicodeEncodeError):
            return piece
        return strict_json.dumps(self.reshape(item)).decode()

    def _drop(self, position: int, name: Any, why: str) -> bool:
        shown = f" {name[:_SHOWN_NAME]!a}" if isinstance(name, str) else ""
        self.dropped.append(f"{self.list_key}[{position}]{shown}: {why}")
        return False


#: The members of items that MCP defines: no two of these are similar.
_STANDARD_MEMBERS: Final = frozenset(
    {"name", "title", "description", "inputSchema", "outputSchema", "annotations", "icons", "execution", "arguments"}
    | {"uri", "uriTemplate", "mimeType", "size", "_meta"}
)


def look_alike(members: Mapping[str, Any], key: str) -> str | None:
    """Return a member that differs from ``key`` only in case, which some readers ignore.

    It is None where there is none.
    """
    return next((member for member in members if member != key and member.casefold() == key.casefold()), None)


def _is_valid_unicode(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


#: How long a client may cache a filtered list, in milliseconds: a policy can change at any time, and a client without a
#: stream is not notified (specification, Caching).
TTL_LIMIT_MS: Final = 60_000


def exceeds_ttl_limit(ttl: Any) -> bool:
    """Return whether a filtered list's ``ttlMs`` is longer than a client may cache the list."""
    return type(ttl) in (int, float) and ttl > TTL_LIMIT_MS


def filtering(text: bytes, lists: Mapping[str, ListFilter]) -> Steps[tuple[bytes, frozenset[str]]]:
    """Return a response without hidden and unjudgeable items, and which lists it has.

    ``lists`` are by the member of the result that holds each. The places are found in one step, the items are judged in
    many.

    Raises:
        StrictJSONError: it is not JSON, a member of the message or of the result is a duplicate, or an item is no
            object.
    """
    cutter = _Cutter(text)
    into: dict[str, Read] = {key: partial(cutter.list, key) for key in lists}
    into |= {"cacheScope": cutter.scope, "ttlMs": cutter.age}
    cutter.reader.whole({"result": lambda start: cutter.reader.members(start, into)})
    yield
    for key, start in cutter.found.items():
        yield from cutter.cut(lists[key], start)
    return cutter.text(), frozenset(cutter.found)


class _Cutter:
    """Reads a response, and collects the replacements for the places that are cut."""

    def __init__(self, text: bytes) -> None:
        self.reader = SpanReader(text)
        #: The start of each list.
        self.found: dict[str, int] = {}
        self._cuts: list[tuple[int, int, str]] = []
        self._hints: list[tuple[int, int, str]] = []

    def list(self, key: str, start: int) -> int:
        """Record the place of a list."""
        self.found[key] = start
        return self.reader.value(start)[1]

    def cut(self, judged: ListFilter, start: int) -> Steps[None]:
        """Cut the list at this place."""
        text, kept = self.reader.text, []
        for position, item in enumerate(self.reader.items(start)):
            if judged.pauses(position):
                yield
            if judged.keeps_piece(position, item):
                kept.append(judged.reshaped(text[item.start : item.end]))
        self._cuts.append((start, self.reader.end, f"[{','.join(kept)}]"))

    def scope(self, start: int) -> int:
        """Record the ``cacheScope``: what one caller may see must not be cached for another."""
        end = self.reader.value(start)[1]
        self._hints.append((start, end, '"private"'))
        return end

    def age(self, start: int) -> int:
        """Record the ``ttlMs``, where it is too long."""
        ttl, end = self.reader.value(start)
        if exceeds_ttl_limit(ttl):
            self._hints.append((start, end, str(TTL_LIMIT_MS)))
        return end

    def text(self) -> bytes:
        """Return the text with all replacements."""
        cuts = sorted([*self._cuts, *self._hints] if self._cuts else [])
        pieces, place = [], 0
        for start, end, by in cuts:
            pieces += [self.reader.text[place:start], by]
            place = end
        return "".join([*pieces, self.reader.text[place:]]).encode()
