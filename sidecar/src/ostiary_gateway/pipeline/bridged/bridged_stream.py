"""The stream of changes of a legacy session with a modern server.

The server gives it by ``subscriptions/listen``. The client opens it with a GET. The server is asked for changes of its
lists, and of the resources to which the session has subscribed by then.
"""

from typing import Any, Final

from ostiary_core.mcp.methods import METHODS
from ostiary_core.mcp.protocol_revisions import MODERN
from ostiary_gateway.bridge.from_modern import FromModern
from ostiary_gateway.bridge.to_modern import REVISION, LegacyClient, modern_request
from ostiary_gateway.pipeline.bridged.bridged_session import client_of
from ostiary_gateway.pipeline.exchange import Exchange
from ostiary_gateway.pipeline.leg import Leg
from ostiary_gateway.pipeline.merged_sessions.server_sessions import key_of, mark_of
from ostiary_gateway.pipeline.merged_sessions.session_vector import SessionVector
from ostiary_gateway.pipeline.message import Message
from ostiary_gateway.pipeline.response_head import no_stream
from ostiary_gateway.pipeline.send_and_shape import send_and_shape
from ostiary_gateway.pipeline.server_request import own_id
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
    client = await client_of(exchange, services)
    note = await services.sessions.notes.looked_up(key_of(exchange, vector))
    leg.message = listen_message(client, sorted(note.subscriptions.get(mark_of(leg.server), ())))
    leg.translation = FromModern("")
    leg.parameters = {}
    return await send_and_shape(exchange, leg, span, services.shaper, services.request_ids)


def listen_message(client: LegacyClient, uris: list[str]) -> Message:
    """Return the request that a modern server answers with a stream of its changes."""
    wanted: dict[str, Any] = dict(_LISTS)
    if uris:
        wanted["resourceSubscriptions"] = uris
    identifier = own_id()
    body = {"jsonrpc": "2.0", "id": identifier, "method": _LISTEN.name, "params": {"notifications": wanted}}
    return Message(modern_request(body, client), MODERN, REVISION, _LISTEN, identifier)
