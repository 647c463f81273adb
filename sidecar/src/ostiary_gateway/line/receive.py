"""Receive: is this HTTP as MCP uses it? Nothing of the body is read here."""

from typing import Final

from aiohttp import web

from ostiary_gateway.errors import Refusal

_METHODS: Final = frozenset({"POST", "GET", "DELETE"})
#: Two of any of these are a contradiction, whichever an upstream would believe.
_ONCE: Final = (
    "Host",
    "Origin",
    "Content-Type",
    "Content-Length",
    "Mcp-Session-Id",
    "MCP-Protocol-Version",
    "Mcp-Method",
    "Mcp-Name",
    "Last-Event-ID",
    "Authorization",
    "traceparent",
)


def receive(request: web.BaseRequest) -> None:
    """Check the HTTP method and the headers that may stand only once.

    Raises:
        Refusal: 405 for another method, 400 for a header that stands twice.
    """
    if request.method not in _METHODS:
        raise Refusal(405, "MethodNotAllowed", "An MCP endpoint takes POST, GET and DELETE", headers={"Allow": _ALLOW})
    headers = request.headers
    for name in _ONCE:
        if name in headers and len(headers.getall(name)) > 1:
            raise Refusal(400, "DuplicateHeader", f"The header {name} stands more than once")


_ALLOW: Final = "POST, GET, DELETE"
