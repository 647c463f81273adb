"""What a browser must be told before a page of an allowed origin may ask, and read the answer (Fetch standard, CORS).

Only origins that passed ``check_origin`` are told anything; to all others the gateway looks as if it knew no browsers.
Credentials of the browser's own (cookies) are never asked for: MCP authenticates by a header that the page sets.
"""

import re
from typing import Final

from ostiary_gateway.server.request import Request
from ostiary_gateway.server.response import Response

METHODS: Final = "POST, GET, DELETE"
#: What pages may send besides what every page may.
_REQUEST_HEADERS: Final = (
    "Authorization, Content-Type, Last-Event-ID, MCP-Protocol-Version, Mcp-Method, Mcp-Name, Mcp-Session-Id, "
    "traceparent, tracestate, baggage"
)
#: What pages may read of an answer besides what every page may.
_ANSWER_HEADERS: Final = "Mcp-Session-Id, MCP-Protocol-Version, Retry-After, WWW-Authenticate"
#: Parameters that a client mirrors (SEP-2243) have names of the server's choosing.
_PARAMETER: Final = re.compile(r"mcp-param-[!#$%&'*+.^_`|~0-9a-z-]{1,128}")
_PARAMETERS: Final = 64
#: Browsers ask again after so many seconds; allowedOrigins may have changed by then.
_MAX_AGE: Final = "600"


def is_preflight(request: Request) -> bool:
    """Say whether a browser asks if a page may ask."""
    headers = request.headers
    return request.method == "OPTIONS" and "origin" in headers and "access-control-request-method" in headers


def admit(request: Request) -> None:
    """Let the page of an origin that was judged read whatever the answer will be."""
    origin = request.headers.get("origin")
    if origin is not None:
        request.answer_headers = {
            "Access-Control-Allow-Origin": origin,
            "Access-Control-Expose-Headers": _ANSWER_HEADERS,
            "Vary": "Origin",
        }


def preflight(request: Request) -> Response:
    """Return what pages may send here."""
    asked = request.headers.get("access-control-request-headers", "").lower().split(",")
    parameters = [name for each in asked if _PARAMETER.fullmatch(name := each.strip())]
    headers = {
        "Access-Control-Allow-Methods": METHODS,
        "Access-Control-Allow-Headers": ", ".join([_REQUEST_HEADERS, *parameters[:_PARAMETERS]]),
        "Access-Control-Max-Age": _MAX_AGE,
    }
    return Response(204, headers=headers)
