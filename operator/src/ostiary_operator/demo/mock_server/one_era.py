"""Serves one era of the protocol only, as servers in the field do.

The SDK's server speaks both eras. What a server of one era answers to requests of the other is what the official SDKs
of one era answer: Python 1.x for servers with sessions, TypeScript 2.x for servers without.
"""

import json
from collections.abc import Callable
from typing import Any, Final

from mcp.types import INVALID_REQUEST, UNSUPPORTED_PROTOCOL_VERSION
from mcp.types.version import HANDSHAKE_PROTOCOL_VERSIONS, MODERN_PROTOCOL_VERSIONS
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from ostiary_operator.demo.served_eras import ServedEras

_VERSION_HEADER: Final = "mcp-protocol-version"
_MOST_BYTES: Final = 1 << 20
"""Of a refused body, only so much is read to find the id of its request."""


def pinned(app: ASGIApp, eras: ServedEras) -> ASGIApp:
    """Return an application that serves these eras of another one, which speaks both."""
    wrappers: dict[ServedEras, Callable[[ASGIApp], ASGIApp]] = {
        ServedEras.LEGACY: _LegacyOnly,
        ServedEras.MODERN: _ModernOnly,
    }
    return wrappers[eras](app) if eras in wrappers else app


class _OneEra:
    """Refuses requests of the other era, before anything else looks at them."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        respond: ASGIApp = self._app
        if scope["type"] == "http" and scope["path"].endswith("/mcp"):
            request = Request(scope, receive)
            if not self._serves(request.headers.get(_VERSION_HEADER)):
                respond = await self._refusal(request)
        await respond(scope, receive, send)

    def _serves(self, version: str | None) -> bool:
        raise NotImplementedError

    async def _refusal(self, request: Request) -> Response:
        raise NotImplementedError


class _LegacyOnly(_OneEra):
    """Refuses revisions without sessions."""

    def _serves(self, version: str | None) -> bool:
        return version is None or version in HANDSHAKE_PROTOCOL_VERSIONS

    async def _refusal(self, request: Request) -> Response:
        version, known = request.headers[_VERSION_HEADER][:64], ", ".join(HANDSHAKE_PROTOCOL_VERSIONS)
        message = f"Bad Request: Unsupported protocol version: {version}. Supported versions: {known}"
        return await _error(request, INVALID_REQUEST, message)


class _ModernOnly(_OneEra):
    """Refuses handshakes, streams by GET and the end of sessions."""

    def _serves(self, version: str | None) -> bool:
        return version in MODERN_PROTOCOL_VERSIONS

    async def _refusal(self, request: Request) -> Response:
        if request.method != "POST":
            return Response(status_code=405, headers={"Allow": "POST"})
        message = "Unsupported protocol version: the request did not name a protocol version without sessions"
        data = {"supported": list(MODERN_PROTOCOL_VERSIONS)}
        return await _error(request, UNSUPPORTED_PROTOCOL_VERSION, message, data)


async def _error(request: Request, code: int, message: str, data: dict[str, Any] | None = None) -> Response:
    """Return an error with the id of the message.

    A notification, which gets no answer, is accepted and dropped.
    """
    sent = await _message(request)
    if isinstance(sent, dict) and "method" in sent and "id" not in sent:
        return Response(status_code=202)
    error = {"code": code, "message": message} | ({} if data is None else {"data": data})
    id_ = sent.get("id") if isinstance(sent, dict) else None
    return JSONResponse({"jsonrpc": "2.0", "id": id_, "error": error}, status_code=400)


async def _message(request: Request) -> Any:
    """Return the message in the body; None if it is too large or no JSON."""
    body = b""
    async for piece in request.stream():
        body += piece
        if len(body) > _MOST_BYTES:
            return None
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None
