"""``initialize`` at an endpoint of several servers.

The gateway answers it, whatever its servers do.

Every server of which the caller may see something is initialized at the same time. One that is not ready in time, or
refuses, is initialized when it is first needed (:mod:`.server_sessions`): until then it counts as one that may offer
anything, so that no client concludes that there are no tools.
"""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from ostiary_core.mcp.protocol_revisions import LEGACY, Era
from ostiary_gateway.bridge.handshake import negotiated_revision
from ostiary_gateway.catalogue.capabilities import unite
from ostiary_gateway.catalogue.joined_instructions import ServerInstructions, join
from ostiary_gateway.errors import UpstreamFault
from ostiary_gateway.pipeline.exchange import Exchange
from ostiary_gateway.pipeline.merged_sessions.own_answers import result_of_ours
from ostiary_gateway.pipeline.merged_sessions.session_opening import OpenedSession, key_of, mark_of, open_session_at
from ostiary_gateway.pipeline.merged_sessions.session_vector import (
    CapabilitiesTooLarge,
    ClientDeclaration,
    SessionVector,
    fitted,
    new_key,
    seal_vector,
)
from ostiary_gateway.pipeline.merged_sessions.visible_servers import sees_whole, visible_servers
from ostiary_gateway.pipeline.message_members import bad_params
from ostiary_gateway.pipeline.pinned_definitions.pinned_instructions import approved_description
from ostiary_gateway.pipeline.server_request import GATEWAY_INFO
from ostiary_gateway.pipeline.services import PipelineServices
from ostiary_gateway.server.response import Response
from ostiary_gateway.telemetry import ServerSpan
from ostiary_gateway.telemetry.session_counts import SESSIONS

#: Seconds within which servers must have answered.
SECONDS: Final = 5.0
_SESSION: Final = "Mcp-Session-Id"


class DescribedServer(NamedTuple):
    """What a server told of itself, None where it is missing.

    ``place`` is its place in the order of the spec.
    """

    place: int
    told: Mapping[str, Any] | None

    @property
    def capabilities(self) -> Mapping[str, Any] | None:
        """What it declares, None where it is missing."""
        if self.told is None:
            return None
        found = self.told.get("capabilities")
        return found if isinstance(found, dict) else {}


async def initialize(exchange: Exchange, span: ServerSpan, services: PipelineServices) -> Response:
    """Open a session with all servers that the caller may see something of.

    Raises:
        Refusal: the client declares more than a session can hold.
    """
    params = exchange.message.params if exchange.message is not None else {}
    try:
        client = ClientDeclaration.read(params)
    except CapabilitiesTooLarge as error:
        raise bad_params(str(error), LEGACY) from None
    revision = negotiated_revision(params.get("protocolVersion"))
    places = visible_servers(exchange)
    opened = await _open_all(exchange, places, client, revision, span)
    vector = await _noted(exchange, services, _vector(exchange, client, revision, opened))
    described = [DescribedServer(place, opened[place].result if place in opened else None) for place in places]
    SESSIONS.note_opened(exchange.proxy.identity)
    sealed = seal_vector(services.sealer, vector, proxy_uid=exchange.proxy.uid, principal=exchange.principal.id)
    result = {"protocolVersion": revision, **self_description(exchange, described, services, era=LEGACY)}
    return result_of_ours(exchange, span, result, headers={_SESSION: sealed})


def self_description(
    exchange: Exchange, servers: Sequence[DescribedServer], services: PipelineServices, *, era: Era
) -> dict[str, Any]:
    """Return what an endpoint tells of itself.

    The capabilities, name and instructions of its servers as one.
    """
    keeps_notes = services.sessions.notes.are_kept
    found: dict[str, Any] = {
        "capabilities": unite([each.capabilities for each in servers], era=era, keeps_notes=keeps_notes),
        "serverInfo": dict(GATEWAY_INFO),
    }
    instructions = _instructions(exchange, servers)
    return {**found, "instructions": instructions} if instructions else found


def _instructions(exchange: Exchange, servers: Sequence[DescribedServer]) -> str | None:
    config = exchange.proxy.merge.instructions if exchange.proxy.merge is not None else None
    if config is not None and config.mode != "Merge":
        return config.text if config.mode == "Replace" else None
    prefixes = exchange.proxy.merge.catalogue.servers if exchange.proxy.merge is not None else ()
    return join(
        ServerInstructions(
            exchange.proxy.servers[each.place].name,
            prefixes[each.place][1] if prefixes else "",
            approved_description(exchange, exchange.proxy.servers[each.place], each.told).get("instructions"),
        )
        for each in servers
        if each.told is not None and sees_whole(exchange, each.place, each.capabilities or {})
    )


async def _open_all(
    exchange: Exchange, places: Sequence[int], client: ClientDeclaration, revision: str, span: ServerSpan
) -> dict[int, OpenedSession]:
    """Initialize servers at the same time.

    Return the sessions of those that were ready, by their place.
    """

    async def open_at(place: int) -> OpenedSession | None:
        server = exchange.proxy.servers[place]
        if server.is_blocked:
            return None
        try:
            return await open_session_at(exchange, server, client, revision=revision, span=span, seconds=SECONDS)
        except UpstreamFault:
            return None  # it is in the span of the handshake, and in the server's health

    found = await asyncio.gather(*map(open_at, places))
    return {place: opened for place, opened in zip(places, found, strict=True) if opened is not None}


def _vector(
    exchange: Exchange, client: ClientDeclaration, revision: str, opened: Mapping[int, OpenedSession]
) -> SessionVector:
    servers = exchange.proxy.servers
    sessions = {mark_of(servers[place]): each.session for place, each in opened.items()}
    return SessionVector(new_key(), revision, client, sessions)


async def _noted(exchange: Exchange, services: PipelineServices, whole: SessionVector) -> SessionVector:
    """Return the vector that fits into a session id; what does not is noted."""
    vector = fitted(whole)
    key = key_of(exchange, vector)
    for mark in sorted(vector.noted):
        await services.sessions.notes.note_server(key, mark, whole.servers[mark])
    return vector
