"""A cache of filtered lists.

A server sends the same list to every caller, so it is read and filtered once.

A response is recognised by its bytes, except for the request id. Nothing is parsed, searched or hashed for that: the
whole response is compared with cached ones, and the cached result is returned. A cache belongs to one
:class:`Visibility` and ends with it, so a reload starts empty and no caller gets a list that was filtered for another.
"""

import re
from dataclasses import dataclass, field
from typing import Final, NamedTuple
from weakref import WeakKeyDictionary

from ostiary_core import json_weight, strict_json
from ostiary_core.errors import StrictJSONError
from ostiary_core.mcp.methods import AuthorizationKind, Method
from ostiary_core.policy.visibility import Visibility
from ostiary_gateway.pipeline.jsonrpc import ResponseSummary

#: Lists cached for one visibility: the pages of a catalogue, in each kind of list.
_LISTS_EACH: Final = 32
_BYTES_EACH: Final = 1 << 20
#: The limit for all caches together.
_BYTES_IN_ALL: Final = 32 << 20
#: An unfiltered list is read a second time, strictly, before it is cached: not if it weighs more than this.
_WEIGHT_EACH: Final = 60_000 * json_weight.UNIT
#: Nor if it is longer than this and has numbers near the limits of their range: each would be checked without a pause.
_NUMBERS_EACH: Final = 64 << 10
#: The approximate overhead of a cached list, in bytes.
_OVERHEAD: Final = 512
#: After this many lists in a row that were never used again, only every ``_TRIAL``-th list is cached.
_PATIENCE: Final = 8
_TRIAL: Final = 16

# How a response's id is found, to compare the rest with another response.
_SPACE: Final = rb"[ \t\n\r]*"
_VERSION: Final = rb'"jsonrpc"' + _SPACE + rb":" + _SPACE + rb'"2\.0"'
_ID: Final = rb'"id"' + _SPACE + rb":" + _SPACE
#: The start of a response up to its id, with only the version before it ...
_START: Final = re.compile(_SPACE + rb"\{" + _SPACE + rb"(?:" + _VERSION + _SPACE + rb"," + _SPACE + rb")?" + _ID)
#: ... or its end from the id on, with only the version after it.
_LAST: Final = re.compile(rb"[,{]" + _SPACE + _ID)
_END: Final = re.compile(_SPACE + rb"(?:," + _SPACE + _VERSION + _SPACE + rb")?\}" + _SPACE)
#: The id is searched within this many bytes of the end, in addition to its own length.
_REACH: Final = 64


class ListResponse(NamedTuple):
    """The part of a response that the caller may see, and the response's summary."""

    body: bytes
    outcome: ResponseSummary


@dataclass(frozen=True, slots=True)
class Around:
    """A message without its id: the bytes before it, and those after it."""

    before: bytes
    after: bytes

    @property
    def size(self) -> int:
        """The number of bytes of both."""
        return len(self.before) + len(self.after)

    def is_whole(self, text: bytes, identifier: bytes) -> bool:
        """Return whether a text is this message with this id, written as our serializer writes it."""
        before, after = self.before, self.after
        return (
            len(text) == len(before) + len(identifier) + len(after)
            and text.startswith(before)
            and text.startswith(identifier, len(before))
            and text.endswith(after)
        )

    def joined(self, identifier: bytes) -> bytes:
        """Return the message with this id."""
        return b"".join((self.before, identifier, self.after))


@dataclass(frozen=True, slots=True)
class _CachedList:
    """A list as it was received and as it was shown.

    ``shown`` is None where nothing was removed.
    """

    method: Method
    came: Around
    shown: Around | None
    outcome: ResponseSummary

    @property
    def cost(self) -> int:
        return _OVERHEAD + self.came.size + (self.shown.size if self.shown is not None else 0)


@dataclass(slots=True)
class _ListCache:
    """The cached lists of one visibility, most recently used first.

    ``unused`` counts lists cached since the last hit.
    """

    kept: list[_CachedList] = field(default_factory=list)
    held: int = 0
    used: int = 0
    unused: int = 0

    def find(self, method: Method, text: bytes, identifier: bytes) -> _CachedList | None:
        for position, kept in enumerate(self.kept):
            if kept.method is method and kept.came.is_whole(text, identifier):
                if position:
                    self.kept.insert(0, self.kept.pop(position))
                self.unused = 0
                return kept
        return None

    def is_worth_keeping(self) -> bool:
        self.unused += 1
        return self.unused <= _PATIENCE or self.unused % _TRIAL == 0

    def keep(self, kept: _CachedList) -> None:
        self.kept.insert(0, kept)
        self.held += kept.cost
        while len(self.kept) > _LISTS_EACH or self.held > _BYTES_EACH:
            self.held -= self.kept.pop().cost

    def clear(self) -> int:
        """Remove all lists, and return the number of bytes freed."""
        freed, self.held = self.held, 0
        self.kept.clear()
        return freed


