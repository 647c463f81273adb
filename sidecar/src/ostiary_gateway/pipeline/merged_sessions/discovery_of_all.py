"""``server/discover`` at an endpoint of several servers.

The gateway answers it, whatever its servers do. Every server of which the caller may see something is asked at the same
time: a modern one with ``server/discover``, a legacy one by the handshake of a session that the gateway keeps for the
caller. One that is silent or fails counts as one that may offer anything, so that no client concludes that there are no
tools.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from time import monotonic
from typing import Any, Final

from ostiary_core import strict_json
from ostiary_core.errors import StrictJSONError
from ostiary_core.mcp.meta_keys import META_SERVER_INFO
from ostiary_core.mcp.protocol_revisions import LEGACY, MODERN, MODERN_REVISIONS
from ostiary_gateway.bridge.to_modern import REVISION
from ostiary_gateway.errors import UpstreamFault
from ostiary_gateway.pipeline.bridged.era_discovery import discover, find_eras
from ostiary_gateway.pipeline.exchange import Exchange
from ostiary_gateway.pipeline.lists.caller_context import list_request
from ostiary_gateway.pipeline.lists.fetched_list import CacheHints, FetchedList, hints_of
from ostiary_gateway.pipeline.lists.raw_list_cache import RAW_LISTS
from ostiary_gateway.pipeline.merged_sessions.handshake_of_all import DescribedServer, self_description
from ostiary_gateway.pipeline.merged_sessions.own_answers import modern_result, result_of_ours
from ostiary_gateway.pipeline.merged_sessions.visible_servers import visible_servers
from ostiary_gateway.pipeline.services import PipelineServices
from ostiary_gateway.server.response import Response
from ostiary_gateway.telemetry import ServerSpan
from ostiary_gateway.upstream import faults
from ostiary_gateway.upstream.server import UpstreamServer

#: Seconds within which servers must have answered.
SECONDS: Final = 5.0
_DISCOVER: Final = "server/discover"


@dataclass(frozen=True, slots=True)
class ToldServer:
    """What a server told of itself, and its size in bytes."""

    told: Mapping[str, Any]
    size: int


@dataclass(frozen=True, slots=True)
class _Found:
    """What is known of one server, and for how long; ``told`` is None for one that is missing."""

    told: Mapping[str, Any] | None = None
    ttl_ms: int = 0


async def discover_all(exchange: Exchange, span: ServerSpan, services: PipelineServices) -> Response:
    """Answer with what all servers tell of themselves."""
    places = visible_servers(exchange)
    servers = [exchange.proxy.servers[place] for place in places]
    exchange.request.bind_to_caller()
    try:
        found = await asyncio.gather(*(_told(exchange, server, span, services) for server in servers))
    finally:
        exchange.request.release_from_caller()
    described = [DescribedServer(place, each.told) for place, each in zip(places, found, strict=True)]
    own = self_description(exchange, described, services, era=MODERN)
    result = {
        "supportedVersions": sorted(MODERN_REVISIONS, reverse=True),
        **{name: value for name, value in own.items() if name != "serverInfo"},
        "ttlMs": min((each.ttl_ms for each in found), default=0),
        "cacheScope": "private",  # it depends on what the caller may see
        "_meta": {META_SERVER_INFO: own["serverInfo"]},
    }
    return result_of_ours(exchange, span, modern_result(result))


async def _told(exchange: Exchange, server: UpstreamServer, span: ServerSpan, services: PipelineServices) -> _Found:
    """Return what a server tells of itself, or has told."""
    try:
        return await _asked(exchange, server, span, services)
    except UpstreamFault:
        return _Found()  # it is in the span of the request, and in the server's health


async def _asked(exchange: Exchange, server: UpstreamServer, span: ServerSpan, services: PipelineServices) -> _Found:
    if server.is_blocked:
        raise faults.blocked()

    async def fetch() -> FetchedList[ToldServer]:
        try:
            async with asyncio.timeout(SECONDS):
                return await _fetched(exchange, server, span, services)
        except TimeoutError as error:
            raise UpstreamFault(faults.TIMEOUT, f"the server did not tell of itself within {SECONDS:g} s") from error

    config = exchange.proxy.list_cache
    if config is None:
        return _Found((await fetch()).value.told)
    request = list_request(exchange, server, method=_DISCOVER, revision=REVISION)
    copy = await RAW_LISTS.get(server, request, config, fetch)
    return _Found(copy.value.told, copy.remaining_ms(monotonic()))


async def _fetched(
    exchange: Exchange, server: UpstreamServer, span: ServerSpan, services: PipelineServices
) -> FetchedList[ToldServer]:
    discovery = await find_eras(exchange, server, span=span)
    if discovery.eras.only is LEGACY:
        session = await services.legacy_sessions.acquire(exchange, server, span)
        services.legacy_sessions.release(session)
        return FetchedList(_kept(session.handshake), CacheHints())
    told = discovery.result if discovery.result is not None else await discover(exchange, server, span=span)
    return FetchedList(_kept(told), hints_of(told, REVISION))


def _kept(told: Mapping[str, Any]) -> ToldServer:
    try:
        return ToldServer(told, len(strict_json.dumps(told)))
    except StrictJSONError as error:
        raise UpstreamFault(faults.INVALID, f"what the server tells of itself cannot be written: {error}") from None
