"""A thousand long-lived streams use bounded memory and leave nothing behind."""

import asyncio
import gc
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web
from configs import entry
from gateways import BOUNDS, RunningGateway
from mcp_caller import mcp_caller
from mcp_clients import eventually
from ready_gateway import ready_gateway, resident_memory, upstream_at
from timeouts import TIMEOUT_SECONDS
from upstreams import Arrived, events, serving
from waiting import for_ever
from wire import Wire, connected

from ostiary_gateway.pipeline.exchange import Exchange
from ostiary_gateway.server.llhttp.connection import LlhttpConnection
from ostiary_gateway.upstream.http1.upstream_connection import UpstreamConnection

STREAMS = 1000
GET = b"GET /mock/mcp HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n"
HELD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
EVENT = b'data: {"jsonrpc":"2.0","method":"notifications/tools/list_changed"}\n\n'


class Holder(asyncio.Protocol):
    """An upstream that takes whatever comes for a stream, and holds it."""

    def __init__(self, held: set[asyncio.Transport]) -> None:
        self._held = held

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:  # noqa: ARG002  asyncio's name
        self._held.add(self._transport)
        self._transport.write(HELD)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  asyncio's name
        self._held.discard(self._transport)


@asynccontextmanager
async def holding() -> AsyncIterator[tuple[int, set[asyncio.Transport]]]:
    held: set[asyncio.Transport] = set()
    server = await asyncio.get_running_loop().create_server(lambda: Holder(held), "127.0.0.1", 0, backlog=STREAMS)
    try:
        yield server.sockets[0].getsockname()[1], held
    finally:
        server.close()
        for transport in list(held):
            transport.abort()
        await server.wait_closed()


async def opened(port: int, count: int, stack: AsyncExitStack) -> list[Wire]:
    wires = []
    for _ in range(count):
        wire = await stack.enter_async_context(connected(port))
        await wire.send(GET)
        assert (await wire.head()).status == 200
        wires.append(wire)
    return wires


async def test_a_thousand_streams_take_little_memory_each_and_all_hear(tmp_path: Path) -> None:
    bounds = BOUNDS.model_copy(update={"streams": 2 * STREAMS})
    async with holding() as (port, held):
        mock = entry("mock", servers=[upstream_at(f"http://127.0.0.1:{port}/mcp")])
        async with ready_gateway(tmp_path, mock, bounds=bounds) as gateway:
            async with AsyncExitStack() as stack:
                await opened(gateway.port, 100, stack)
            await eventually(lambda: not held)
            before = resident_memory(gateway)
            async with AsyncExitStack() as stack:
                wires = await opened(gateway.port, STREAMS, stack)
                assert (resident_memory(gateway) - before) / STREAMS < 32, "KiB each"
                for transport in held:
                    transport.write(b"%x\r\n%b\r\n" % (len(EVENT), EVENT))
                for wire in wires:
                    async with asyncio.timeout(TIMEOUT_SECONDS):
                        assert EVENT in await wire.reader.readuntil(EVENT)
            await eventually(lambda: not held)


def ours() -> int:
    kinds = (LlhttpConnection, UpstreamConnection, Exchange)
    return sum(isinstance(each, kinds) for each in gc.get_objects())


@pytest.mark.parametrize("how", ["dropped", "refused"])
async def test_closed_connections_leave_nothing_to_the_garbage_collector(gateway: RunningGateway, how: str) -> None:
    async def hold(request: web.BaseRequest, arrived: Arrived) -> web.StreamResponse:
        async with events(request) as stream:
            await for_ever()
        return stream.response

    async with serving(hold) as upstream:
        await gateway.apply(gateway.entry("mock", upstream.url))
        async with mcp_caller(gateway.url()) as caller, caller.listen():
            pass
        await eventually(lambda: not gateway.app.pipeline.limiter.total.connections)
        gc.collect()
        gc.disable()
        try:
            before = ours()
            for _ in range(20):
                async with connected(gateway.app.port) as wire:
                    await wire.send(GET if how == "dropped" else GET.replace(b"mock", b"none"))
                    assert (await wire.head()).status == (200 if how == "dropped" else 404)
            await eventually(lambda: not gateway.app.pipeline.limiter.total.connections)
            await eventually(lambda: ours() <= before)
        finally:
            gc.enable()
