"""What a client of several servers says to all of them.

Notifications, the log level, and that it ends its session. A server that fails to hear one of these hears it when it is
initialized again, or never had a use for it: the client gets the same answer in either case. In no case is a session
opened for it.
"""

import asyncio
from collections.abc import Iterator
from typing import Final

from ostiary_core.mcp import codes
from ostiary_core.mcp.protocol_revisions import LEGACY_REVISIONS
from ostiary_gateway.bridge.to_modern import LOG_LEVELS
from ostiary_gateway.errors import Refusal, UpstreamFault
from ostiary_gateway.pipeline.bridged.legacy_client_bridge import CANCELLED, cancel
from ostiary_gateway.pipeline.exchange import Exchange
from ostiary_gateway.pipeline.merged_sessions.own_answers import accepted, result_of_ours
from ostiary_gateway.pipeline.merged_sessions.session_opening import in_session, key_of
from ostiary_gateway.pipeline.merged_sessions.session_vector import SessionVector
from ostiary_gateway.pipeline.merged_sessions.visible_servers import visible_servers
from ostiary_gateway.pipeline.own_request import OwnRequest
from ostiary_gateway.pipeline.pinned_sessions.session_endpoint import is_gone
from ostiary_gateway.pipeline.server_request import ask
from ostiary_gateway.pipeline.server_streams import end_session
from ostiary_gateway.pipeline.services import PipelineServices
from ostiary_gateway.server.response import Response
from ostiary_gateway.session_ids import UpstreamSession
from ostiary_gateway.telemetry import ServerSpan
from ostiary_gateway.telemetry.session_counts import SESSIONS
from ostiary_gateway.upstream.server import UpstreamServer

#: Seconds that telling all servers may take.
SECONDS: Final = 5.0


async def ping(exchange: Exchange, span: ServerSpan, _services: PipelineServices) -> Response:
    """Answer a ping: it asks for the gateway's own life, which no server decides."""
    return result_of_ours(exchange, span, {})


async def notify(exchange: Exchange, span: ServerSpan, services: PipelineServices) -> Response:
    """Pass a notification on to every server with which the client has a session."""
    message = exchange.message
    if message is not None and message.method is not None:
        params = {name: each for name, each in message.params.items() if name != "_meta"}
        requests = [params, *({**params, "requestId": each} for each in exchange.cancels_too)]
        name = message.method.name
        if name == CANCELLED:
            cancel(exchange, services)
        await _tell(
            exchange,
            [
                (server, in_session(session, name, each))
                for server, session in _heard_by(exchange, services)
                for each in requests
            ],
            span,
        )
    return accepted()


async def set_log_level(exchange: Exchange, span: ServerSpan, services: PipelineServices) -> Response:
    """Note the log level, and tell every server.

    Raises:
        Refusal: -32602 for a level that the specification does not have.
    """
    level = exchange.message.params.get("level") if exchange.message is not None else None
    if not isinstance(level, str) or level not in LOG_LEVELS:
        words = f'"params.level" must be one of {", ".join(sorted(LOG_LEVELS))}'
        raise Refusal(200, "InvalidParams", words, code=codes.INVALID_PARAMS, silent=True)
    told = [
        (server, in_session(session, "logging/setLevel", {"level": level}))
        for server, session in _heard_by(exchange, services)
    ]
    await _tell(exchange, told, span)
    if isinstance(exchange.session, SessionVector):
        await services.sessions.notes.note_log_level(key_of(exchange, exchange.session), level)
    return result_of_ours(exchange, span, {})


async def delete_sessions(exchange: Exchange, span: ServerSpan, services: PipelineServices) -> Response:
    """End a session: with every server, and with us."""
    vector = exchange.session
    if not isinstance(vector, SessionVector):
        return Response(405, b"", {"Allow": "POST, GET"})
    key = key_of(exchange, vector)
    for stream in tuple(services.sessions.following.get(key, ())):
        stream.end()  # first: what it still asks servers would break off
    ending = [
        end_session(exchange, server, session, span=span, seconds=SECONDS)
        for server, session in open_sessions(exchange, services)
        if session.upstream_id
    ]
    await services.sessions.notes.note_end(key)
    SESSIONS.note_ended(exchange.proxy.identity)
    await asyncio.gather(*ending, return_exceptions=True)
    return Response(200)


def open_sessions(exchange: Exchange, services: PipelineServices) -> Iterator[tuple[UpstreamServer, UpstreamSession]]:
    """Yield the servers with which this replica knows a session with a handshake.

    Servers of the newest revision have none, and are told in each request.

    Raises:
        Refusal: 404, the client has ended its session.
    """
    for server in exchange.proxy.servers:
        session = services.sessions.at_hand(exchange, server)
        if session is None or session.revision not in LEGACY_REVISIONS:
            continue
        if not server.is_blocked and not is_gone(server, session):
            yield server, session


def _heard_by(exchange: Exchange, services: PipelineServices) -> Iterator[tuple[UpstreamServer, UpstreamSession]]:
    """Yield those of the open sessions whose servers are there for the caller now.

    Rules and policies may have changed since a session was opened: a server that the caller has lost hears only that
    the session ends.

    Raises:
        Refusal: 404, the client has ended its session.
    """
    seen = {exchange.proxy.servers[place] for place in visible_servers(exchange)}
    return ((server, session) for server, session in open_sessions(exchange, services) if server in seen)


async def _tell(
    exchange: Exchange,
    told: list[tuple[UpstreamServer, OwnRequest]],
    span: ServerSpan,
) -> None:
    """Send requests or notifications at the same time.

    What fails is in its span and in the server's health.
    """

    async def tell(server: UpstreamServer, request: OwnRequest) -> None:
        await ask(exchange, server, request, span=span, seconds=SECONDS)

    for found in await asyncio.gather(*(tell(*each) for each in told), return_exceptions=True):
        if isinstance(found, BaseException) and not isinstance(found, UpstreamFault):
            raise found
