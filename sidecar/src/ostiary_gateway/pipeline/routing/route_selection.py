"""Select the server of a request by the routing rules of its proxy.

A request that no rule matches, or whose rule cannot be evaluated, reaches no server: lists are empty, and everything
else is refused. It never falls through to another rule, whose server may be the wrong place for it.
"""

from typing import Any, Final

from ostiary_core import strict_json
from ostiary_core.mcp import codes
from ostiary_core.mcp.methods import AuthorizationKind, Method
from ostiary_core.mcp.protocol_revisions import MODERN
from ostiary_core.policy.decision import Decision, DecisionReason
from ostiary_core.policy.routing import RouteDecision, Routing
from ostiary_gateway.errors import Refusal
from ostiary_gateway.media_types import JSON_HEADERS
from ostiary_gateway.pipeline.authorize import DeniedError
from ostiary_gateway.pipeline.bridged.bridge_choice import leg_of
from ostiary_gateway.pipeline.exchange import Exchange
from ostiary_gateway.pipeline.merged_sessions.session_plan import session_plan
from ostiary_gateway.pipeline.plans import Local, One, Plan
from ostiary_gateway.pipeline.routing.route_decision import decide_route
from ostiary_gateway.pipeline.routing.server_preference import in_order
from ostiary_gateway.server.response import Response

_LIST: Final = AuthorizationKind.LIST
_WORDS: Final = "No server of this MCP proxy is there for this request of this caller"


def select_by_route(exchange: Exchange, routing: Routing) -> Plan:
    """Return the plan of a request to a proxy with routing rules, and note its leg.

    Raises:
        DeniedError: -31001 ``NoRoute``, for everything but lists.
    """
    of_session = session_plan(exchange)
    if of_session is not None:
        return of_session
    found = exchange.route = exchange.route or decide_route(exchange, routing)
    if not found.servers:
        return _without_route(exchange, found)
    first, *others = in_order([exchange.proxy.servers[position] for position in found.servers])
    leg = before = exchange.leg = leg_of(exchange, first)
    for server in others:
        before.instead = before = leg_of(exchange, server)
    return One(leg)


def _without_route(exchange: Exchange, found: RouteDecision) -> Plan:
    message = exchange.message
    method = message.method if message is not None else None
    if method is not None and method.authorization is _LIST:
        return Local(_empty_list)
    refusal = Refusal(200, DecisionReason.NO_ROUTE.value, _WORDS, code=codes.DENIED)
    raise DeniedError(refusal, Decision(False, DecisionReason.NO_ROUTE, rule=found.rule))


async def _empty_list(exchange: Exchange) -> Response:
    """Answer a request for a list with one that is empty."""
    message = exchange.message
    assert message is not None and message.method is not None  # noqa: PT018, S101  the plan was made for a list
    result = empty_list(message.method, is_modern=message.era is MODERN)
    body = {"jsonrpc": "2.0", "id": exchange.request_id, "result": result}
    return Response(200, strict_json.dumps(body), JSON_HEADERS)


def empty_list(method: Method, *, is_modern: bool) -> dict[str, Any]:
    """Return the result of a list without items.

    It is of this caller, and may change at any time.
    """
    result: dict[str, Any] = {method.list_key: []}
    return {"resultType": "complete", **result, "ttlMs": 0, "cacheScope": "private"} if is_modern else result
