"""How a request to a proxy that merges several servers is carried out."""

from collections.abc import Mapping
from typing import Final

from ostiary_core.mcp import codes
from ostiary_core.mcp.methods import LISTS
from ostiary_gateway.config.server_selection import MergeRuntime
from ostiary_gateway.errors import Refusal
from ostiary_gateway.pipeline.blocks import check_server_blocked
from ostiary_gateway.pipeline.exchange import Exchange
from ostiary_gateway.pipeline.merged.merged_lists import list_all
from ostiary_gateway.pipeline.merged.owner_leg import owner_leg
from ostiary_gateway.pipeline.merged_sessions.addressed_messages import ask_about_task, report_progress, respond
from ostiary_gateway.pipeline.merged_sessions.handshake_of_all import initialize
from ostiary_gateway.pipeline.merged_sessions.open_stream_request import open_stream
from ostiary_gateway.pipeline.merged_sessions.told_servers import delete_sessions, notify, ping, set_log_level
from ostiary_gateway.pipeline.plans import Fan, FanOut, One, Plan

#: Stands for the method of a client's response to what a server asked.
_RESPONSE: Final = ""
#: What several servers answer together, by method; GET and DELETE are methods of HTTP.
_FANS: Final[Mapping[str, FanOut]] = {
    "initialize": initialize,
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
    "GET": open_stream,
    "DELETE": delete_sessions,
    **dict.fromkeys((row.name for row in LISTS.values()), list_all),
    _RESPONSE: respond,
}


def merged_plan(exchange: Exchange, merge: MergeRuntime) -> Plan:
    """Return the plan of a request: the server that owns what it names, or all servers.

    Raises:
        Refusal: no server has the name, or the method is not supported where servers are merged.
    """
    message = exchange.message
    leg = owner_leg(exchange, message, merge) if message is not None else None
    if leg is not None:
        check_server_blocked(exchange, leg.server)
        exchange.leg = leg
        return One(leg)
    method = (
        exchange.request.method if message is None else _RESPONSE if message.method is None else message.method.name
    )
    fan = _FANS.get(method)
    if fan is not None:
        return Fan(fan)
    words = f"This MCP proxy merges several servers and does not support {method or 'this response'}"
    raise Refusal(200, "MethodNotFound", words, code=codes.METHOD_NOT_FOUND)
