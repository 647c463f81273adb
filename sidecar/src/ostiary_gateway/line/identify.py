"""Identify: who asks, from headers alone, before a byte of the body is read.

Authentication of callers arrives with its own policy field; until then every caller is the anonymous principal. What is
judged already is where a browser says it comes from (DNS rebinding) and whether a session id is ours.
"""

from typing import Final

from ostiary_gateway.errors import Refusal
from ostiary_gateway.line.cors import admit
from ostiary_gateway.line.exchange import Exchange
from ostiary_gateway.line.route import host_name
from ostiary_gateway.server.request import Request
from ostiary_gateway.session import Sealer, UpstreamSession

_LOOPBACK_NAMES: Final = frozenset({"localhost", "127.0.0.1", "[::1]"})


def check_host(request: Request, *, loopback: bool) -> None:
    """Judge the Host of a request to a gateway that listens on ``loopback`` only: a browser may have been led there.

    Raises:
        Refusal: 403 for a name that is not of loopback.
    """
    if loopback and host_name(request.headers.get("host", "")) not in _LOOPBACK_NAMES:
        raise Refusal(403, "HostNotAllowed", "This gateway listens on loopback and takes loopback names only")


def check_origin(request: Request, exchange: Exchange, *, loopback: bool) -> None:
    """Judge the Origin (specification, Security Warning of the transport); none is no browser's, and passes.

    A page of an origin that passes may read the answer.

    Raises:
        Refusal: 403 for an Origin that is neither of this gateway or proxy nor allowed by the gateway's settings.
    """
    origin = request.headers.get("origin")
    if origin is None:
        return
    if exchange.snapshot.takes_origin(origin, exchange.proxy) or (loopback and origin in _loopback_origins(request)):
        admit(request)
        return
    raise Refusal(403, "OriginNotAllowed", "This Origin is neither the gateway's own nor one of its allowedOrigins")


def _loopback_origins(request: Request) -> frozenset[str]:
    """Return the origins of this very listener under its loopback names."""
    port = request.connection.local_port
    suffix = "" if port == 80 else f":{port}"
    return frozenset(f"http://{name}{suffix}" for name in _LOOPBACK_NAMES)


def open_session(exchange: Exchange, sealer: Sealer) -> UpstreamSession | None:
    """Open the session id that a client sent; none sent gives none.

    Raises:
        Refusal: 404, which tells a client to initialize again (specification, Session Management).
    """
    sealed = exchange.sealed_session
    if sealed is None:
        return None
    max_age = exchange.snapshot.settings.bounds.session_max_age / 1000
    session = sealer.open(sealed, proxy_uid=exchange.proxy.uid, principal=exchange.principal, max_age=max_age)
    if session is None:
        raise session_not_found()
    return session


def session_not_found() -> Refusal:
    """Return the answer to a session id that is unknown, foreign, altered or expired: always the same."""
    return Refusal(404, "SessionNotFound", "Session not found; initialize again", code=-32001, silent=True)
