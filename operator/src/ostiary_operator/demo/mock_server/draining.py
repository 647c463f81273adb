"""Ends what is open when the server stops: calls with an error, streams in order, so that nothing keeps it alive."""

import asyncio
from typing import Any

import anyio
from mcp.server.context import CallNext, HandlerResult, ServerRequestContext
from mcp.shared.exceptions import MCPError
from mcp.types import INTERNAL_ERROR
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send


class RequestsInFlight:
    """A middleware of the MCP server that can end all requests in flight.

    Each is answered with an error, so its client knows at once. Ending only the HTTP response would not do: a
    session's requests run in the session's own task, which would wait a second to answer into a closed stream.
    """

    def __init__(self) -> None:
        self._open: set[anyio.CancelScope] = set()

    async def __call__(self, ctx: ServerRequestContext[Any, Any], call_next: CallNext) -> HandlerResult:
        """Pass one message on. Listen streams are left alone, for they end with a result of their own."""
        if ctx.request_id is None or ctx.method == "subscriptions/listen":
            return await call_next(ctx)
        with anyio.CancelScope() as cancel:
            self._open.add(cancel)
            try:
                return await call_next(ctx)
            finally:
                self._open.discard(cancel)
        raise MCPError(INTERNAL_ERROR, "The server is stopping")

    def end(self) -> None:
        """End the requests that are in flight now."""
        for cancel in list(self._open):
            cancel.cancel()


class DrainingApp:
    """An ASGI application that runs another and can end all its open responses.

    An ended stream ends in order (its last chunk is sent), so a client sees the end of the stream and not a broken
    connection. Requests that come later, on connections that are still open, are answered 503.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._open: set[anyio.CancelScope] = set()
        self._idle = asyncio.Event()
        self._draining = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        response = _Response(send)
        if not self._draining:
            await self._serve(scope, receive, response)
        if self._draining:
            await response.finish(scope, receive)

    async def _serve(self, scope: Scope, receive: Receive, response: "_Response") -> None:
        with anyio.CancelScope() as cancel:
            self._open.add(cancel)
            try:
                await self._app(scope, receive, response.send)
            finally:
                self._open.discard(cancel)
                if not self._open:
                    self._idle.set()

    async def drain(self, *, grace: float) -> None:
        """Refuse new requests, give the open ones `grace` seconds to end by themselves, then end them."""
        self._draining = True
        if self._open:
            self._idle.clear()
            with anyio.move_on_after(grace):
                await self._idle.wait()
        for cancel in list(self._open):
            cancel.cancel()


class _Response:
    """Remembers how far a response has come."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._started = False
        self._complete = False

    async def send(self, message: Message) -> None:
        self._started = self._started or message["type"] == "http.response.start"
        self._complete = message["type"] == "http.response.body" and not message.get("more_body", False)
        await self._send(message)

    async def finish(self, scope: Scope, receive: Receive) -> None:
        if not self._started:
            await PlainTextResponse("stopping", status_code=503)(scope, receive, self._send)
        elif not self._complete:
            await self._send({"type": "http.response.body", "body": b"", "more_body": False})
