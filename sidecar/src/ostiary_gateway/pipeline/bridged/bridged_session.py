"""The session of a legacy client with a server that knows none.

The modern era has no sessions, so the gateway opens one by itself: its id holds what the client declared, and what it
sets later is in the session notes. The answer to ``initialize`` is what the server tells of itself.
"""

import asyncio
from typing import Any, Final

from ostiary_core.mcp import codes
from ostiary_core.mcp.methods import Primitive
from ostiary_core.mcp.protocol_revisions import LEGACY
from ostiary_gateway.bridge.handshake import initialize_result
from ostiary_gateway.bridge.to_modern import LOG_LEVELS, REVISION, LegacyClient
from ostiary_gateway.errors import Refusal, UpstreamFault
from ostiary_gateway.pipeline.bridged.era_discovery import discover
from ostiary_gateway.pipeline.continuations.handle import Owner
from ostiary_gateway.pipeline.exchange import Exchange
from ostiary_gateway.pipeline.http_checks import session_not_found
from ostiary_gateway.pipeline.leg import Leg
from ostiary_gateway.pipeline.merged_sessions.own_answers import result_of_ours
from ostiary_gateway.pipeline.merged_sessions.session_notes import SessionKey
from ostiary_gateway.pipeline.merged_sessions.session_opening import key_of, mark_of
from ostiary_gateway.pipeline.merged_sessions.session_vector import (
    CapabilitiesTooLarge,
    ClientDeclaration,
    SessionVector,
    new_key,
    seal_vector,
)
from ostiary_gateway.pipeline.message_members import bad_params
from ostiary_gateway.pipeline.pinned_definitions.pinned_instructions import approved_description
from ostiary_gateway.pipeline.services import PipelineServices
from ostiary_gateway.server.response import Response
from ostiary_gateway.session_ids import UpstreamSession
from ostiary_gateway.telemetry import ServerSpan
from ostiary_gateway.telemetry.session_counts import SESSIONS
from ostiary_gateway.upstream import faults
from ostiary_gateway.upstream.server import UpstreamServer

_SESSION: Final = "Mcp-Session-Id"


async def initialize(exchange: Exchange, leg: Leg, span: ServerSpan, services: PipelineServices) -> Response:
    """Open a session, and answer with what the server tells of itself.

    Raises:
        Refusal: the server does not answer, or the client declares more than a session can hold.
    """
    params = leg.message.params if leg.message is not None else {}
    try:
        client = ClientDeclaration.read(params)
    except CapabilitiesTooLarge as error:
        raise bad_params(str(error), LEGACY) from None
    try:
        told = await discover(exchange, leg.server, span=span)
    except UpstreamFault as fault:
        raise faults.refusal(fault) from fault
    keeps_notes = services.sessions.notes.are_kept
    told = approved_description(exchange, leg.server, told)
    result = initialize_result(told, asked=params.get("protocolVersion"), keeps_notes=keeps_notes)
    _declare_own_changes(result["capabilities"], exchange)
    servers = {mark_of(leg.server): UpstreamSession("", REVISION)}
    vector = SessionVector(new_key(), result["protocolVersion"], client, servers)
    bound = {"proxy_uid": exchange.proxy.uid, "principal": exchange.principal.id}
    headers = {_SESSION: seal_vector(services.sealer, vector, **bound)}
    SESSIONS.note_opened(exchange.proxy.identity)
    return result_of_ours(exchange, span, result, headers=headers)


def _declare_own_changes(capabilities: dict[str, Any], exchange: Exchange) -> None:
    """Declare ``listChanged`` of governed lists.

    The gateway announces when a policy changes them.
    """
    for primitive in Primitive:
        offered = capabilities.get(primitive.value)
        if isinstance(offered, dict) and primitive in exchange.governed_lists:
            offered["listChanged"] = True


async def client_of(exchange: Exchange, services: PipelineServices) -> LegacyClient:
    """Return what the caller has told of itself in its session.

    Raises:
        Refusal: 404, the client has ended the session.
    """
    vector = exchange.session
    if not isinstance(vector, SessionVector):
        return LegacyClient()
    key, notes = key_of(exchange, vector), services.sessions.notes
    # Another replica may have noted another level since.
    note = notes.known(key) if notes.shared is None else await notes.looked_up(key)
    if note is not None and note.ended:
        raise session_not_found()
    level = note.log_level if note is not None else None
    return LegacyClient(vector.client.capabilities, vector.client.info, level or "")


