"""Of which servers behind an endpoint a caller may see anything, and of which everything.

With the others no session is opened for the caller, and what they say of themselves is not passed on: instructions name
tools that the caller must not know of.
"""

from ostiary_core.mcp.methods import Primitive, Verb
from ostiary_gateway.pipeline.exchange import Exchange
from ostiary_gateway.upstream.server import UpstreamServer


def visible_servers(exchange: Exchange) -> tuple[int, ...]:
    """Return the places, in the order of the spec, of the servers of which a caller may see something."""
    places = range(len(exchange.proxy.servers))
    if exchange.proxy.merge is None:
        return tuple(places)
    visibility = exchange.visibility
    return tuple(
        place
        for place in places
        if any(visibility.may_use_some(primitive, Verb.LIST, server=place) for primitive in Primitive)
    )


def sees_whole(exchange: Exchange, place: int) -> bool:
    """Return whether no rule hides anything of a server from the caller, as far as the server has listed it.

    Of a server that has not listed anything yet this is true only where no rule hides anything at all.
    """
    visibility = exchange.visibility
    return all(
        visibility.shows_all(primitive) or _shows_listed(exchange, place, primitive) for primitive in Primitive
    )


def _shows_listed(exchange: Exchange, place: int, primitive: Primitive) -> bool:
    server: UpstreamServer = exchange.proxy.servers[place]
    merge, visibility = exchange.proxy.merge, exchange.visibility
    names = list(server.known.of(primitive))
    if not names:
        return False
    exposed = [name if merge is None else merge.catalogue.exposed(primitive, place, name) for name in names]
    return all(name is None or visibility.shows(primitive, name) for name in exposed)
