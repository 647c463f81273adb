"""The bookkeeping of the cache of raw lists.

It knows what is kept of each server, what is old, and what failed.
"""

import asyncio
from collections import Counter
from collections.abc import Hashable, Iterable
from typing import Any, Final, NamedTuple

from ostiary_gateway.errors import UpstreamFault
from ostiary_gateway.pipeline.lists.bounded_entries import BoundedEntries, EntriesOfOwner
from ostiary_gateway.pipeline.lists.fetched_list import ListCopy
from ostiary_gateway.upstream.server import UpstreamServer

_BYTES_IN_ALL: Final = 32 << 20
_BYTES_EACH: Final = 12 << 20
#: Requests of one server of which something is remembered besides lists.
_MOST: Final = 1024


class RawListRequest(NamedTuple):
    """What a list depends on, besides its server.

    ``revision`` is the protocol revision in which it is asked for. ``cursor`` is that of one page, None for the first
    one or for the whole list. ``context`` is what the server can tell callers apart by, and ``principal`` tells all
    callers apart, for lists that are private (:mod:`.caller_context`).
    """

    method: str
    revision: str
    context: Hashable = None
    principal: Hashable = None
    cursor: str | None = None

    @property
    def shared(self) -> "RawListRequest":
        """The request as all callers make it that the server cannot tell apart."""
        return self._replace(principal=None)


class ServerLists(EntriesOfOwner[RawListRequest, ListCopy[Any]]):
    """What is kept of one server."""

    def __init__(self) -> None:
        super().__init__()
        #: Requests in flight. The result is None where the next one that waits should ask.
        self.flights: dict[RawListRequest, asyncio.Future[ListCopy[Any] | UpstreamFault | None]] = {}
        #: Shared requests whose lists were private.
        self._private: set[RawListRequest] = set()
        self._faults: dict[RawListRequest, tuple[UpstreamFault, float]] = {}
        #: By method, how often its lists were reported to have changed.
        self._changes: Counter[str] = Counter()

    def key_of(self, request: RawListRequest) -> RawListRequest:
        """Return the request that is in flight for this one.

        It is that of all callers, or of one where the list is private.
        """
        return request if request.shared in self._private else request.shared

    def last(self, request: RawListRequest, *, at: float, seconds: float) -> ListCopy[Any] | None:
        """Return the last list, which may be shown for ``seconds`` while its server fails."""
        found = (self.value(key) for key in (request.shared, request))
        shown = [copy for copy in found if copy is not None and at < copy.fresh_until + seconds]
        return max(shown, key=lambda copy: copy.fresh_until, default=None)

    def changes(self, method: str) -> int:
        """Return how often lists of this method were reported to have changed."""
        return self._changes[method]

    def expire(self, methods: Iterable[str], *, at: float) -> None:
        """Make lists of these methods old."""
        names = frozenset(methods)
        self._changes.update(names)
        for key, (copy, _) in self.entries.items():
            if key.method in names:
                copy.expire(at)
        self._faults.clear()

    def fault(self, key: RawListRequest, *, at: float) -> UpstreamFault | None:
        """Return the fault with which this request failed just now."""
        found = self._faults.get(key)
        return found[0] if found is not None and at < found[1] else None

    def note_fault(self, key: RawListRequest, fault: UpstreamFault, *, until: float) -> None:
        """Remember for a short time that a request failed.

        What is remembered is a fault of its own: the frames in that of the request hold all of the request.
        """
        if len(self._faults) >= _MOST:
            self._faults.clear()
        self._faults[key] = UpstreamFault(fault.kind, fault.message, retry_after_ms=fault.retry_after_ms), until

    def note_scope(self, request: RawListRequest, *, is_private: bool) -> None:
        """Remember whether the list of a request is private."""
        if not is_private:
            self._private.discard(request.shared)
            return
        if len(self._private) >= _MOST:
            self._private.clear()
        self._private.add(request.shared)


class KeptLists(BoundedEntries[UpstreamServer, ServerLists]):
    """The lists of all servers, in at most ``limit`` bytes, and ``each`` for one server."""

    def __init__(self, *, limit: int = _BYTES_IN_ALL, each: int = _BYTES_EACH) -> None:
        super().__init__(ServerLists, limit=limit, each=each)

    def find(self, server: UpstreamServer, request: RawListRequest, *, at: float) -> ListCopy[Any] | None:
        """Return a fresh list; None where there is none."""
        lists = self.known(server)
        for key in (request.shared, request) if lists is not None else ():
            copy = lists.value(key) if lists is not None else None
            if lists is not None and copy is not None and at < copy.fresh_until:
                self.use(lists, key)
                return copy
        return None

    def keep_list(self, lists: ServerLists, request: RawListRequest, copy: ListCopy[Any]) -> ListCopy[Any]:
        """Keep a list that has just arrived, and return it.

        One with the same content as before keeps the former value, so that what was made of that is still good.
        """
        lists.note_scope(request, is_private=copy.is_private)
        key = request if copy.is_private else request.shared
        former = lists.value(key)
        if former is not None and former.value == copy.value:
            copy.value = former.value
        self.keep(lists, key, copy, size=copy.value.size)
        return copy
