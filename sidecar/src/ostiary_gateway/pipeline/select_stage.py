"""Select: which server gets a request, or which servers.

No request is sent for this, and nothing is awaited.
"""

from ostiary_gateway.pipeline import whoami
from ostiary_gateway.pipeline.bridged.bridge_choice import choose_bridge, leg_of
from ostiary_gateway.pipeline.exchange import Exchange
from ostiary_gateway.pipeline.lists.cached_list import with_cache
from ostiary_gateway.pipeline.merged.merged_plan import merged_plan
from ostiary_gateway.pipeline.merged_sessions.session_vector import SessionVector
from ostiary_gateway.pipeline.plans import Local, One, Plan
from ostiary_gateway.pipeline.routing.route_selection import select_by_route
from ostiary_gateway.server.response import Response


def select(exchange: Exchange) -> Plan:
    """Return how a request is carried out, and note its leg where one server gets it.

    Raises:
        Refusal: no server is there for it.
    """
    if exchange.request_id is None:
        if exchange.is_whoami:
            return Local(whoami.answer)
        if exchange.message is not None and exchange.message.is_dropped:
            return Local(_accepted)
    if exchange.proxy.merge is not None:
        return merged_plan(exchange, exchange.proxy.merge)
    if exchange.proxy.routing is not None:
        plan = select_by_route(exchange, exchange.proxy.routing)
    else:
        leg = exchange.leg = leg_of(exchange, exchange.proxy.servers[0])
        if leg.server.eras.only is not None or isinstance(exchange.session, SessionVector):
            choose_bridge(exchange, leg)
        plan = One(leg)
    return plan if exchange.proxy.list_cache is None else with_cache(exchange, plan)


async def _accepted(_: Exchange) -> Response:
    """Accept a notification that no server gets."""
    return Response(202)
