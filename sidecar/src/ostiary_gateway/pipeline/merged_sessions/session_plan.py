"""Requests of a client about its session with several servers, and not about one tool."""

from collections.abc import Mapping
from typing import Final

from ostiary_gateway.pipeline.exchange import Exchange
from ostiary_gateway.pipeline.merged_sessions.addressed_messages import ask_about_task, report_progress, respond
from ostiary_gateway.pipeline.merged_sessions.discovery_of_all import discover_all
from ostiary_gateway.pipeline.merged_sessions.handshake_of_all import initialize
from ostiary_gateway.pipeline.merged_sessions.open_stream_request import listen, open_stream
from ostiary_gateway.pipeline.merged_sessions.told_servers import delete_sessions, notify, ping, set_log_level
from ostiary_gateway.pipeline.plans import Fan, FanOut

#: Stands for the method of a client's response to what a server asked.
_RESPONSE: Final = ""
#: By method; GET and DELETE are methods of HTTP.
_ANSWERS: Final[Mapping[str, FanOut]] = {
    "initialize": initialize,
    "server/discover": discover_all,
    "ping": ping,
    "logging/setLevel": set_log_level,
    "notifications/initialized": notify,
    "notifications/cancelled": notify,
    "notifications/roots/list_changed": notify,
    "notifications/progress": report_progress,
    "tasks/get": ask_about_task,
    "tasks/result": ask_about_task,
    "tasks/update": ask_about_task,
    "tasks/cancel": ask_about_task,
    "subscriptions/listen": listen,
    "GET": open_stream,
    "DELETE": delete_sessions,
    _RESPONSE: respond,
}


def session_plan(exchange: Exchange) -> Fan | None:
    """Return the plan of a request about the session with all servers; None for another."""
    answer = _ANSWERS.get(method_of(exchange))
    return Fan(answer) if answer is not None else None


def method_of(exchange: Exchange) -> str:
    """Return the method of a request: that of HTTP where it has no message.

    It is empty for a client's response.
    """
    message = exchange.message
    if message is None:
        return exchange.request.method
    return message.method.name if message.method is not None else _RESPONSE