def answer_owner(exchange: Exchange) -> Owner:
    """Return who may answer a question to the caller: the same principal, in the same session."""
    session = exchange.session.upstream_id if exchange.session is not None else ""
    return Owner(exchange.proxy.uid, f"{len(session)}\n{session}\n{exchange.principal.id}")


async def ping(exchange: Exchange, _leg: Leg, span: ServerSpan, _services: PipelineServices) -> Response:
    """Answer a ping: the session is the gateway's."""
    return result_of_ours(exchange, span, {})


async def set_log_level(exchange: Exchange, leg: Leg, span: ServerSpan, services: PipelineServices) -> Response:
    """Note the log level, which each later request carries.

    Raises:
        Refusal: it is none, or no notes are kept.
    """
    level = leg.message.params.get("level") if leg.message is not None else None
    if not isinstance(level, str) or level not in LOG_LEVELS:
        raise bad_params(f'"params.level" must be one of {", ".join(sorted(LOG_LEVELS))}', LEGACY)
    await services.sessions.notes.note_log_level(_noted_key(exchange, services), level)
    return result_of_ours(exchange, span, {})


async def subscribe(exchange: Exchange, leg: Leg, span: ServerSpan, services: PipelineServices) -> Response:
    """Note a subscription; the session's stream of changes listens for it.

    Raises:
        Refusal: the session has too many, or no notes are kept.
    """
    uri = leg.message.name if leg.message is not None else ""
    key, notes = _noted_key(exchange, services), services.sessions.notes
    if not (await notes.looked_up(key)).has_room_for(uri):
        raise Refusal(200, "TooManySubscriptions", "This session has too many subscriptions", code=codes.LIMITED)
    await notes.note_subscription(key, mark_of(leg.server), uri, subscribed=True)
    await followed(services, key, leg.server)
    return result_of_ours(exchange, span, {})


async def unsubscribe(exchange: Exchange, leg: Leg, span: ServerSpan, services: PipelineServices) -> Response:
    """Forget a subscription.

    Raises:
        Refusal: no notes are kept.
    """
    uri = leg.message.name if leg.message is not None else ""
    key = _noted_key(exchange, services)
    await services.sessions.notes.note_subscription(key, mark_of(leg.server), uri, subscribed=False)
    await followed(services, key, leg.server)
    return result_of_ours(exchange, span, {})


async def followed(services: PipelineServices, key: SessionKey, server: UpstreamServer) -> None:
    """Wait until open streams of a session follow its subscriptions, in all replicas."""
    mark = mark_of(server)
    await asyncio.gather(followed_here(services, key, mark), services.places.tell_streams(key, mark))


async def followed_here(services: PipelineServices, key: SessionKey, mark: bytes) -> None:
    """Wait until open streams in this replica follow a session's subscriptions at a server.

    ``mark`` is the server's fingerprint.
    """
    for stream in services.sessions.following.get(key, ()):
        stream.subscribed_elsewhere(mark)
    await asyncio.gather(*(each.follow() for each in services.subscribed.get((key, mark), ())))


async def end(exchange: Exchange, services: PipelineServices) -> Response:
    """End a session that its client deletes."""
    vector = exchange.session
    if isinstance(vector, SessionVector):
        await services.sessions.notes.note_end(key_of(exchange, vector))
        SESSIONS.note_ended(exchange.proxy.identity)
        return Response(200)
    raise Refusal(400, "NoSession", "DELETE ends a session; name it in Mcp-Session-Id")


def _noted_key(exchange: Exchange, services: PipelineServices) -> SessionKey:
    """Return the key of the session's notes.

    Raises:
        Refusal: there is no session, or the settings keep no notes: then these methods are not offered.
    """
    vector = exchange.session
    if not isinstance(vector, SessionVector) or not services.sessions.notes.are_kept:
        words = "This needs a session, and a gateway that keeps notes of sessions"
        raise Refusal(200, "MethodNotFound", words, code=codes.METHOD_NOT_FOUND)
    return key_of(exchange, vector)
