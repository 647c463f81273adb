"""Identify: establish the sender of a request from headers alone, before the body is read.

Caller authentication comes later with its own policy field; until then every caller is the anonymous principal. Checked
already: the origin that a browser names (DNS rebinding), and whether a session id is ours.
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
    """Check the Host of a request to a gateway on ``loopback`` only.

    DNS rebinding may have led a browser there.

    Raises:
        Refusal: 403 for a name that is not of loopback.
    """
    if loopback and host_name(request.headers.get("host", "")) not in _LOOPBACK_NAMES:
        raise Refusal(403, "HostNotAllowed", "This gateway listens on loopback and takes loopback names only")


def check_origin(request: Request, exchange: Exchange, *, loopback: bool) -> None:
    """Check the Origin (specification, Security Warning of the transport).

    A request without one is no browser's.

    A page whose origin passes may read the response.

    Raises:
        Refusal: 403 for an Origin that neither belongs to this gateway or proxy nor is allowed by the settings.
    """
    origin = request.headers.get("origin")
    if origin is None:
        return
    if exchange.snapshot.allows_origin(origin, exchange.proxy) or (loopback and origin in _loopback_origins(request)):
        admit(request)
        return
    raise Refusal(403, "OriginNotAllowed", "This Origin is neither the gateway's own nor one of its allowedOrigins")


def _loopback_origins(request: Request) -> frozenset[str]:
    """Return the origins of this listener under its loopback names."""
    port = request.connection.local_port
    suffix = "" if port == 80 else f":{port}"
    return frozenset(f"http://{name}{suffix}" for name in _LOOPBACK_NAMES)


def open_session(exchange: Exchange, sealer: Sealer) -> UpstreamSession | None:
    """Open the session id that a client sent; None where it sent none.

    Raises:
        Refusal: 404, which makes a client initialize again (specification, Session Management).
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
    """Return the refusal of a session id that is unknown, foreign, altered or expired.

    It is always the same.
    """
    return Refusal(404, "SessionNotFound", "Session not found; initialize again", code=-32001, silent=True)
