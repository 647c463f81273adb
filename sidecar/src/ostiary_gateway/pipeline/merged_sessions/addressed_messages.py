"""Messages of a client that are for one server because of the id that they name.

Responses to what a server asked, progress of that, and requests about tasks: the id says which server it is, to any
replica (:mod:`.server_message_ids`, :mod:`.task_ids`).
"""

from typing import Any

from ostiary_core.mcp import codes
from ostiary_gateway.errors import Refusal
from ostiary_gateway.pipeline.blocks import check_server_blocked
from ostiary_gateway.pipeline.bridged.legacy_client_bridge import was_asked_by_gateway
from ostiary_gateway.pipeline.exchange import Exchange
from ostiary_gateway.pipeline.leg import Leg
from ostiary_gateway.pipeline.merged_sessions.own_answers import accepted
from ostiary_gateway.pipeline.merged_sessions.server_message_ids import server_of_progress, server_of_response
from ostiary_gateway.pipeline.merged_sessions.session_legs import send_in_session
from ostiary_gateway.pipeline.merged_sessions.task_ids import change_in_response, task_of
from ostiary_gateway.pipeline.merged_sessions.visible_servers import named_server
from ostiary_gateway.pipeline.message import Message
from ostiary_gateway.pipeline.services import PipelineServices
from ostiary_gateway.seal import TASK
from ostiary_gateway.server.response import Response
from ostiary_gateway.telemetry import ServerSpan
from ostiary_gateway.upstream.server import UpstreamServer


async def respond(exchange: Exchange, span: ServerSpan, services: PipelineServices) -> Response | None:
    """Send a client's response to the server that asked.

    One that answers no server of this proxy is accepted and dropped, as servers do with an unknown id.
    """
    message = exchange.message
    if message is None or await was_asked_by_gateway(exchange, services):
        return accepted()
    body = dict(message.body)
    server = named_server(exchange, server_of_response(body))
    if server is None or change_in_response(body, lambda sealed: _own_task(exchange, services, sealed, server)) is None:
        return accepted()
    sent = Message(body, message.era, message.revision, None, body["id"])
    return await _send(exchange, server, sent, span, services)


async def report_progress(exchange: Exchange, span: ServerSpan, services: PipelineServices) -> Response | None:
    """Send a client's progress to the server that follows it; drop what no server follows."""
    message = exchange.message
    if message is None:
        return accepted()
    params = dict(message.params)
    server = named_server(exchange, server_of_progress(params))
    if server is None:
        return accepted()
    return await _send(exchange, server, _with_params(message, params), span, services)


async def ask_about_task(exchange: Exchange, span: ServerSpan, services: PipelineServices) -> Response | None:
    """Send a request about a task to the server that has it, under its own id.

    Raises:
        Refusal: -32602 for an id that is not of this caller at this proxy.
    """
    message = exchange.message
    content = _opened(exchange, services, message.name) if message is not None else None
    name, own = task_of(content) if content is not None else ("", "")
    server = named_server(exchange, name)
    if message is None or server is None:
        raise Refusal(200, "UnknownTask", "Unknown task", code=codes.INVALID_PARAMS, silent=True)
    sent = _with_params(message, {**message.params, "taskId": own})
    sent.name = own
    return await _send(exchange, server, sent, span, services)


async def _send(
    exchange: Exchange, server: UpstreamServer, message: Message, span: ServerSpan, services: PipelineServices
) -> Response | None:
    check_server_blocked(exchange, server)
    leg = exchange.leg = Leg(server, message, None)
    return await send_in_session(exchange, leg, span, services)


def _with_params(message: Message, params: dict[str, Any]) -> Message:
    body = {**message.body, "params": params}
    return Message(body, message.era, message.revision, message.method, message.id, message.name)


def _opened(exchange: Exchange, services: PipelineServices, sealed: str) -> bytes | None:
    return services.sealer.open(
        TASK, sealed, proxy_uid=exchange.proxy.uid, principal=exchange.principal.id, max_age=0.0
    )


def _own_task(exchange: Exchange, services: PipelineServices, sealed: str, server: UpstreamServer) -> str | None:
    content = _opened(exchange, services, sealed)
    name, own = task_of(content) if content is not None else ("", "")
    return own if name == server.name else None