class ListMemo:
    """The caches of all visibilities, at most ``limit`` bytes together.

    The least recently used cache is cleared first.

    A visibility must give the same decisions for its whole lifetime; a decision that depends on the caller or on the
    time needs a visibility of its own.
    """

    def __init__(self, *, limit: int = _BYTES_IN_ALL) -> None:
        self._memos: WeakKeyDictionary[Visibility, _ListCache] = WeakKeyDictionary()
        self._limit = limit
        self._uses = 0
        #: An upper bound: caches that were collected with their visibility are subtracted only at the limit.
        self._held = 0

    @property
    def held(self) -> int:
        """The number of bytes that are cached now."""
        return sum(memo.held for memo in self._memos.values())

    def recall(
        self,
        method: Method | None,
        text: bytes,
        visibility: Visibility,
        request_id: str | int | None,
        *,
        sent_id: str | None = None,
    ) -> ListResponse | None:
        """Return the cached result for a response to the request with this id.

        It is None if there is none.

        ``sent_id`` is the id in the response, where it differs: the caller's own id replaces it.
        """
        if method is None or method.authorization is not AuthorizationKind.LIST or request_id is None:
            return None
        memo = self._memos.get(visibility)
        if memo is None:
            return None
        own = strict_json.dumps(request_id)
        kept = memo.find(method, text, own if sent_id is None else strict_json.dumps(sent_id))
        if kept is None:
            return None
        self._uses = memo.used = self._uses + 1
        shown = kept.came if kept.shown is None and sent_id is not None else kept.shown
        return ListResponse(shown.joined(own) if shown is not None else text, kept.outcome)

    def keep(
        self,
        method: Method | None,
        text: bytes,
        known: ListResponse,
        visibility: Visibility,
        request_id: str | int | None,
    ) -> None:
        """Cache the result for a response to this request, if it is a list and worth caching."""
        if method is None or method.authorization is not AuthorizationKind.LIST or request_id is None:
            return
        if known.outcome.code is not None or len(text) > _BYTES_EACH:
            return
        memo = self._memos.setdefault(visibility, _ListCache())
        if not memo.is_worth_keeping():
            return
        kept = _kept(method, text, known, strict_json.dumps(request_id))
        if kept is not None and kept.cost <= _BYTES_EACH:
            self._uses = memo.used = self._uses + 1
            self._held += kept.cost
            memo.keep(kept)
            if self._held > self._limit:
                self._make_room()

    def _make_room(self) -> None:
        self._held = self.held
        for memo in sorted(self._memos.values(), key=lambda each: each.used):
            if self._held <= self._limit:
                return
            self._held -= memo.clear()


def _kept(method: Method, text: bytes, known: ListResponse, identifier: bytes) -> _CachedList | None:
    came = around_id(text, identifier)
    if came is None:
        return None
    if known.body is not text:
        shown = around_id(known.body, identifier)
        return _CachedList(method, came, shown, known.outcome) if shown is not None else None
    return _CachedList(method, came, None, known.outcome) if _is_worth_reading(text) and _is_strict(text) else None


def _is_worth_reading(text: bytes) -> bool:
    is_plain = len(text) <= _NUMBERS_EACH or not strict_json.may_hold_wild_numbers(text)
    is_light = len(text) * json_weight.UNIT <= _WEIGHT_EACH or json_weight.at_most(text) <= _WEIGHT_EACH
    return is_plain and is_light


def _is_strict(text: bytes) -> bool:
    """Check that a list is strict JSON.

    It was read leniently, and might have two ids, of which one would be replaced.
    """
    try:
        strict_json.loads(text)
    except StrictJSONError:
        return False
    return True


def around_id(text: bytes, identifier: bytes) -> Around | None:
    """Split a response at its id.

    It is None where that is not certainly the id, or not written as ``identifier``.

    ``text`` must be strict JSON, an object whose id is ``identifier``. Then the place is certain, whatever the server
    wrote around it. At the start, only the version precedes the key. At the end, the quote before ``id`` is not
    escaped, since no backslash precedes it, and it closes no string, since a bare ``id`` would follow; so it opens a
    key, and as the brace after its value is the last byte, it is a key of the outermost object. The value is the id; a
    longer value with the same beginning would be a different id. Another complete value in its place leaves the rest
    unchanged.
    """
    start = _START.match(text)
    if start is not None:
        end = start.end() + len(identifier)
        return Around(text[: start.end()], text[end:]) if text.startswith(identifier, start.end()) else None
    for key in _LAST.finditer(text, max(0, len(text) - len(identifier) - _REACH)):
        end = key.end() + len(identifier)
        if text.startswith(identifier, key.end()) and _END.fullmatch(text, end) is not None:
            return Around(text[: key.end()], text[end:])
    return None


#: The cache of this process.
LISTS: Final = ListMemo()
