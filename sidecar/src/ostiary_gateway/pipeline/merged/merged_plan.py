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
from ostiary_gateway.pipeline.merged_sessions.session_plan import method_of, session_plan
from ostiary_gateway.pipeline.plans import Fan, FanOut, One, Plan

#: What several servers answer together, by method.
_FANS: Final[Mapping[str, FanOut]] = dict.fromkeys((row.name for row in LISTS.values()), list_all)


def merged_plan(exchange: Exchange, merge: MergeRuntime) -> Plan:
    """Return the plan of a request: the server that owns what it names, or all servers.

    Raises:
        Refusal: no server has the name, or the method is not supported where servers are merged.
    """
    message = exchange.message
    leg = owner_leg(exchange, message, merge) if message is not None else None
    if leg is not None:
        if exchange.snapshot.blocked is not None:
            check_server_blocked(exchange, leg.server)
        exchange.leg = leg
        return One(leg)
    of_session = session_plan(exchange)
    if of_session is not None:
        return of_session
    method = method_of(exchange)
    fan = _FANS.get(method)
    if fan is not None:
        return Fan(fan)
    words = f"This MCP proxy merges several servers and does not support {method}"
    raise Refusal(200, "MethodNotFound", words, code=codes.METHOD_NOT_FOUND)
