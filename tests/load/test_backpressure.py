"""A slow reader slows down the sender, and does not grow the gateway's memory."""

import asyncio
import json
from pathlib import Path
from typing import Final

from configs import entry
from gateways import BOUNDS
from mcp_clients import eventually
from minimal_http import minimal_callers, minimal_server, tcp_server
from ready_gateway import ready_gateway, resident_memory, upstream_at
from timeouts import TIMEOUT_SECONDS
from wire import connected, post

from ostiary_core.contract.bounds import ShareConfig

MIB: Final = 1024  # KiB
EVENT: Final = (
    b"data: %b\n\n"
    % json.dumps(
        {"jsonrpc": "2.0", "method": "notifications/message", "params": {"level": "info", "data": "x" * 4000}}
    ).encode()
)
CHUNKS: Final = b"%x\r\n%b\r\n" % (len(EVENT), EVENT) * 16
#: What four socket buffers of the kernel hold at most, and a margin.
IN_KERNEL: Final = 48 << 20


class Endless(asyncio.Protocol):
    """An upstream that sends events for as long as they are taken, and counts them."""

    def __init__(self) -> None:
        self.sent = 0
        self._paused = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:  # noqa: ARG002  asyncio's name
        self._transport.write(
            b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
        )
        self._send()

    def _send(self) -> None:
        if self._paused or self._transport.is_closing():
            return
        self._transport.write(CHUNKS)
        self.sent += len(CHUNKS)
        asyncio.get_running_loop().call_soon(self._send)

    def pause_writing(self) -> None:
        self._paused = True

    def resume_writing(self) -> None:
        self._paused = False
        self._send()


async def stalled(endless: Endless) -> None:
    """Wait until nothing more is taken."""
    while True:
        before = endless.sent
        await asyncio.sleep(0.5)
        if before and endless.sent == before:
            return


async def test_a_client_that_reads_nothing_stops_an_endless_stream_and_not_the_gateway(tmp_path: Path) -> None:
    made: list[Endless] = []

    def endless() -> Endless:
        made.append(Endless())
        return made[-1]

    async with tcp_server(endless) as port:
        mock = entry("mock", servers=[upstream_at(f"http://127.0.0.1:{port}/mcp")])
        async with ready_gateway(tmp_path, mock) as gateway, connected(gateway.port) as wire:
            before = resident_memory(gateway)
            await wire.send(b"GET /mock/mcp HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n")
            assert (await wire.head()).status == 200
            async with asyncio.timeout(TIMEOUT_SECONDS):
                await eventually(lambda: bool(made))
                await stalled(made[0])
            assert made[0].sent < IN_KERNEL
            assert resident_memory(gateway) - before < 16 * MIB
            taken = made[0].sent
            async with asyncio.timeout(TIMEOUT_SECONDS):
                while made[0].sent < taken + (8 << 20):
                    assert await wire.reader.read(1 << 20)  # and a caller that reads again is sent more
            assert resident_memory(gateway) - before < 24 * MIB


class Deaf(asyncio.Protocol):
    """An upstream that takes connections and reads nothing."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        transport.pause_reading()
        self.transport = transport


async def test_a_server_that_reads_nothing_fills_its_own_share_and_no_other(tmp_path: Path) -> None:
    deaf: list[Deaf] = []

    def made() -> Deaf:
        deaf.append(Deaf())
        return deaf[-1]

    text = {"name": "put", "arguments": {"text": "x" * (1 << 20)}}
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": text}).encode()
    bounds = BOUNDS.model_copy(update={"request_bytes": 2 << 20, "per_proxy": ShareConfig(bytes_in_flight=16 << 20)})
    async with tcp_server(made) as port, minimal_server() as server:
        gone = entry("deaf", servers=[upstream_at(f"http://127.0.0.1:{port}/mcp")])
        other = entry("mock", servers=[upstream_at(server.url)])
        async with ready_gateway(tmp_path, gone, other, bounds=bounds) as gateway:
            before = resident_memory(gateway)

            async def put() -> int:
                async with connected(gateway.port) as wire:
                    await wire.send(post("/deaf/mcp", body))
                    return (await wire.reply()).status

            async with minimal_callers(gateway.port, "mock", 1) as [caller]:
                puts = [asyncio.create_task(put()) for _ in range(60)]
                await eventually(lambda: sum(each.done() for each in puts) >= 60 - 16)
                assert {each.result() for each in puts if each.done()} == {503}
                assert await caller.call() == 200
                assert resident_memory(gateway) - before < 16 * 6 * MIB
            for each in puts:
                each.cancel()
            await asyncio.gather(*puts, return_exceptions=True)
            for connection in deaf:
                connection.transport.abort()


async def test_thousands_of_incomplete_heads_cost_no_more_than_their_bound(tmp_path: Path) -> None:
    head = b"POST /mock/mcp HTTP/1.1\r\nHost: localhost\r\nX-Padding: " + b"x" * 30_000
    bounds = BOUNDS.model_copy(update={"bytes_in_flight": 16 << 20})
    async with (
        minimal_server() as server,
        ready_gateway(tmp_path, entry("mock", servers=[upstream_at(server.url)]), bounds=bounds) as gateway,
        minimal_callers(gateway.port, "mock", 1) as [caller],
    ):
        assert await caller.call() == 200
        before = resident_memory(gateway)
        made = [await asyncio.open_connection("127.0.0.1", gateway.port) for _ in range(1500)]
        for _, writer in made:
            writer.write(head)
        reads = [asyncio.create_task(reader.read()) for reader, _ in made]
        await eventually(lambda: sum(each.done() for each in reads) > 1000)
        assert await caller.call() == 200
        assert resident_memory(gateway) - before < 40 * MIB
        for _, writer in made:
            writer.close()
        await asyncio.gather(*reads, return_exceptions=True)
