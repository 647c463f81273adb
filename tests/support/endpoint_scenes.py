"""Several scripted servers of the handshake revisions, as the endpoints of one server behind a gateway.

async with endpoint_scenes("a", "b") as pool:
    await gateway.apply(pool.entry(gateway))
    ...
    await pool["a"].stop()
"""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from aiohttp import web
from gateways import RunningGateway
from merged_proxies import merged
from session_scenes import SessionScene
from upstreams import Arrived, EventStream, Upstream, answer, document, events, serving
from waiting import for_ever

from ostiary_core.contract.documents import EntryDocument, PolicyDocument
from ostiary_core.contract.server_resilience import EndpointConfig, RetryBudgetConfig, RetryConfig

URL = "http://pool.example/mcp"
"""The URL of the server: its host does not exist, only its endpoints do."""
RETRY = RetryConfig(attempts=1, backoff=25, budget=RetryBudgetConfig(percent=20, interval=10_000))
"""What the compiler writes for a server with several endpoints unless its spec says otherwise."""


class EndpointScene(SessionScene):
    """One endpoint: it knows its own sessions only, counts in each, and has a stream of announcements."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.sessions: dict[str, int] = {}
        self.streams: list[EventStream] = []
        self.has_stream = True
        self.is_forgetful = False
        self.capabilities = {"tools": {"listChanged": True}, "logging": {}, "resources": {"subscribe": True}}
        #: Whether a call is answered with a stream that can be resumed, and that holds no answer yet.
        self.streams_calls = False
        #: A call waits for it where it is set.
        self.gate: asyncio.Event | None = None
        self._ended: list[asyncio.Event] = []

    async def script(self, request: web.BaseRequest, arrived: Arrived) -> web.StreamResponse:
        """Answer one request."""
        session = arrived.headers.get("Mcp-Session-Id", "")
        if arrived.method == "initialize":
            response = await super().script(request, arrived)
            self.sessions[response.headers.get("Mcp-Session-Id", "")] = 0
            return response
        if session not in self.sessions or session in self.forgotten or self._forgets(arrived):
            return web.Response(status=404)
        if arrived.http_method == "GET" and self.has_stream:
            return await self._announced(request)
        if self.gate is not None and arrived.method == "tools/list":
            await self.gate.wait()
        if arrived.method == "tools/call":
            return await (self._streamed(request) if self.streams_calls else self._called(arrived, session))
        return await super().script(request, arrived)

    def _forgets(self, arrived: Arrived) -> bool:
        """Whether the session of a request is forgotten by the time that it arrives."""
        return self.is_forgetful and "id" in (arrived.message if arrived.body else {})

    async def _called(self, arrived: Arrived, session: str) -> web.StreamResponse:
        if self.gate is not None:
            await self.gate.wait()
        self.sessions[session] += 1
        return document(answer(arrived, {"content": [], "by": self.name, "count": self.sessions[session]}))

    @staticmethod
    async def _streamed(request: web.BaseRequest) -> web.StreamResponse:
        async with events(request) as stream:
            await stream.raw(b"id: call-1\ndata:\n\n")
            await for_ever()
        return stream.response

    async def _announced(self, request: web.BaseRequest) -> web.StreamResponse:
        async with events(request) as stream:
            self.streams.append(stream)
            self._ended.append(ended := asyncio.Event())
            await ended.wait()
        return stream.response

    def end_streams(self) -> None:
        """End the streams of announcements, as a server does that is told to stop."""
        for ended in self._ended:
            ended.set()
        self.streams.clear()


class RunningEndpoint:
    """An endpoint that runs until it is stopped."""

    def __init__(self, scene: EndpointScene) -> None:
        self.scene = scene
        self.upstream = Upstream("")
        self._stack = AsyncExitStack()

    async def start(self) -> None:
        """Serve on a free port of loopback."""
        self.upstream = await self._stack.enter_async_context(serving(self.scene.script))

    async def stop(self) -> None:
        """Break off what is in flight, and refuse connections from now on."""
        await self._stack.aclose()

    @property
    def config(self) -> EndpointConfig:
        """Where it is."""
        port = int(self.upstream.url.rpartition(":")[2].partition("/")[0])
        return EndpointConfig(address="127.0.0.1", port=port)


class EndpointPool:
    """The endpoints by name."""

    def __init__(self, endpoints: dict[str, RunningEndpoint]) -> None:
        self._endpoints = endpoints

    def __getitem__(self, name: str) -> RunningEndpoint:
        return self._endpoints[name]

    def __iter__(self) -> Iterator[RunningEndpoint]:
        return iter(self._endpoints.values())

    @property
    def configs(self) -> list[EndpointConfig]:
        """Where all of them are."""
        return [each.config for each in self]

    def entry(
        self, gateway: RunningGateway, policies: tuple[PolicyDocument, ...] = (), **more: Any
    ) -> tuple[EntryDocument, dict[str, PolicyDocument]]:
        """A proxy with one server that has these endpoints."""
        return gateway.entry("mock", URL, policies, server={"endpoints": self.configs, "retry": RETRY}, **more)

    def merged(
        self, gateway: RunningGateway, others: dict[str, str], **more: Any
    ) -> tuple[EntryDocument, dict[str, PolicyDocument]]:
        """A proxy that merges the server of these endpoints, ``pool``, with others, by name and URL."""
        entry, policies = merged(gateway, {"pool": URL, **others}, **more)
        first, *rest = entry.servers
        servers = [first.model_copy(update={"endpoints": self.configs, "retry": RETRY}), *rest]
        return entry.model_copy(update={"servers": servers}), policies


@asynccontextmanager
async def endpoint_scenes(*names: str) -> AsyncIterator[EndpointPool]:
    """Run so many endpoints until the block ends."""
    pool = {name: RunningEndpoint(EndpointScene(name)) for name in names}
    async with AsyncExitStack() as stack:
        for each in pool.values():
            stack.push_async_callback(each.stop)
            await each.start()
        yield EndpointPool(pool)
