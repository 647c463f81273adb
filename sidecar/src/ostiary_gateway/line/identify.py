"""Identify: who asks, from headers alone, before a byte of the body is read.

Authentication of callers arrives with its own policy field; until then every caller is the anonymous principal. What is
judged already is where a browser says it comes from (DNS rebinding) and whether a session id is ours.
"""

from typing import Final
from urllib.parse import urlsplit

from aiohttp import web

from ostiary_gateway.config.snapshot import Snapshot
from ostiary_gateway.errors import Refusal
from ostiary_gateway.line.exchange import Exchange
from ostiary_gateway.line.route import host_name
from ostiary_gateway.session import Sealer, Session

_LOOPBACK_NAMES: Final = frozenset({"localhost", "127.0.0.1", "[::1]"})


def check_origin(request: web.BaseRequest, snapshot: Snapshot, *, loopback: bool) -> None:
    """Judge Host and Origin (specification, Security Warning of the transport). ``loopback``: we listen there only.

    Raises:
        Refusal: 403 for a Host or Origin that is not of this gateway.
    """
    host = host_name(request.headers.get("Host", ""))
    if loopback and host not in _LOOPBACK_NAMES:
        raise Refusal(403, "HostNotAllowed", "This gateway listens on loopback and takes loopback names only")
    origin = request.headers.get("Origin")
    if origin is None or origin in snapshot.own_origins:
        return
    if loopback and _is_own_loopback(origin, request):
        return
    raise Refusal(403, "OriginNotAllowed", "This Origin is neither the gateway's own nor one of its allowedOrigins")


def _is_own_loopback(origin: str, request: web.BaseRequest) -> bool:
    """Say whether an Origin is this very listener under a loopback name."""
    try:
        parts = urlsplit(origin)
        port = parts.port
    except ValueError:
        return False
    own = request.transport.get_extra_info("sockname")[1] if request.transport is not None else None
    return parts.scheme == "http" and host_name(parts.netloc) in _LOOPBACK_NAMES and (port or 80) == own


def open_session(exchange: Exchange, sealer: Sealer) -> Session | None:
    """Open the session id that a client sent; none sent gives none.

    Raises:
        Refusal: 404, which tells a client to initialize again (specification, Session Management).
    """
    sealed = exchange.sealed_session
    if not sealed:
        return None
    max_age = exchange.snapshot.settings.bounds.session_max_age / 1000
    session = sealer.open(sealed, proxy_uid=exchange.routed.uid, principal=exchange.principal, max_age=max_age)
    if session is None:
        raise session_not_found()
    return session


def session_not_found() -> Refusal:
    """Return the answer to a session id that is unknown, foreign, altered or expired: always the same."""
    return Refusal(404, "SessionNotFound", "Session not found; initialize again", code=-32001, silent=True)
