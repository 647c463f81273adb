"""The bookkeeping of the cache of raw lists.

It knows what is kept, in how much memory, and what is old. Lists are kept by server, least recently used first. All of
them together, and those of one server, have a bound in bytes, so that no tenant empties the cache of the others.
"""

import asyncio
from collections import Counter, OrderedDict
from collections.abc import Hashable, Iterable
from dataclasses import replace
from itertools import count
from typing import Any, Final, NamedTuple
from weakref import WeakKeyDictionary, finalize

from ostiary_gateway.errors import UpstreamFault
from ostiary_gateway.pipeline.lists.fetched_list import ListCopy
from ostiary_gateway.upstream.server import UpstreamServer

_BYTES_IN_ALL: Final = 32 << 20
_BYTES_EACH: Final = 12 << 20
#: The approximate size of an entry without its list.
_OVERHEAD: Final = 512
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


class ServerLists:
    """What is kept of one server."""

    def __init__(self) -> None:
        self.entries: OrderedDict[RawListRequest, ListCopy[Any]] = OrderedDict()
        #: Requests in flight. The result is None where the next one that waits should ask.
        self.flights: dict[RawListRequest, asyncio.Future[ListCopy[Any] | UpstreamFault | None]] = {}
        self.held = 0
        #: The number of its last use.
        self.used = 0
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

    def last(self, request: RawListRequest, *, at: float) -> ListCopy[Any] | None:
        """Return the last list that may be shown although its server fails."""
        found = (self.entries.get(key) for key in (request.shared, request))
        shown = [copy for copy in found if copy is not None and at < copy.shown_until]
        return max(shown, key=lambda copy: copy.fresh_until, default=None)

    def changes(self, method: str) -> int:
        """Return how often lists of this method were reported to have changed."""
        return self._changes[method]

    def expire(self, methods: Iterable[str], *, at: float) -> None:
        """Make lists of these methods old."""
        names = frozenset(methods)
        self._changes.update(names)
        for key, copy in self.entries.items():
            if key.method in names and copy.fresh_until > at:
                shown_until = at + copy.shown_until - copy.fresh_until
                self.entries[key] = replace(copy, fresh_until=at, shown_until=shown_until)
        self._faults.clear()

    def fault(self, key: RawListRequest, *, at: float) -> UpstreamFault | None:
        """Return the fault with which this request failed just now."""
        found = self._faults.get(key)
        return found[0] if found is not None and at < found[1] else None

    def note_fault(self, key: RawListRequest, fault: UpstreamFault, *, until: float) -> None:
        """Remember for a short time that a request failed."""
        if len(self._faults) >= _MOST:
            self._faults.clear()
        self._faults[key] = fault, until

    def note_scope(self, request: RawListRequest, *, is_private: bool) -> None:
        """Remember whether the list of a request is private."""
        if not is_private:
            self._private.discard(request.shared)
            return
        if len(self._private) >= _MOST:
            self._private.clear()
        self._private.add(request.shared)


class KeptLists:
    """The lists of all servers, in at most ``limit`` bytes, and ``each`` for one server."""

    def __init__(self, *, limit: int = _BYTES_IN_ALL, each: int = _BYTES_EACH) -> None:
        self._servers: WeakKeyDictionary[UpstreamServer, ServerLists] = WeakKeyDictionary()
        self._limit = limit
        self._each = each
        self._uses = count(1)
        #: The number of bytes that are kept now.
        self.held = 0

    def known(self, server: UpstreamServer) -> ServerLists | None:
        """Return what is kept of a server; None where that is nothing."""
        return self._servers.get(server)

    def of(self, server: UpstreamServer) -> ServerLists:
        """Return what is kept of a server."""
        lists = self._servers.get(server)
        if lists is None:
            lists = self._servers[server] = ServerLists()
            finalize(server, self._forget, lists).atexit = False
        return lists

    def find(self, server: UpstreamServer, request: RawListRequest, *, at: float) -> ListCopy[Any] | None:
        """Return a fresh list; None where there is none."""
        lists = self._servers.get(server)
        if lists is None:
            return None
        for key in (request.shared, request):
            copy = lists.entries.get(key)
            if copy is not None and at < copy.fresh_until:
                lists.entries.move_to_end(key)
                lists.used = next(self._uses)
                return copy
        return None

    def keep(self, lists: ServerLists, request: RawListRequest, copy: ListCopy[Any]) -> None:
        """Keep a list that has just arrived, and make room for it."""
        lists.note_scope(request, is_private=copy.is_private)
        key = request if copy.is_private else request.shared
        self._remove(lists, key)
        cost = copy.value.size + _OVERHEAD
        if cost > self._each:
            return
        lists.entries[key] = copy
        lists.used = next(self._uses)
        lists.held += cost
        self.held += cost
        while lists.held > self._each:
            self._remove(lists, next(iter(lists.entries)))
        while self.held > self._limit:
            self._remove_oldest()

    def _remove_oldest(self) -> None:
        lists = min((each for each in self._servers.values() if each.entries), key=lambda each: each.used)
        self._remove(lists, next(iter(lists.entries)))

    def _remove(self, lists: ServerLists, key: RawListRequest) -> None:
        copy = lists.entries.pop(key, None)
        if copy is not None:
            cost = copy.value.size + _OVERHEAD
            lists.held -= cost
            self.held -= cost

    def _forget(self, lists: ServerLists) -> None:
        self.held -= lists.held
