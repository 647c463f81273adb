"""The stream of changes of a legacy session with a modern server.

The server gives it by ``subscriptions/listen``. The client opens it with a GET. The server is asked for changes of its
lists, and by streams of their own for those of resources (:mod:`.subscribed_resources`).
"""

import asyncio
from functools import partial
from typing import Final

from ostiary_core.mcp.methods import METHODS
from ostiary_core.mcp.protocol_revisions import MODERN
from ostiary_gateway.bridge.from_modern import FromModern
from ostiary_gateway.bridge.to_modern import REVISION, LegacyClient, modern_request
from ostiary_gateway.pipeline.bridged.bridged_session import client_of, followed_here
from ostiary_gateway.pipeline.bridged.subscribed_resources import SubscribedResources
from ostiary_gateway.pipeline.caller_stream import CallerStream
from ostiary_gateway.pipeline.exchange import Exchange
from ostiary_gateway.pipeline.leg import Leg
from ostiary_gateway.pipeline.merged_sessions.session_opening import key_of
from ostiary_gateway.pipeline.merged_sessions.session_vector import SessionVector
from ostiary_gateway.pipeline.message import Message
from ostiary_gateway.pipeline.own_request import own_id
from ostiary_gateway.pipeline.response_head import no_stream
from ostiary_gateway.pipeline.send_and_shape import send_and_shape
from ostiary_gateway.pipeline.services import PipelineServices
from ostiary_gateway.server.response import Response
from ostiary_gateway.telemetry import ServerSpan

_LISTEN: Final = METHODS["subscriptions/listen"]
_LISTS: Final = {"toolsListChanged": True, "promptsListChanged": True, "resourcesListChanged": True}


async def relay_changes(exchange: Exchange, leg: Leg, span: ServerSpan, services: PipelineServices) -> Response | None:
    """Relay the changes that a server tells of, until it or the client ends the stream.

    Raises:
        Refusal: 405, the server tells of no changes, or the client has no session.
        CallerGone: the client disconnected.
    """
    vector = exchange.session
    if not isinstance(vector, SessionVector) or "last-event-id" in exchange.request.headers:
        raise no_stream()  # what a bridged stream has sent cannot be sent again
    leg.message = listen_message(await client_of(exchange, services))
    leg.translation = FromModern("")
    leg.parameters = {}
    tasks: list[asyncio.Task[None]] = []
    key = key_of(exchange, vector)

    def follow(stream: CallerStream) -> None:
        resources = SubscribedResources(
            exchange,
            leg.server,
            key=key,
            to=stream,
            span=span,
            services=services,
            translation=FromModern(""),
        )
        tasks.append(asyncio.ensure_future(resources.run()))

    leg.on_stream = follow
    try:
        async with services.places.stream(key, partial(followed_here, services, key)):
            return await send_and_shape(exchange, leg, span, services.shaper, services.request_ids)
    finally:
        leg.on_stream = None  # it holds the exchange, which holds the leg
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def listen_message(client: LegacyClient) -> Message:
    """Return the request that a modern server answers with a stream of changes of its lists."""
    identifier = own_id()
    params = {"notifications": dict(_LISTS)}
    body = {"jsonrpc": "2.0", "id": identifier, "method": _LISTEN.name, "params": params}
    return Message(modern_request(body, client), MODERN, REVISION, _LISTEN, identifier)
