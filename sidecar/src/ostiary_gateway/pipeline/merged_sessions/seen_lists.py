"""What a caller sees of each list: it is told of a change only if it sees one.

A server may say that its tools changed because one was added that this caller may not see, or say it a thousand times a
second. Before a caller is told, its view of the list is made again and compared. The lists come from the cache that
all callers of a server share (:mod:`ostiary_gateway.pipeline.lists`), so many streams ask a server once.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import partial
from typing import Final

from ostiary_core.mcp.methods import LISTS, Method, Primitive, Verb
from ostiary_gateway.catalogue.merged_list import digesting
from ostiary_gateway.catalogue.raw_list import RawList
from ostiary_gateway.config.server_selection import MergeRuntime
from ostiary_gateway.limits.reservation import Reservation
from ostiary_gateway.pipeline.exchange import Exchange
from ostiary_gateway.pipeline.large_messages import process_sized
from ostiary_gateway.pipeline.merged.server_lists import ServerList, lists_of
from ostiary_gateway.pipeline.services import PipelineServices
from ostiary_gateway.telemetry import ServerSpan

LIST_METHODS: Final[Mapping[Primitive, tuple[Method, ...]]] = {
    primitive: tuple(method for method in LISTS.values() if method.primitive is primitive) for primitive in Primitive
}


class SeenLists:
    """What the caller of one stream has seen of each list, as digests."""

    def __init__(self) -> None:
        self._seen: dict[str, bytes] = {}

    async def changes(
        self, exchange: Exchange, primitives: Iterable[Primitive], span: ServerSpan, services: PipelineServices
    ) -> frozenset[Primitive]:
        """Return which of the lists the caller sees otherwise than before, as far as that is known.

        A list that no server has now counts as unchanged: it is not an empty one. Where rules route, lists are not
        compared: which one the caller gets depends on its request.

        Raises:
            Refusal: the caller has ended its session.
        """
        found = set()
        for primitive in primitives:
            if exchange.proxy.merge is None:
                if exchange.visibility.may_use_some(primitive, Verb.LIST):
                    found.add(primitive)
            elif await self._has_changed(exchange, exchange.proxy.merge, primitive, span, services):
                found.add(primitive)
        return frozenset(found)

    async def _has_changed(
        self,
        exchange: Exchange,
        merge: MergeRuntime,
        primitive: Primitive,
        span: ServerSpan,
        services: PipelineServices,
    ) -> bool:
        changed = False
        for method in LIST_METHODS[primitive]:
            seen = await _digest(exchange, merge, method, span, services)
            if seen is not None:
                changed = changed or self._seen.get(method.name) != seen
                self._seen[method.name] = seen
        return changed


async def _digest(
    exchange: Exchange, merge: MergeRuntime, method: Method, span: ServerSpan, services: PipelineServices
) -> bytes | None:
    """Return a digest of a list as the caller sees it; None where no server has one now."""
    servers = range(len(exchange.proxy.servers))
    primitive = method.primitive
    assert primitive is not None  # noqa: S101  every list has one
    visible = [place for place in servers if exchange.visibility.may_use_some(primitive, Verb.LIST, server=place)]
    reservation = Reservation()
    reservation.counters = exchange.reservation.counters
    try:
        # The stream may be open for days: what its questions take is released after each.
        lists = await lists_of(replace(exchange, reservation=reservation), method, tuple(visible), span, services)
    finally:
        reservation.add_bytes(-reservation.bytes)
    raw = [_raw(lists.get(place)) for place in servers]
    if visible and all(each is None for each in raw):
        return None
    size = sum(each.size for each in raw if each is not None)
    steps = digesting(merge.catalogue, method, raw, partial(exchange.visibility.shows, primitive))
    return await process_sized(steps, size=size, proxy=exchange.proxy.uid)


def _raw(found: ServerList | None) -> RawList | None:
    return found.raw if found is not None else None
