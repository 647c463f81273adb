"""Send a request in its client's own era, and bridge it where the server refuses that era.

A server that has answered in an era once is sent to without any of this. What a server refuses is relayed as it came,
unless the server itself tells that it speaks the other era only.
"""

from typing import Final

from ostiary_core import strict_json
from ostiary_core.mcp import codes
from ostiary_core.mcp.methods import METHODS
from ostiary_core.mcp.protocol_revisions import LEGACY
from ostiary_gateway.errors import Refusal, UpstreamFault
from ostiary_gateway.pipeline.bridged.bridge_choice import choose_bridge, era_of, set_bridge
from ostiary_gateway.pipeline.bridged.era_discovery import error_in, find_eras, settle_handshake
from ostiary_gateway.pipeline.bridged.legacy_client_bridge import LEGACY_CLIENT
from ostiary_gateway.pipeline.bridged.legacy_server import LEGACY_SERVER
from ostiary_gateway.pipeline.exchange import Exchange
from ostiary_gateway.pipeline.large_messages import process_large
from ostiary_gateway.pipeline.leg import Leg
from ostiary_gateway.pipeline.merged_sessions.session_vector import SessionVector
from ostiary_gateway.pipeline.message import Message
from ostiary_gateway.pipeline.send_and_shape import send_and_shape
from ostiary_gateway.pipeline.services import PipelineServices
from ostiary_gateway.server.response import Response
from ostiary_gateway.telemetry import ServerSpan
from ostiary_gateway.upstream.server import UpstreamServer
from ostiary_gateway.upstream.server_eras import refuses_era

#: What clients ask first: a server that has changed refuses it, whatever it answered before.
_INITIALIZE: Final = METHODS["initialize"]
_DISCOVER: Final = METHODS["server/discover"]
#: How a bridge fails whose server does not take the other era either.
_UNUSABLE: Final = frozenset({codes.UPSTREAM_UNAVAILABLE, codes.UPSTREAM_INVALID})


def is_settled(exchange: Exchange, leg: Leg) -> bool:
    """Return whether a request can be sent in its own era without further thought."""
    message = exchange.message
    if message is None or message.id is None:
        return True
    # By identity: this is part of every call, and the hash of a row of the table is that of all its members.
    if message.method is _INITIALIZE or message.method is _DISCOVER:
        return False
    return message.era in leg.server.eras.spoken


async def send(exchange: Exchange, leg: Leg, span: ServerSpan, services: PipelineServices) -> Response | None:
    """Send a request in its own era; bridge it if the server speaks only the other.

    Raises:
        Refusal: the server failed before a response began.
        CallerGone: the caller disconnected.
    """
    message = leg.message
    if message is None:
        return await send_and_shape(exchange, leg, span, services.shaper, services.request_ids)
    leg.is_kept = True  # as text: parsed, it takes up to twenty times as much, and the response may take long
    refused: Refusal | None = None
    response: Response | None = None
    try:
        response = await send_and_shape(exchange, leg, span, services.shaper, services.request_ids)
    except Refusal as refusal:
        fault = refusal.__cause__
        status = fault.http_status if isinstance(fault, UpstreamFault) else 0
        if not status or not refuses_era(message.method_name, status, None):
            raise
        refused = refusal
    if refused is None and (response is None or not _refuses_era(message, response)):
        _note_accepted(leg.server, message, response)
        return response
    if await _needs_bridge(exchange, leg, message, span) and leg.bridge is not None:
        told = span.error_type, span.rpc_code
        span.begin_again()
        try:
            return await leg.bridge.carry_out(exchange, leg, span, services)
        except Refusal as failure:
            # A server that takes neither era: what it said to the client's own one tells more.
            if failure.code not in _UNUSABLE or exchange.request.connection.stream is not None:
                raise
            span.error_type, span.rpc_code = told
    if refused is not None:
        raise refused
    return response


def is_outdated(leg: Leg) -> bool:
    """Return whether the verdict because of which a leg has a bridge is too old."""
    return (leg.bridge is LEGACY_CLIENT or leg.bridge is LEGACY_SERVER) and not leg.server.eras.is_fresh


async def send_again(exchange: Exchange, leg: Leg, span: ServerSpan, services: PipelineServices) -> Response | None:
    """Ask a server again which eras it speaks, and send a leg accordingly.

    It has no bridge if it no longer needs one. A session that was opened through a bridge keeps it.

    Raises:
        Refusal: the server failed before a response began.
        CallerGone: the caller disconnected.
    """
    await find_eras(exchange, leg.server, span=span)
    needs_bridge = leg.server.eras.only not in (None, era_of(exchange)) or isinstance(exchange.session, SessionVector)
    if needs_bridge and leg.bridge is not None:
        return await leg.bridge.carry_out(exchange, leg, span, services)
    leg.bridge, leg.session = None, exchange.session
    return await send(exchange, leg, span, services)


def _note_accepted(server: UpstreamServer, message: Message, response: Response | None) -> None:
    """Note that a server answers in the era of a message, if it does so with a result."""
    if response is not None and (response.status != 200 or error_in(response) is not None):
        return
    server.eras.note_spoken(message.era)
    if message.method_name == "initialize":
        server.eras.accepted_handshake()


async def _needs_bridge(exchange: Exchange, leg: Leg, message: Message, span: ServerSpan) -> bool:
    """Return whether a refused request is to be bridged; then the leg has the bridge."""
    server = leg.server
    if server.eras.current.speaks(message.era):
        server.eras.doubt()
    eras = (await find_eras(exchange, server, span=span)).eras
    if message.era is LEGACY and eras.modern and eras.legacy is None:
        await settle_handshake(exchange, server, span=span)
    only = server.eras.only
    if only is None or only is message.era:
        return False
    await _restore_body(exchange, leg, message)
    if exchange.proxy.names is None:
        choose_bridge(exchange, leg)
    if leg.bridge is None:
        set_bridge(leg, message.era)
    return True


async def _restore_body(exchange: Exchange, leg: Leg, message: Message) -> None:
    """Give a message the body back that was sent, and keep it no longer."""
    text, leg.sent, leg.is_kept = leg.sent, None, False
    if text is not None:
        message.body = await process_large(strict_json.loading(text), text=text, proxy=exchange.proxy.uid)


def _refuses_era(message: Message, response: Response) -> bool:
    return refuses_era(message.method_name, response.status, error_in(response))
