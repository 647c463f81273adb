"""Choose the bridge of a request that one server gets.

The client's own era comes first, so a bridge is used only where the server is known to speak no other, or in a session
that was opened through one.
"""

from ostiary_core.mcp.protocol_revisions import LEGACY, MODERN, MODERN_REVISIONS, Era
from ostiary_gateway.pipeline.bridged.legacy_client_bridge import LEGACY_CLIENT
from ostiary_gateway.pipeline.bridged.legacy_server import LEGACY_SERVER
from ostiary_gateway.pipeline.exchange import Exchange
from ostiary_gateway.pipeline.http_checks import session_not_found
from ostiary_gateway.pipeline.leg import Leg
from ostiary_gateway.pipeline.merged_sessions.session_opening import mark_of
from ostiary_gateway.pipeline.merged_sessions.session_vector import SessionVector
from ostiary_gateway.upstream.server import UpstreamServer


def leg_of(exchange: Exchange, server: UpstreamServer) -> Leg:
    """Return the leg of the message of an exchange to a server, under its own names.

    It has a bridge where the caller is modern and the server is not.
    """
    leg = Leg(server, exchange.message, exchange.session)
    if server.eras.only is LEGACY and exchange.message is not None and exchange.message.era is MODERN:
        leg.bridge = LEGACY_SERVER
    return leg


def choose_bridge(exchange: Exchange, leg: Leg) -> None:
    """Set the bridge of a leg of a legacy request, if it needs one.

    Raises:
        Refusal: 404 for a session of the other era than the server speaks now: its client initializes again.
    """
    era, only = era_of(exchange), leg.server.eras.only
    if era is MODERN:
        return
    if isinstance(exchange.session, SessionVector):
        if exchange.session.terms and only is not MODERN:
            return  # of a server that has sessions (:mod:`..pinned_sessions`)
        if only is LEGACY or not _is_bridged(exchange.session, leg.server):
            raise session_not_found()
    elif only is not MODERN:
        return
    elif exchange.session is not None and not _opens_session(exchange):
        raise session_not_found()
    set_bridge(leg, LEGACY)


def set_bridge(leg: Leg, era: Era) -> None:
    """Give a leg the bridge from its caller's era to the other.

    The caller has no session with the server there.
    """
    leg.session = None
    leg.sent = None
    leg.bridge = LEGACY_CLIENT if era is LEGACY else LEGACY_SERVER


def era_of(exchange: Exchange) -> Era:
    """Return the era of a request; GET and DELETE are of the legacy one."""
    return LEGACY if exchange.message is None else exchange.message.era


def _is_bridged(vector: SessionVector, server: UpstreamServer) -> bool:
    """Return whether a session with a server was opened for one that knows no sessions."""
    session = vector.servers.get(mark_of(server))
    return session is not None and session.revision in MODERN_REVISIONS


def _opens_session(exchange: Exchange) -> bool:
    method = exchange.message.method if exchange.message is not None else None
    return method is not None and method.name == "initialize"
