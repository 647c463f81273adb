"""Send a leg to one server with several endpoints, in the session that one of them has.

The server's session is the client's own, so messages pass as they come. A request that finds its endpoint gone goes to
another one, which is initialized before with what the client declared and has set. What a client only tells its server
opens no session: a new one has nothing to do with it.
"""

from functools import partial
from typing import Final

from ostiary_gateway.errors import Refusal, UpstreamFault
from ostiary_gateway.pipeline.bridged import era_fallback
from ostiary_gateway.pipeline.exchange import Exchange
from ostiary_gateway.pipeline.http_checks import is_session_not_found, session_not_found
from ostiary_gateway.pipeline.leg import Leg
from ostiary_gateway.pipeline.merged_sessions.event_ids import StreamOf
from ostiary_gateway.pipeline.merged_sessions.own_answers import accepted, result_of_ours
from ostiary_gateway.pipeline.merged_sessions.session_legs import enter, send_and_renew
from ostiary_gateway.pipeline.merged_sessions.session_opening import key_of
from ostiary_gateway.pipeline.merged_sessions.session_vector import SessionVector
from ostiary_gateway.pipeline.merged_sessions.subscriptions import SUBSCRIBE, UNSUBSCRIBE, asked, subscribe
from ostiary_gateway.pipeline.pinned_sessions.pinned_events import PinnedEventIds, event_of, is_of, stream_is_lost
from ostiary_gateway.pipeline.pinned_sessions.pinned_session import declared_in
from ostiary_gateway.pipeline.pinned_sessions.session_endpoint import is_by_name, is_gone, lost_with
from ostiary_gateway.pipeline.pinned_sessions.stream_reopening import StreamReopening
from ostiary_gateway.pipeline.pinned_sessions.unpinned_sessions import send_to_any
from ostiary_gateway.pipeline.send_and_shape import send_and_shape
from ostiary_gateway.pipeline.services import PipelineServices
from ostiary_gateway.server.response import Response
from ostiary_gateway.session_ids import UpstreamSession
from ostiary_gateway.telemetry import ServerSpan
from ostiary_gateway.telemetry.session_counts import SESSIONS
from ostiary_gateway.upstream import faults

_SET_LEVEL: Final = "logging/setLevel"
_SUBSCRIPTIONS: Final = frozenset({SUBSCRIBE, UNSUBSCRIBE})


def follow_endpoints(exchange: Exchange, leg: Leg, span: ServerSpan, services: PipelineServices) -> None:
    """Let a stream that stays open go on where the endpoint that has it ends."""
    if leg.server.endpoints is not None and exchange.stays_open:
        leg.reopening = StreamReopening(exchange, leg, span, services)
        leg.is_kept = leg.message is not None


async def send_to_endpoint(
    exchange: Exchange, leg: Leg, span: ServerSpan, services: PipelineServices
) -> Response | None:
    """Send a leg, in the session of its client if that has one that is pinned to an endpoint.

    Raises:
        Refusal: the server failed before a response began, or the session has ended.
        CallerGone: the caller disconnected.
    """
    if isinstance(exchange.session, SessionVector):
        return await _send_in_session(exchange, exchange.session, leg, span, services)
    try:
        return await _send(exchange, leg, span, services)
    except Refusal as refusal:
        if not lost_with(refusal, leg.session):
            raise
    raise session_not_found()  # its id does not hold what another endpoint would have to be told


async def _send(exchange: Exchange, leg: Leg, span: ServerSpan, services: PipelineServices) -> Response | None:
    """Send a leg outside of a session, or in one that cannot go on at another endpoint."""
    follow_endpoints(exchange, leg, span, services)
    if is_gone(leg.server, leg.session) and leg.session is not None:
        # The server's own id holds the session, as far as one can know: another endpoint may go on with it.
        leg.session = UpstreamSession(leg.session.upstream_id, leg.session.revision)
    endpoints, session = leg.server.endpoints, leg.session
    if endpoints is not None and session is not None and not session.endpoint and not is_by_name(leg.server):
        return await send_to_any(exchange, leg, endpoints, session, span, services)
    if era_fallback.is_settled(exchange, leg):
        return await send_and_shape(exchange, leg, span, services.shaper, services.request_ids)
    message = leg.message
    if message is not None and message.method_name == "initialize" and services.sessions.notes.are_kept:
        leg.declared = declared_in(message.params)
    return await era_fallback.send(exchange, leg, span, services)


