"""Receive: check a request's method, headers, Host, Origin and session id.

The body is not read here. The sender is judged as far as headers show it: the Host and the Origin that a browser names
(DNS rebinding), and whether a session id is ours. Callers are authenticated later.

Only pages whose origin passed :func:`check_origin` get CORS headers (Fetch standard); for all others the gateway
behaves as if it did not support CORS. The browser's own credentials (cookies) are never requested: MCP authenticates
by a header that the page sets.
"""

import re
from typing import Final

from ostiary_core.mcp import codes
from ostiary_gateway.errors import Refusal
from ostiary_gateway.pipeline.exchange import Exchange
from ostiary_gateway.pipeline.merged_sessions.session_vector import SessionVector
from ostiary_gateway.pipeline.opened_sessions import OpenedSessions
from ostiary_gateway.server.host_name import host_name
from ostiary_gateway.server.request import Request
from ostiary_gateway.server.response import Response
from ostiary_gateway.session_ids import UpstreamSession
from ostiary_gateway.telemetry.session_counts import INVALID, SESSIONS

#: The target of a load balancer's probe: under ``/-/``, which no proxy can use.
PROBE: Final = "/-/healthz"
_METHODS: Final = frozenset({"POST", "GET", "DELETE"})
#: The same as the value of a header.
_ALLOW: Final = "POST, GET, DELETE"
#: Two of any of these contradict each other, whichever one an upstream would believe.
_ONCE: Final = (
    "Host",
    "Origin",
    "Content-Type",
    "Content-Length",
    "Content-Encoding",
    "Mcp-Session-Id",
    "MCP-Protocol-Version",
    "Mcp-Method",
    "Mcp-Name",
    "Last-Event-ID",
    "Authorization",
    "traceparent",
)
_NOT_FOUND: Final = "SessionNotFound"
#: The headers for whose faults the specification has a code (2026-07-28, Server Validation).
_MIRRORED: Final = frozenset({"MCP-Protocol-Version", "Mcp-Method", "Mcp-Name"})
_LOOPBACK_NAMES: Final = frozenset({"localhost", "127.0.0.1", "[::1]"})
#: Headers that pages may send besides the safelisted ones.
_REQUEST_HEADERS: Final = (
    "Authorization, Content-Type, Last-Event-ID, MCP-Protocol-Version, Mcp-Method, Mcp-Name, Mcp-Session-Id, "
    "traceparent, tracestate, baggage"
)
#: Headers that pages may read of a response besides the safelisted ones.
_RESPONSE_HEADERS: Final = "Mcp-Session-Id, MCP-Protocol-Version, Retry-After, WWW-Authenticate"
#: The server chooses the names of the parameters that a client mirrors (SEP-2243).
_PARAMETER: Final = re.compile(r"mcp-param-[!#$%&'*+.^_`|~0-9a-z-]{1,128}")
_PARAMETERS: Final = 64
#: Seconds that browsers cache a preflight; allowedOrigins may change meanwhile.
_MAX_AGE: Final = "600"


def receive(request: Request) -> None:
    """Check the HTTP method, and the headers that must, or may, occur once.

    Raises:
        Refusal: 405 for another method, 400 for a duplicate header, for a missing Host, and for a body where none is
            allowed: the gateway would not read it, and proxies disagree on whether it is there.
    """
    if request.method not in _METHODS and not is_preflight(request):
        raise Refusal(405, "MethodNotAllowed", "An MCP endpoint takes POST, GET and DELETE", headers={"Allow": _ALLOW})
    if request.repeated:
        _check_repeated(request.repeated)
    if "host" not in request.headers:
        raise Refusal(400, "NoHost", "The header Host is missing")
    if request.method != "POST" and request.has_body:
        raise Refusal(400, "UnexpectedBody", "Only a POST has a body here", close=True)


