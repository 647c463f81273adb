"""CORS headers, which let pages of allowed origins use the gateway (Fetch standard).

Only origins that passed ``check_origin`` get these headers; for all others the gateway behaves as if it did not support
CORS. The browser's own credentials (cookies) are never requested: MCP authenticates by a header that the page sets.
"""

import re
from typing import Final

from ostiary_gateway.server.request import Request
from ostiary_gateway.server.response import Response

METHODS: Final = "POST, GET, DELETE"
#: Headers that pages may send besides the safelisted ones.
_REQUEST_HEADERS: Final = (
    "Authorization, Content-Type, Last-Event-ID, MCP-Protocol-Version, Mcp-Method, Mcp-Name, Mcp-Session-Id, "
    "traceparent, tracestate, baggage"
)
#: Headers that pages may read of a response besides the safelisted ones.
_ANSWER_HEADERS: Final = "Mcp-Session-Id, MCP-Protocol-Version, Retry-After, WWW-Authenticate"
#: The server chooses the names of the parameters that a client mirrors (SEP-2243).
_PARAMETER: Final = re.compile(r"mcp-param-[!#$%&'*+.^_`|~0-9a-z-]{1,128}")
_PARAMETERS: Final = 64
#: Seconds that browsers cache a preflight; allowedOrigins may change meanwhile.
_MAX_AGE: Final = "600"


def is_preflight(request: Request) -> bool:
    """Say whether this is a CORS preflight."""
    headers = request.headers
    return request.method == "OPTIONS" and "origin" in headers and "access-control-request-method" in headers


def admit(request: Request) -> None:
    """Let the page, whose origin was checked, read the response."""
    origin = request.headers.get("origin")
    if origin is not None:
        request.answer_headers = {
            "Access-Control-Allow-Origin": origin,
            "Access-Control-Expose-Headers": _ANSWER_HEADERS,
            "Vary": "Origin",
        }


def preflight(request: Request) -> Response:
    """Return the response to a preflight."""
    asked = request.headers.get("access-control-request-headers", "").lower().split(",")
    parameters = [name for each in asked if _PARAMETER.fullmatch(name := each.strip())]
    headers = {
        "Access-Control-Allow-Methods": METHODS,
        "Access-Control-Allow-Headers": ", ".join([_REQUEST_HEADERS, *parameters[:_PARAMETERS]]),
        "Access-Control-Max-Age": _MAX_AGE,
    }
    return Response(204, headers=headers)
