"""Receive: check that a request is HTTP as MCP uses it. The body is not read here."""

from typing import Final

from ostiary_core.mcp import codes
from ostiary_gateway.errors import Refusal
from ostiary_gateway.line.cors import METHODS, is_preflight
from ostiary_gateway.server.request import Request

_METHODS: Final = frozenset({"POST", "GET", "DELETE"})
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
#: The headers for whose faults the specification has a code (2026-07-28, Server Validation).
_MIRRORED: Final = frozenset({"MCP-Protocol-Version", "Mcp-Method", "Mcp-Name"})


def receive(request: Request) -> None:
    """Check the HTTP method, and the headers that must, or may, occur once.

    Raises:
        Refusal: 405 for another method, 400 for a duplicate header, for a missing Host, and for a body where none is
            allowed: the gateway would not read it, and proxies disagree on whether it is there.
    """
    if request.method not in _METHODS and not is_preflight(request):
        raise Refusal(405, "MethodNotAllowed", "An MCP endpoint takes POST, GET and DELETE", headers={"Allow": METHODS})
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