def _check_repeated(repeated: frozenset[str]) -> None:
    for name in _ONCE:
        if name.lower() in repeated:
            code = codes.HEADER_MISMATCH if name in _MIRRORED else None
            raise Refusal(400, "DuplicateHeader", f"The header {name} occurs more than once", code=code)


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

    A request without one is no browser's. A page whose origin passes may read the response.

    Raises:
        Refusal: 403 for an Origin that neither belongs to this gateway or proxy nor is allowed by the settings.
    """
    origin = request.headers.get("origin")
    if origin is None:
        return
    if exchange.snapshot.allows_origin(origin, exchange.proxy) or (loopback and origin in _loopback_origins(request)):
        expose_to_page(request)
        return
    raise Refusal(403, "OriginNotAllowed", "This Origin is neither the gateway's own nor one of its allowedOrigins")


def _loopback_origins(request: Request) -> frozenset[str]:
    """Return the origins of this listener under its loopback names."""
    port = request.connection.local_port
    suffix = "" if port == 80 else f":{port}"
    return frozenset(f"http://{name}{suffix}" for name in _LOOPBACK_NAMES)


def open_session(exchange: Exchange, sessions: OpenedSessions) -> UpstreamSession | None:
    """Open the session id that a client sent, for the exchange; None where it sent none.

    Raises:
        Refusal: 404, which makes a client initialize again (specification, Session Management).
    """
    sealed = exchange.sealed_session
    if sealed is None:
        return None
    max_age = exchange.snapshot.settings.bounds.session_max_age / 1000
    proxy = exchange.proxy
    session = sessions.open(sealed, proxy_uid=proxy.uid, principal=exchange.principal.id, max_age=max_age)
    # One of the time when the proxy had a single server names none of those that it has now.
    if session is None or (len(proxy.servers) != 1 and not isinstance(session, SessionVector)):
        SESSIONS.note_refused(exchange.proxy.identity, INVALID)
        raise session_not_found()
    exchange.session = session
    return session


def session_not_found() -> Refusal:
    """Return the refusal of a session id that is unknown, foreign, altered or expired.

    It is always the same.
    """
    return Refusal(404, _NOT_FOUND, "Session not found; initialize again", code=codes.SESSION_NOT_FOUND, silent=True)


def is_session_not_found(refusal: Refusal) -> bool:
    """Return whether a refusal is :func:`session_not_found`."""
    return refusal.status == 404 and refusal.reason == _NOT_FOUND


def is_preflight(request: Request) -> bool:
    """Return whether this is a CORS preflight."""
    headers = request.headers
    return request.method == "OPTIONS" and "origin" in headers and "access-control-request-method" in headers


def expose_to_page(request: Request) -> None:
    """Let the page, whose origin was checked, read the response."""
    origin = request.headers.get("origin")
    if origin is not None:
        request.response_headers = {
            "Access-Control-Allow-Origin": origin,
            "Access-Control-Expose-Headers": _RESPONSE_HEADERS,
            "Vary": "Origin",
        }


def preflight(request: Request, exchange: Exchange) -> Response:
    """Return the response to a preflight.

    A page may send the headers in which the proxy expects credentials.
    """
    authenticator = exchange.proxy.authenticator
    credentials = authenticator.headers if authenticator is not None else ()
    asked = request.headers.get("access-control-request-headers", "").lower().split(",")
    parameters = [name for each in asked if _PARAMETER.fullmatch(name := each.strip())]
    headers = {
        "Access-Control-Allow-Methods": _ALLOW,
        "Access-Control-Allow-Headers": ", ".join([_REQUEST_HEADERS, *credentials, *parameters[:_PARAMETERS]]),
        "Access-Control-Max-Age": _MAX_AGE,
    }
    return Response(204, headers=headers)


async def probe_response(request: Request, *, is_ready: bool) -> Response:
    """Answer a load balancer's probe: it learns only whether the gateway is ready.

    The probe counts as no message.
    """
    if request.method != "GET":
        return Response(405, b"", {"Allow": "GET"}, close=True)
    content = b"ok\n" if is_ready else b"not ready\n"
    return Response(200 if is_ready else 503, content, {"Content-Type": "text/plain"})
