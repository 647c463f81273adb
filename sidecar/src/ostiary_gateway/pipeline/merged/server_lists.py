"""The lists of the servers of one proxy: from the cache, or asked for at the same time.

A server that fails keeps its place, with its last list for as long as that may be shown (``staleIfError``), and with
none after that. It never ends the lists of the others.
"""

import asyncio
from dataclasses import dataclass
from time import monotonic
from typing import Any, Final

from ostiary_core.mcp import codes
from ostiary_core.mcp.methods import Method
from ostiary_gateway.catalogue.raw_list import NOTHING, RawList, RawPages
from ostiary_gateway.errors import UpstreamFault
from ostiary_gateway.pipeline.exchange import Exchange
from ostiary_gateway.pipeline.large_messages import process_large
from ostiary_gateway.pipeline.list_observation import observing
from ostiary_gateway.pipeline.lists.caller_context import list_request
from ostiary_gateway.pipeline.lists.fetched_list import CacheHints, FetchedList, ListCopy, hints_of
from ostiary_gateway.pipeline.lists.raw_list_cache import RAW_LISTS
from ostiary_gateway.pipeline.merged.page_requests import ListAsker
from ostiary_gateway.pipeline.pinned_definitions.pinned_lists import note_pinned
from ostiary_gateway.pipeline.server_answer import ServerAnswer, fault_of
from ostiary_gateway.pipeline.services import PipelineServices
from ostiary_gateway.telemetry import ServerSpan
from ostiary_gateway.upstream import faults

#: Seconds that a fan-out may take in all.
SECONDS: Final = 5.0


@dataclass(frozen=True, slots=True)
class ServerList:
    """What there is of one server's list.

    ``raw`` is None where there is nothing to show, and ``reason`` is the kind of fault, empty for a server that is
    well: both are set where an earlier list is shown. ``ttl_ms`` is how long callers may keep it. ``copy`` is the list
    as it is kept, None where it is not.
    """

    raw: RawList | None
    reason: str = ""
    ttl_ms: int = 0
    is_private: bool = False
    retry_after_ms: int | None = None
    copy: ListCopy[RawList] | None = None
    is_kept: bool = False

    @classmethod
    def of(cls, copy: ListCopy[RawList], reason: str = "", *, is_kept: bool = False) -> "ServerList":
        """Return the list in a copy."""
        return cls(copy.value, reason, copy.remaining_ms(monotonic()), copy.is_private, copy=copy, is_kept=is_kept)


async def lists_of(
    exchange: Exchange, method: Method, places: tuple[int, ...], span: ServerSpan, services: PipelineServices
) -> dict[int, ServerList]:
    """Return the lists of the servers at these places of the spec, asked at the same time.

    Raises:
        Refusal: the caller has ended its session.
    """
    askers = {place: ListAsker(exchange, exchange.proxy.servers[place], span, services) for place in places}
    found = {place: kept for place, asker in askers.items() if (kept := _kept(asker, method)) is not None}
    missing = [place for place in places if place not in found]
    if missing:
        # All of them end before this does: a task that goes on would use what the exchange has released.
        asked = await asyncio.gather(*(_asked(askers[place], method) for place in missing), return_exceptions=True)
        for place, each in zip(missing, asked, strict=True):
            if isinstance(each, BaseException):
                raise each
            found[place] = each
    return {place: found[place] for place in places}


def _kept(asker: ListAsker, method: Method) -> ServerList | None:
    """Return a list that is in the cache, and not too old."""
    exchange, server = asker.exchange, asker.server
    if exchange.proxy.list_cache is None or server.is_blocked:
        return None
    request = list_request(exchange, server, method=method.name, revision=asker.revision)
    copy = RAW_LISTS.find(server, request)
    return ServerList.of(copy, is_kept=True) if copy is not None else None


async def _asked(asker: ListAsker, method: Method) -> ServerList:
    """Return the list of a server that is asked now, or what there is in its place."""
    try:
        return await _fetched(asker, method)
    except UpstreamFault as fault:
        return ServerList(None, fault.kind, retry_after_ms=fault.retry_after_ms)


async def _fetched(asker: ListAsker, method: Method) -> ServerList:
    exchange, server = asker.exchange, asker.server
    if server.is_blocked:
        raise faults.blocked()

    async def fetch() -> FetchedList[RawList]:
        try:
            async with asyncio.timeout(SECONDS):
                return await drained(asker, method)
        except TimeoutError as error:
            fault = UpstreamFault(faults.TIMEOUT, f"the server did not answer {method.name} within {SECONDS:g} s")
            server.health.failed(fault)
            if server.breaker is not None:
                server.breaker.note_fault(fault)
            raise fault from error
        finally:
            asker.close()

    config = exchange.proxy.list_cache
    if config is None:
        fetched = await fetch()
        return ServerList(fetched.value, is_private=fetched.hints.is_private)
    request = list_request(exchange, server, method=method.name, revision=asker.revision)
    copy = await RAW_LISTS.get(server, request, config, fetch)
    return ServerList.of(copy, _last_fault(asker) if copy.is_stale else "")


def _last_fault(asker: ListAsker) -> str:
    server = asker.server
    if server.breaker is not None and server.breaker.is_open:
        return faults.CIRCUIT_OPEN
    fault = server.health.fault
    return fault.kind if fault is not None else faults.UNAVAILABLE


async def drained(asker: ListAsker, method: Method) -> FetchedList[RawList]:
    """Ask a server for all pages of a list.

    Raises:
        UpstreamFault: it does not answer all of them in time.
    """
    pages = RawPages(method, most_bytes=asker.exchange.snapshot.settings.bounds.message_bytes)
    hints: CacheHints | None = None
    params: dict[str, Any] = {}
    while True:
        answer = await asker.page(method.name, params, seconds=SECONDS)
        if hints is None and answer.error_code == codes.METHOD_NOT_FOUND:
            return FetchedList(NOTHING)  # it offers nothing of this kind
        result = _result(asker, answer)
        learning = observing(asker.exchange, asker.server, method, answer.text, answer.message)
        await process_large(learning, text=answer.text, proxy=asker.exchange.proxy.uid)
        if asker.exchange.visibility.definitions is not None:
            await note_pinned(asker.exchange, asker.server, method, answer, is_first=not params)
        found = hints_of(result, asker.revision)
        hints = found if hints is None else hints & found
        cursor = _added(pages, result, size=len(answer.text))
        if cursor is None:
            return FetchedList(pages.list(), hints)
        params = {"cursor": cursor}


def _result(asker: ListAsker, answer: ServerAnswer) -> dict[str, Any]:
    fault = fault_of(asker.server, answer)
    if fault is not None:
        raise fault
    return answer.result or {}


def _added(pages: RawPages, result: dict[str, Any], *, size: int) -> str | None:
    try:
        return pages.add(result, size=size)
    except ValueError as error:
        raise UpstreamFault(faults.INVALID, str(error)) from None
