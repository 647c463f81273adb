"""An MCP server whose every answer is a script of the test, on real HTTP in the test's own loop.

async def script(request, arrived):
    async with events(request) as stream:
        await stream.send(progress)
        await gate.wait()
        await stream.send(answer(arrived, {"content": []}))
    return stream.response

async with serving(script) as upstream:
    await gateway.apply(gateway.entry("mock", upstream.url))

For bytes that no HTTP server would send there is `scripted_server`.
"""

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web
from multidict import CIMultiDictProxy
from timeouts import TIMEOUT_SECONDS


@dataclass(slots=True)
class Arrived:
    """One request as the upstream got it. ``gone`` is set when its connection is lost before it was answered."""

    http_method: str
    headers: CIMultiDictProxy[str]
    body: bytes
    gone: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def message(self) -> dict[str, Any]:
        """The JSON-RPC message in the body."""
        message = json.loads(self.body)
        assert isinstance(message, dict)
        return message

    @property
    def method(self) -> str:
        """The JSON-RPC method, or the HTTP method where there is no body."""
        return str(self.message.get("method", "")) if self.body else self.http_method


Script = Callable[[web.BaseRequest, Arrived], Awaitable[web.StreamResponse]]


@dataclass(slots=True)
class Upstream:
    """A running scripted server."""

    url: str
    arrived: list[Arrived] = field(default_factory=list)
    _news: asyncio.Event = field(default_factory=asyncio.Event)

    def note(self, arrived: Arrived) -> None:
        """Take down a request."""
        self.arrived.append(arrived)
        self._news.set()

    async def first(self, method: str) -> Arrived:
        """Wait for the first request with this method (JSON-RPC's, or HTTP's where there is no body)."""
        async with asyncio.timeout(TIMEOUT_SECONDS):
            while True:
                found = next((each for each in self.arrived if each.method == method), None)
                if found is not None:
                    return found
                self._news.clear()
                await self._news.wait()

    def count(self, method: str) -> int:
        """How many requests with this method arrived."""
        return sum(each.method == method for each in self.arrived)


@asynccontextmanager
async def serving(script: Script, *, tls: ssl.SSLContext | None = None) -> AsyncIterator[Upstream]:
    """Serve the script on a free port of loopback. A script that fails fails the test."""
    upstream = Upstream("")
    failures: list[BaseException] = []

    async def handle(request: web.BaseRequest) -> web.StreamResponse:
        arrived = Arrived(request.method, request.headers, await request.content.read())
        upstream.note(arrived)
        try:
            return await script(request, arrived)
        except asyncio.CancelledError:
            arrived.gone.set()
            raise
        except ConnectionError:
            arrived.gone.set()
            return web.Response()
        except Exception as error:
            failures.append(error)
            raise

    runner = web.ServerRunner(web.Server(handle, handler_cancellation=True, access_log=None), shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls)
    await site.start()
    upstream.url = f"{'http' if tls is None else 'https'}://127.0.0.1:{runner.addresses[0][1]}/mcp"
    try:
        yield upstream
    finally:
        await runner.cleanup()
    if failures:
        raise failures[0]


def answer(arrived: Arrived, result: Mapping[str, Any]) -> dict[str, Any]:
    """The JSON-RPC result for a request."""
    return {"jsonrpc": "2.0", "id": arrived.message["id"], "result": dict(result)}


def document(body: Any, *, status: int = 200, headers: Mapping[str, str] | None = None) -> web.Response:
    """An answer as one JSON document, or as these bytes."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return web.Response(body=content, status=status, headers={"Content-Type": "application/json", **(headers or {})})


class RefusableScene:
    """A server that answers every call with ``result``, or refuses all of them with ``status``."""

    def __init__(self, result: Mapping[str, Any]) -> None:
        self.result = result
        self.status = 200

    async def script(self, _request: web.BaseRequest, arrived: Arrived) -> web.StreamResponse:
        """Answer a call, or refuse it with a challenge that leads elsewhere and all that it was sent."""
        if self.status != 200:
            challenge = {"WWW-Authenticate": 'Bearer resource_metadata="https://evil.example"'}
            return web.Response(status=self.status, headers=challenge, text=str(dict(arrived.headers)))
        return document(answer(arrived, self.result))


class EventStream:
    """An answer as events; each is on the wire when :meth:`send` returns."""

    def __init__(self, response: web.StreamResponse) -> None:
        self.response = response

    async def send(self, message: Mapping[str, Any], *, id: str | None = None) -> None:  # noqa: A002  SSE's own word
        """Send one message as an event."""
        prefix = f"id: {id}\n" if id is not None else ""
        await self.raw(f"{prefix}event: message\ndata: {json.dumps(message)}\n\n".encode())

    async def raw(self, data: bytes) -> None:
        """Send bytes."""
        await self.response.write(data)


@asynccontextmanager
async def events(request: web.BaseRequest, headers: Mapping[str, str] | None = None) -> AsyncIterator[EventStream]:
    """Begin an event stream; its head is on the wire at once. It ends with the block."""
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream", **(headers or {})})
    await response.prepare(request)
    yield EventStream(response)
    await response.write_eof()


async def progress_and_then(
    request: web.BaseRequest, message: Mapping[str, Any], *, when: asyncio.Event
) -> web.StreamResponse:
    """Answer with events: progress at once, and this message when its moment has come."""
    async with events(request) as stream:
        await stream.send({"jsonrpc": "2.0", "method": "notifications/progress", "params": {"progress": 1}})
        await when.wait()
        await stream.send(message)
    return stream.response


def initialize_answer(arrived: Arrived, *, session: str | None = "upstream-session") -> web.Response:
    """A server's answer to initialize, at the revision that was asked for."""
    result = {
        "protocolVersion": arrived.message["params"]["protocolVersion"],
        "capabilities": {"tools": {"listChanged": True}, "resources": {"subscribe": True}, "prompts": {}},
        "serverInfo": {"name": "scripted", "version": "1"},
    }
    headers = {"Mcp-Session-Id": session} if session is not None else {}
    return document(answer(arrived, result), headers=headers)


def with_handshake(script: Script, *, session: str | None = "upstream-session") -> Script:
    """Answer initialize and take every notification and answer; leave the rest to the script."""

    async def whole(request: web.BaseRequest, arrived: Arrived) -> web.StreamResponse:
        if arrived.method == "initialize":
            return initialize_answer(arrived, session=session)
        if arrived.body and ("id" not in arrived.message or "method" not in arrived.message):
            return web.Response(status=202)
        return await script(request, arrived)

    return whole
