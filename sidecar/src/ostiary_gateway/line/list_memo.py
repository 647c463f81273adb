"""Lists that were judged before: a server tells the same list to everybody all day, so it is read and filtered once.

An answer is known again by its bytes, all of them but the id of the request. Nothing is parsed, searched or hashed for
that: what comes is compared with what was judged, whole, and what was made of that is given. A memo belongs to one
:class:`Visibility` and goes with it, so a reload begins anew and no caller is shown what was filtered for another.
"""

from dataclasses import dataclass, field
from typing import Final, NamedTuple
from weakref import WeakKeyDictionary

from ostiary_core import json_weight, strict_json
from ostiary_core.errors import StrictJSONError
from ostiary_core.mcp.methods import AuthorizationKind, Method
from ostiary_core.policy.visibility import Visibility
from ostiary_gateway.line.answers import ResponseSummary
from ostiary_gateway.line.list_id import Around, around_id

#: For one visibility: the pages of a catalogue, in each kind of list.
_LISTS_EACH: Final = 32
_BYTES_EACH: Final = 1 << 20
#: For all of them together.
_BYTES_IN_ALL: Final = 32 << 20
#: A list that passes as it came is read once more, strictly, to be kept: one that weighs more than this is not.
_WEIGHT_EACH: Final = 60_000 * json_weight.UNIT
#: Nor is a longer one with numbers near the limits of their range: each value of it would be looked at, in one go.
_NUMBERS_EACH: Final = 64 << 10
#: What a kept list costs besides its bytes, about.
_OVERHEAD: Final = 512
#: A server that never tells the same list twice: after so many, only each so-manieth is still kept, as a trial.
_PATIENCE: Final = 8
_TRIAL: Final = 16


class ListResponse(NamedTuple):
    """What the caller may see of an answer, and how it ended."""

    body: bytes
    outcome: ResponseSummary


@dataclass(frozen=True, slots=True)
class _CachedList:
    """A list as it came and as it was shown; ``shown`` is None where nothing was taken away."""

    method: Method
    came: Around
    shown: Around | None
    outcome: ResponseSummary

    @property
    def cost(self) -> int:
        return _OVERHEAD + self.came.size + (self.shown.size if self.shown is not None else 0)


@dataclass(slots=True)
class _ListCache:
    """What is kept for one visibility: the last used first. ``unused`` counts what was kept since one was used."""

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
        """Forget all, and return how many bytes that were."""
        freed, self.held = self.held, 0
        self.kept.clear()
        return freed


class ListMemo:
    """The memos of all visibilities, bounded together in ``limit`` bytes: the one that was not used for longest goes.

    A decision of a visibility must be the same for as long as it lives; what depends on the caller or on the time needs
    a visibility of its own.
    """

    def __init__(self, *, limit: int = _BYTES_IN_ALL) -> None:
        self._memos: WeakKeyDictionary[Visibility, _ListCache] = WeakKeyDictionary()
        self._limit = limit
        self._uses = 0
        #: What is held at most: memos that went with their visibility are taken off only when the limit is reached.
        self._held = 0

    @property
    def held(self) -> int:
        """The bytes that are held now."""
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
        """Return what became of this answer to a request with this id, if it was judged before.

        ``sent_id`` is what stands in the answer, where that is another: the caller's own is given back.
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
        """Keep what was made of an answer to a request with this id, if it is a list and worth it."""
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
    """What passed as it was has been read leniently: with two ids, say, of which only one stands in its place."""
    try:
        strict_json.loads(text)
    except StrictJSONError:
        return False
    return True


#: The memo of this process.
LISTS: Final = ListMemo()
