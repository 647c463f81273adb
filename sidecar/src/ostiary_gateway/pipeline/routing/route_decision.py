"""What the routing rules of a proxy say of a request: limits ask before it is selected."""

from ostiary_core.policy.message_conditions import Call
from ostiary_core.policy.routing import RouteDecision, Routing
from ostiary_gateway.pipeline.authorize import call_of, readable_headers
from ostiary_gateway.pipeline.exchange import Exchange


def decide_route(exchange: Exchange, routing: Routing) -> RouteDecision:
    """Return where the message of an exchange goes.

    A request without a message has no arguments.
    """
    message = exchange.message
    method = message.method.name if message is not None and message.method is not None else ""
    return routing.decide(exchange.principal, method=method, call=lambda: _call(exchange))


def _call(exchange: Exchange) -> Call:
    if exchange.message is not None:
        return call_of(exchange, exchange.message)
    request = exchange.request
    return Call(
        exchange.principal,
        arguments={},
        headers=readable_headers(exchange),
        request={"method": "", "name": "", "host": request.headers.get("host", ""), "path": request.path},
    )