async def _send_in_session(
    exchange: Exchange, vector: SessionVector, leg: Leg, span: ServerSpan, services: PipelineServices
) -> Response | None:
    message = leg.message
    if message is None:
        if exchange.request.method == "DELETE":
            return await _end(exchange, vector, leg, span, services)
        return await _open_stream(exchange, leg, span, services)
    if not message.is_request:
        return await _tell(exchange, vector, leg, span, services)
    if message.method_name in _SUBSCRIPTIONS:
        return await subscribe(exchange, leg, span, services)
    if message.method_name == _SET_LEVEL:
        return await _set_log_level(exchange, vector, leg, span, services)
    await enter(exchange, leg, span, services)
    stream = StreamOf(exchange.request_id) if exchange.request_id is not None else None
    name_events = partial(_name_events, leg, stream)
    name_events()
    return await send_and_renew(exchange, leg, span, services, on_renewed=name_events)


async def _tell(
    exchange: Exchange, vector: SessionVector, leg: Leg, span: ServerSpan, services: PipelineServices
) -> Response | None:
    """Send a notification or a client's response to the endpoint that has the session.

    Another replica may know of another session, and of none that this one knows.
    """
    for look_up in (False, True):
        if look_up:
            await services.sessions.notes.looked_up(key_of(exchange, vector))
        before, leg.session = leg.session, services.sessions.at_hand(exchange, leg.server)
        if leg.session is None or leg.session == before or is_gone(leg.server, leg.session):
            continue
        if leg.message is not None:
            leg.message.revision = leg.session.revision
        leg.is_kept = True
        try:
            return await send_and_shape(exchange, leg, span, services.shaper, services.request_ids)
        except Refusal as refusal:
            if not _is_lost(refusal, leg):
                raise
    return accepted()


async def _set_log_level(
    exchange: Exchange, vector: SessionVector, leg: Leg, span: ServerSpan, services: PipelineServices
) -> Response:
    """Set the log level at the server, and note it: another endpoint is told it again."""
    level = leg.message.params.get("level") if leg.message is not None else None
    try:
        if (error := await asked(exchange, leg, span, services)) is not None:
            return error
        if isinstance(level, str):
            await services.sessions.notes.note_log_level(key_of(exchange, vector), level)
        return result_of_ours(exchange, span, {})
    except UpstreamFault as fault:
        raise faults.refusal(fault) from fault


async def _end(
    exchange: Exchange, vector: SessionVector, leg: Leg, span: ServerSpan, services: PipelineServices
) -> Response | None:
    """End the session at the endpoint that has it, and with us.

    Raises:
        Refusal: the server does not let clients end sessions, or failed.
    """
    leg.session = services.sessions.at_hand(exchange, leg.server)
    response: Response | None = None
    if leg.session is not None and not is_gone(leg.server, leg.session):
        try:
            response = await send_and_shape(exchange, leg, span, services.shaper, services.request_ids)
        except Refusal as refusal:
            if not _is_lost(refusal, leg):
                raise
    if response is None:
        SESSIONS.note_ended(exchange.proxy.identity)
    if response is None or response.status < 300:
        await services.sessions.notes.note_end(key_of(exchange, vector))
    return response or Response(200)


async def _open_stream(exchange: Exchange, leg: Leg, span: ServerSpan, services: PipelineServices) -> Response | None:
    """Open the session's stream, or resume one at the endpoint that has it."""
    await enter(exchange, leg, span, services)
    event = event_of(exchange.request.headers.get("last-event-id"))
    stream = event.stream if event is not None else None
    is_known = event is not None and leg.session is not None and is_of(event, leg.session)
    leg.last_event_id = event.own if event is not None and is_known else ""
    if stream is not None:
        return await _resume(exchange, leg, stream, span, services) if is_known else stream_is_lost(stream, span)
    follow_endpoints(exchange, leg, span, services)
    _name_events(leg, None)

    def begin_again() -> None:
        leg.last_event_id = ""
        _name_events(leg, None)

    return await send_and_renew(exchange, leg, span, services, on_renewed=begin_again)


async def _resume(
    exchange: Exchange, leg: Leg, stream: StreamOf, span: ServerSpan, services: PipelineServices
) -> Response | None:
    """Resume the stream of a call, which only the endpoint that has the session knows."""
    _name_events(leg, stream)
    try:
        return await send_and_shape(exchange, leg, span, services.shaper, services.request_ids)
    except Refusal as refusal:
        if not _is_lost(refusal, leg):
            raise
    return stream_is_lost(stream, span)


def _name_events(leg: Leg, stream: StreamOf | None) -> None:
    if leg.session is not None:
        leg.event_ids = PinnedEventIds(leg.session, stream)


def _is_lost(refusal: Refusal, leg: Leg) -> bool:
    return is_session_not_found(refusal) or lost_with(refusal, leg.session)
