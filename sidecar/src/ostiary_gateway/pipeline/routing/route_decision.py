"""What the routing rules of a proxy say of a request: limits ask before it is selected."""

from typing import Final

from ostiary_core.policy.message_conditions import Call
from ostiary_core.policy.routing import RouteDecision, Routing
from ostiary_gateway.pipeline.authorize import call_of, readable_headers
from ostiary_gateway.pipeline.exchange import Exchange

_SUBSCRIBE: Final = "resources/subscribe"


def decide_route(exchange: Exchange, routing: Routing) -> RouteDecision:
    """Return where the message of an exchange goes.

    A request without a message has no arguments.
    """
    message = exchange.message
    method = message.method_name if message is not None else ""
    return routing.decide(exchange.principal, method=method, call=lambda: _call(exchange))


def decide_subscription(exchange: Exchange, routing: Routing, uri: str) -> RouteDecision:
    """Return where the subscription to one resource of a listen goes.

    It goes where it would go as a request of its own. A URI may tell a server what it must not know, so it is for the
    servers of its rule alone.
    """
    return routing.decide(exchange.principal, method=_SUBSCRIBE, call=lambda: _bare(exchange, _SUBSCRIBE, uri))


def _call(exchange: Exchange) -> Call:
    return call_of(exchange, exchange.message) if exchange.message is not None else _bare(exchange)


def _bare(exchange: Exchange, method: str = "", name: str = "") -> Call:
    """Return what rules read of a request without arguments."""
    request = exchange.request
    return Call(
        exchange.principal,
        arguments={},
        headers=readable_headers(exchange),
        request={"method": method, "name": name, "host": request.headers.get("host", ""), "path": request.path},
    )
