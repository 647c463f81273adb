"""Middlewares of the mock server: graceful shutdown, counts, and its name in results.

At shutdown open calls get an error, open streams a regular end. The counts show what passed a gateway, the name shows
which of several servers a gateway chose.
"""

import asyncio
from collections import Counter
from typing import Any, Final

import anyio
from mcp.server.context import CallNext, HandlerResult, ServerRequestContext
from mcp.shared.exceptions import MCPError
from mcp.types import INTERNAL_ERROR
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ostiary_operator.demo.served_eras import SERVER_KEY

_MAX_KINDS: Final = 100
"""Names come from clients. After this many different names, further ones are counted together."""
_MAX_LENGTH: Final = 128
"""Longer names, which no tool has, are counted together."""
_OTHER: Final = "(other)"


class RequestsInFlight:
    """A middleware of the MCP server that can end all requests in flight.

    Each gets an error response at once. Ending only the HTTP response is not enough: a session's requests run in the
    task of the session, which would wait a second to write to a closed stream.
    """

    def __init__(self) -> None:
        self._open: set[anyio.CancelScope] = set()

    async def __call__(self, ctx: ServerRequestContext[Any, Any], call_next: CallNext) -> HandlerResult:
        """Pass one message on. Listen streams are not tracked: they end with a result of their own."""
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
    """An ASGI application that wraps another and can end all its open responses.

    A stream is ended with its last chunk, so that the client sees a complete response, not a broken connection. Later
    requests on open connections get 503.
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
        """Refuse new requests, wait `grace` seconds for open ones, then end the others."""
        self._draining = True
        if self._open:
            self._idle.clear()
            with anyio.move_on_after(grace):
                await self._idle.wait()
        for cancel in list(self._open):
            cancel.cancel()


class _Response:
    """Records whether a response has started and is complete."""

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


class Activity:
    """A middleware of the MCP server that counts messages by method and tool calls by name."""

    def __init__(self) -> None:
        self._methods: Counter[str] = Counter()
        self._calls: Counter[str] = Counter()
        self._running: Counter[str] = Counter()

    async def __call__(self, ctx: ServerRequestContext[Any, Any], call_next: CallNext) -> HandlerResult:
        """Count one message and pass it on."""
        _count(self._methods, ctx.method)
        if ctx.method != "tools/call":
            return await call_next(ctx)
        name = _count(self._calls, str((ctx.params or {}).get("name")))
        self._running[name] += 1
        try:
            return await call_next(ctx)
        finally:
            # Also when the client disconnected: then the call was cancelled.
            self._running[name] -= 1

    def report(self) -> dict[str, dict[str, int]]:
        """Return counts of messages by method, and of tool calls (all, and running) by name."""
        return {"methods": dict(self._methods), "calls": dict(self._calls), "running": dict(+self._running)}


class ServerMark:
    """A middleware that writes a server's name into the `_meta` of each result."""

    def __init__(self, server: str) -> None:
        self._mark = {SERVER_KEY: server}

    async def __call__(self, ctx: ServerRequestContext[Any, Any], call_next: CallNext) -> HandlerResult:
        """Pass one message on, and mark what it results in."""
        result = await call_next(ctx)
        if not isinstance(result, dict) or ctx.method == "subscriptions/listen":
            return result
        return {**result, "_meta": {**result.get("_meta", {}), **self._mark}}


def _count(counter: Counter[str], name: str) -> str:
    known = name in counter or (len(counter) < _MAX_KINDS and len(name) <= _MAX_LENGTH)
    key = name if known else _OTHER
    counter[key] += 1
    return key
