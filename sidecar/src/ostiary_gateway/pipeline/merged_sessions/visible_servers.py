"""Of which servers behind an endpoint a caller may see anything, and of which everything.

With the others no session is opened for the caller, and what they say of themselves is not passed on: instructions name
tools that the caller must not know of.
"""

from collections.abc import Mapping
from typing import Any

from ostiary_core.mcp.methods import Primitive, Verb
from ostiary_gateway.pipeline.exchange import Exchange
from ostiary_gateway.upstream.known_names import MOST_NAMES
from ostiary_gateway.upstream.server import UpstreamServer


def visible_servers(exchange: Exchange) -> tuple[int, ...]:
    """Return the servers of which a caller may see something, by their places in the spec.

    Where rules route, those to which one of its requests could be sent.
    """
    places = range(len(exchange.proxy.servers))
    if exchange.proxy.routing is not None:
        return tuple(sorted(exchange.proxy.routing.reachable(exchange.principal)))
    visibility = exchange.visibility
    return tuple(
        place
        for place in places
        if any(visibility.may_use_some(primitive, Verb.LIST, server=place) for primitive in Primitive)
    )


def named_server(exchange: Exchange, name: str | None) -> UpstreamServer | None:
    """Return the server with this name, if the caller may see something of it.

    Clients can invent names: none of them opens a session with a server that is not there for its caller.
    """
    servers = exchange.proxy.servers
    place = next((place for place, server in enumerate(servers) if server.name == name), None)
    return servers[place] if place is not None and place in visible_servers(exchange) else None


def sees_whole(exchange: Exchange, place: int, offered: Mapping[str, Any]) -> bool:
    """Return whether no rule hides anything that a server has listed from the caller.

    ``offered`` are the server's capabilities. What it offers and has not listed yet counts as hidden, unless no rule
    hides anything of that kind.
    """
    return all(
        exchange.visibility.shows_all(primitive) or _shows_listed(exchange, place, primitive)
        for primitive in Primitive
        if primitive.value in offered
    )


def _shows_listed(exchange: Exchange, place: int, primitive: Primitive) -> bool:
    merge, visibility = exchange.proxy.merge, exchange.visibility
    names = list(exchange.proxy.servers[place].known.of(primitive))
    exposed = [name if merge is None else merge.catalogue.exposed(primitive, place, name) for name in names]
    is_known = 0 < len(names) < MOST_NAMES  # of more, the others may be hidden
    return is_known and all(name is None or visibility.shows(primitive, name) for name in exposed)
