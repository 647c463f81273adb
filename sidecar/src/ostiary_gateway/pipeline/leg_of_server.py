"""The leg of a request that one server gets as it is.

It has a bridge where the server speaks only the other protocol era.
"""

from ostiary_core.mcp.protocol_revisions import LEGACY, MODERN
from ostiary_gateway.pipeline.bridged.legacy_server import LEGACY_SERVER
from ostiary_gateway.pipeline.exchange import Exchange
from ostiary_gateway.pipeline.leg import Leg
from ostiary_gateway.upstream.server import UpstreamServer


def leg_of(exchange: Exchange, server: UpstreamServer) -> Leg:
    """Return the leg of the message of an exchange to a server, under its own names."""
    leg = Leg(server, exchange.message, exchange.session)
    if server.eras.only is LEGACY and exchange.message is not None and exchange.message.era is MODERN:
        leg.bridge = LEGACY_SERVER
    return leg
