"""``resources/subscribe`` and ``unsubscribe`` of a session with several servers.

The server that owns the resource is asked, and what it accepts is noted: a server that has to be initialized again is
told it again.
"""

from typing import Final

from ostiary_core.mcp import codes
from ostiary_core.mcp.protocol_revisions import MODERN_REVISIONS
from ostiary_gateway.errors import Refusal, UpstreamFault
from ostiary_gateway.pipeline.bridged.bridged_session import followed
from ostiary_gateway.pipeline.exchange import Exchange
from ostiary_gateway.pipeline.leg import Leg
from ostiary_gateway.pipeline.merged_sessions.own_answers import error_of_server, result_of_ours
from ostiary_gateway.pipeline.merged_sessions.session_notes import MOST_SUBSCRIPTIONS
from ostiary_gateway.pipeline.merged_sessions.session_opening import key_of, mark_of
from ostiary_gateway.pipeline.merged_sessions.session_vector import SessionVector
from ostiary_gateway.pipeline.server_answer import fault_of
from ostiary_gateway.pipeline.services import PipelineServices
from ostiary_gateway.server.response import Response
from ostiary_gateway.telemetry import ServerSpan
from ostiary_gateway.upstream import faults

SUBSCRIBE: Final = "resources/subscribe"
UNSUBSCRIBE: Final = "resources/unsubscribe"


async def subscribe(exchange: Exchange, leg: Leg, span: ServerSpan, services: PipelineServices) -> Response:
    """Subscribe to a resource, or end that, and return the server's answer.

    Raises:
        Refusal: the server failed, the session has too many subscriptions, or no notes are kept.
    """
    message, vector, notes = leg.message, exchange.session, services.sessions.notes
    if message is None or message.method is None or not isinstance(vector, SessionVector) or not notes.are_kept:
        words = "Subscriptions need a session here, and a gateway that keeps notes of sessions"
        raise Refusal(200, "MethodNotFound", words, code=codes.METHOD_NOT_FOUND)
    key, uri, is_new = key_of(exchange, vector), message.name, message.method.name == SUBSCRIBE
    if is_new and not (await notes.looked_up(key)).has_room_for(uri):
        words = f"A session may have {MOST_SUBSCRIPTIONS} subscriptions"
        raise Refusal(200, "TooManySubscriptions", words, code=codes.LIMITED)
    try:
        session = await services.sessions.obtain(exchange, leg.server, span=span)
        is_modern = session is not None and session.revision in MODERN_REVISIONS
        if not is_modern and (error := await asked(exchange, leg, span, services)) is not None:
            return error
        await notes.note_subscription(key, mark_of(leg.server), uri, subscribed=is_new)
        if is_modern:
            await followed(services, key, leg.server)
        return result_of_ours(exchange, span, {})
    except UpstreamFault as fault:
        raise faults.refusal(fault) from fault


async def asked(exchange: Exchange, leg: Leg, span: ServerSpan, services: PipelineServices) -> Response | None:
    """Send the server what a client sets; return its error, None where it accepts.

    Raises:
        UpstreamFault: it failed.
        Refusal: 404, the client has ended the session.
    """
    message = leg.message
    if message is None or message.method is None:
        return None
    params = {name: each for name, each in message.params.items() if name != "_meta"}
    answer = await services.sessions.ask(
        exchange, leg.server, message.method.name, params, span=span, seconds=leg.server.request_seconds
    )
    if answer.error_code is not None:
        return error_of_server(exchange, span, answer.message["error"])
    if (fault := fault_of(leg.server, answer)) is not None:
        raise fault
    return None
