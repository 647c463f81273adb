"""A cache of lists as servers sent them: before filter, prefixes and narrowing.

A server is known by its description: an edited one is another server, and the lists of the former are gone with it. A
list that changed meanwhile (``list_changed``, an unknown tool) is asked for again at once, but may still be shown in
place of one that cannot be fetched, for ``staleIfError``.

One request at a time fetches a list, and those that arrive meanwhile wait for it. Its failure is theirs only where the
server failed: a caller that leaves, or has no room for the response, hands the work to the next one. A server that has
just failed is not asked again at once, so that each list does not wait for its timeout.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from time import monotonic
from typing import Any, Final, TypeAlias

from ostiary_core.contract.server_selection import ListCacheConfig
from ostiary_core.upstream_faults import NOT_OF_THE_SERVER
from ostiary_gateway.errors import UpstreamFault
from ostiary_gateway.pipeline.lists.fetched_list import FetchedList, ListCopy
from ostiary_gateway.pipeline.lists.kept_lists import KeptLists, RawListRequest, ServerLists
from ostiary_gateway.telemetry.list_cache_requests import FETCHED, HIT, LIST_CACHE_REQUESTS, STALE
from ostiary_gateway.upstream.server import UpstreamServer

#: Seconds until a server that failed is asked for the same list again.
RETRY_SECONDS: Final = 1.0

#: Asks the server for a list on behalf of the caller that waits. Raises UpstreamFault where the server fails.
Fetch: TypeAlias = Callable[[], Awaitable[FetchedList[Any]]]


class RawListCache:
    """The lists of all servers of a gateway. Must be used within one event loop."""

    def __init__(self, kept: KeptLists | None = None, *, clock: Callable[[], float] = monotonic) -> None:
        self.kept = kept or KeptLists()
        self._clock = clock

    def find(self, server: UpstreamServer, request: RawListRequest) -> ListCopy[Any] | None:
        """Return a fresh list; None where there is none. It asks no server."""
        copy = self.kept.find(server, request, at=self._clock())
        if copy is not None:
            LIST_CACHE_REQUESTS[HIT] += 1
        return copy

    async def get(
        self, server: UpstreamServer, request: RawListRequest, config: ListCacheConfig, fetch: Fetch
    ) -> ListCopy[Any]:
        """Return a list: from the cache, from a request in flight, or by ``fetch``.

        Where the server fails, it may be the last one that is known (``is_stale``).

        Raises:
            UpstreamFault: the server failed, and no list of it may be shown any more.
        """
        while True:
            found = self.find(server, request)
            if found is not None:
                return found
            lists = self.kept.of(server)
            key = lists.key_of(request)
            flight = lists.flights.get(key)
            if flight is None:
                return await self._lead(lists, request, key, config, fetch)
            arrived = await asyncio.shield(flight)
            if isinstance(arrived, UpstreamFault):
                return self._in_place_of(lists, request, config, arrived)
            if arrived is not None and (key == request or not arrived.is_private):
                return arrived

    def changed(self, server: UpstreamServer, *methods: str) -> None:
        """Ask for these lists again from now on; one that is on its way is already old."""
        lists = self.kept.known(server)
        if lists is not None:
            lists.expire(methods, at=self._clock())

    async def _lead(
        self, lists: ServerLists, request: RawListRequest, key: RawListRequest, config: ListCacheConfig, fetch: Fetch
    ) -> ListCopy[Any]:
        """Fetch a list, for this request and for those that wait for the same one."""
        fault = lists.fault(key, at=self._clock())
        if fault is not None:
            return self._in_place_of(lists, request, config, fault)
        flight = lists.flights[key] = asyncio.get_running_loop().create_future()
        arrived: ListCopy[Any] | UpstreamFault | None = None
        try:
            arrived = await self._fetched(lists, request, config, fetch)
        except UpstreamFault as found:
            arrived = self._noted(lists, key, found)
            last = self._last(lists, request, config)
            if last is None:
                raise
            return last
        else:
            return arrived
        finally:
            del lists.flights[key]
            flight.set_result(arrived)

    async def _fetched(
        self, lists: ServerLists, request: RawListRequest, config: ListCacheConfig, fetch: Fetch
    ) -> ListCopy[Any]:
        changes = lists.changes(request.method)
        LIST_CACHE_REQUESTS[FETCHED] += 1
        fetched = await fetch()
        is_current = lists.changes(request.method) == changes
        copy = ListCopy.of(fetched, config, now=self._clock(), is_current=is_current)
        return self.kept.keep_list(lists, request, copy)

    def _noted(self, lists: ServerLists, key: RawListRequest, fault: UpstreamFault) -> UpstreamFault | None:
        """Return a fault that all have that wait for the same list.

        It is None where only this caller has it.
        """
        if fault.of_caller or fault.kind in NOT_OF_THE_SERVER:
            return None
        lists.note_fault(key, fault, until=self._clock() + RETRY_SECONDS)
        return fault

    def _in_place_of(
        self, lists: ServerLists, request: RawListRequest, config: ListCacheConfig, fault: UpstreamFault
    ) -> ListCopy[Any]:
        """Return the last list that is known, in place of one that another request could not fetch.

        Raises:
            UpstreamFault: there is none. It is a new one: a shared error would collect the frames of all requests.
        """
        last = self._last(lists, request, config)
        if last is None:
            raise UpstreamFault(fault.kind, fault.message, retry_after_ms=fault.retry_after_ms)
        return last

    def _last(self, lists: ServerLists, request: RawListRequest, config: ListCacheConfig) -> ListCopy[Any] | None:
        last = lists.last(request, at=self._clock(), seconds=config.stale_if_error / 1000)
        if last is None:
            return None
        LIST_CACHE_REQUESTS[STALE] += 1
        return replace(last, is_stale=True)


#: The cache of this process.
RAW_LISTS: Final = RawListCache()
