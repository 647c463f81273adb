"""Choose the bridge of a request to a proxy with one server.

The client's own era comes first, so a bridge is used only where the server is known to speak no other, or in a session
that was opened through one.
"""

from ostiary_core.mcp.protocol_revisions import LEGACY, MODERN, MODERN_REVISIONS, Era
from ostiary_gateway.pipeline.bridged.legacy_client_bridge import LEGACY_CLIENT
from ostiary_gateway.pipeline.exchange import Exchange
from ostiary_gateway.pipeline.http_checks import session_not_found
from ostiary_gateway.pipeline.leg import Leg
from ostiary_gateway.pipeline.merged_sessions.server_sessions import mark_of
from ostiary_gateway.pipeline.merged_sessions.session_vector import SessionVector
from ostiary_gateway.upstream.server import UpstreamServer


def choose_bridge(exchange: Exchange, leg: Leg) -> None:
    """Set the bridge of a leg of a legacy request, if it needs one.

    Raises:
        Refusal: 404 for a session of the other era than the server speaks now: its client initializes again.
    """
    era, only = era_of(exchange), leg.server.eras.only
    if era is MODERN:
        return
    if isinstance(exchange.session, SessionVector):
        if only is LEGACY or not _is_bridged(exchange.session, leg.server):
            raise session_not_found()
    elif only is not MODERN:
        return
    elif exchange.session is not None and not _opens_session(exchange):
        raise session_not_found()
    leg.session = None
    leg.bridge = LEGACY_CLIENT


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
