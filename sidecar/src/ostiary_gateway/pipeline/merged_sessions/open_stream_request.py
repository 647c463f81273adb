"""GET at an endpoint of several servers.

Resume the stream of one request, or open the stream of changes.
"""

from typing import Final

from ostiary_gateway.pipeline.blocks import check_server_blocked
from ostiary_gateway.pipeline.exchange import Exchange
from ostiary_gateway.pipeline.leg import Leg
from ostiary_gateway.pipeline.merged_sessions.change_stream import ChangeStream
from ostiary_gateway.pipeline.merged_sessions.event_ids import resumed_event
from ostiary_gateway.pipeline.merged_sessions.session_legs import send_in_session
from ostiary_gateway.pipeline.merged_sessions.session_vector import SessionVector
from ostiary_gateway.pipeline.merged_sessions.visible_servers import named_server
from ostiary_gateway.pipeline.merged_sessions.wanted_changes import WantedChanges, wanted_by_listen
from ostiary_gateway.pipeline.response_head import no_stream
from ostiary_gateway.pipeline.services import PipelineServices
from ostiary_gateway.server.response import Response
from ostiary_gateway.telemetry import ServerSpan

_LAST: Final = "last-event-id"


async def open_stream(exchange: Exchange, span: ServerSpan, services: PipelineServices) -> Response | None:
    """Resume a stream at the server that the id of its last event names.

    Else open the stream of changes.

    Raises:
        Refusal: 405, there is no such stream.
    """
    last = exchange.request.headers.get(_LAST)
    if last is None:
        if not isinstance(exchange.session, SessionVector):
            raise no_stream()  # without a session no server knows which caller this is
        await ChangeStream(exchange, span, services, WantedChanges()).run()
        return None
    found = resumed_event(last)
    server = named_server(exchange, found.server) if found is not None and found.stream is not None else None
    if found is None or server is None:
        raise no_stream()
    check_server_blocked(exchange, server)
    leg = exchange.leg = Leg(server, None, None, last_event_id=found.own, resumes=found.stream)
    return await send_in_session(exchange, leg, span, services)


async def listen(exchange: Exchange, span: ServerSpan, services: PipelineServices) -> Response | None:
    """Answer ``subscriptions/listen`` with the changes of all servers.

    Raises:
        Refusal: its filter does not have the specified shape.
    """
    await ChangeStream(exchange, span, services, await wanted_by_listen(exchange)).run()
    return None
