"""Which servers may get a request: rules about content can be for some of them only."""

from ostiary_core.mcp.methods import AuthorizationKind, Primitive
from ostiary_gateway.pipeline.exchange import Exchange
from ostiary_gateway.pipeline.message import Message
from ostiary_gateway.pipeline.message_members import completion_reference
from ostiary_gateway.pipeline.routing.route_decision import decide_route
from ostiary_gateway.upstream.server import UpstreamServer


def destinations(exchange: Exchange) -> frozenset[str]:
    """Return the names of the servers that may get the message of an exchange.

    Raises:
        Refusal: its arguments are no object.
    """
    return frozenset(server.name for server, _ in recipients(exchange))


def recipients(exchange: Exchange) -> list[tuple[UpstreamServer, str]]:
    """Return the servers that may get the message of an exchange.

    Each comes with its own name for what the message is about. It is the owner of what it names, or the servers of the
    routing rule that matches; all servers of the proxy where the message is about none of them, so that no rule is
    evaded.

    Raises:
        Refusal: its arguments are no object.
    """
    proxy, message = exchange.proxy, exchange.message
    name = message.name if message is not None else ""
    named = _named(message) if message is not None and len(proxy.servers) > 1 else None
    if named is not None and proxy.merge is not None:
        owned = proxy.merge.catalogue.owner_of(*named)
        return [] if owned is None else [(proxy.servers[owned.server], owned.name)]
    if named is not None and proxy.routing is not None:
        route = exchange.route or decide_route(exchange, proxy.routing)
        return [(proxy.servers[position], name) for position in route.servers]
    return [(server, name) for server in proxy.servers]


def _named(message: Message) -> tuple[Primitive, str] | None:
    method = message.method
    if method is not None and method.authorization is AuthorizationKind.COMPLETION:
        return completion_reference(message)
    if method is None or method.primitive is None or method.authorization is not AuthorizationKind.NAME:
        return None
    return method.primitive, message.name
