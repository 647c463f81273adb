"""A server and a caller that do almost nothing: what is slow, or fails, is the gateway between them.

async with minimal_server() as server:                             # answers each POST with a result, counts them
    async with minimal_callers(port, "mock", 10) as callers:       # each with a connection of its own
        assert await callers[0].call() == 200
"""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, Final

from wire import Wire, post

_CALL: Final = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "get_users", "arguments": {}}}
_RESULT: Final = json.dumps({"jsonrpc": "2.0", "id": 1, "result": {"content": []}}).encode()
_ANSWER: Final = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (
    len(_RESULT),
    _RESULT,
)
_STREAM: Final = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"


class MinimalServer:
    """What the connections of a server received. While ``gate`` is clear, no request is answered."""

    def __init__(self) -> None:
        self.url = ""
        self.calls = 0
        self.streams: set[asyncio.Transport] = set()
        self.broken_streams = 0
        self.gate = asyncio.Event()
        self.gate.set()

    def send_event(self, event: bytes) -> None:
        """Send an event on every stream."""
        for stream in self.streams:
            stream.write(b"%x\r\n%b\r\n" % (len(event), event))


class _Serving(asyncio.Protocol):
    def __init__(self, server: MinimalServer) -> None:
        self._server = server
        self._buffer = b""
        self._tasks: set[asyncio.Task[None]] = set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head, end, rest = self._buffer.partition(b"\r\n\r\n")
        if not end:
            return
        if head.startswith(b"GET"):
            self._buffer = rest
            self._server.streams.add(self._transport)
            self._transport.write(_STREAM)
            return
        size = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])
        if len(rest) < size:
            return
        self._buffer = rest[size:]
        self._server.calls += 1
        task = asyncio.get_running_loop().create_task(self._answer())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _answer(self) -> None:
        await self._server.gate.wait()
        self._transport.write(_ANSWER)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  asyncio's name
        if self._transport in self._server.streams:
            self._server.streams.discard(self._transport)
            self._server.broken_streams += 1


@asynccontextmanager
async def tcp_server(protocol: Callable[[], asyncio.Protocol]) -> AsyncIterator[int]:
    """A server of this protocol on a free port."""
    server = await asyncio.get_running_loop().create_server(protocol, "127.0.0.1", 0, backlog=1024)
    try:
        yield int(server.sockets[0].getsockname()[1])
    finally:
        server.close()
        await server.wait_closed()


@asynccontextmanager
async def minimal_server() -> AsyncIterator[MinimalServer]:
    """A server that answers."""
    made = MinimalServer()
    async with tcp_server(lambda: _Serving(made)) as port:
        made.url = f"http://127.0.0.1:{port}/mcp"
        yield made


class MinimalCaller:
    """One connection to a gateway, opened again after it was closed."""

    def __init__(self, port: int, proxy: str) -> None:
        self._port = port
        self._request = post(f"/{proxy}/mcp", json.dumps(_CALL).encode())
        self._wire: Wire | None = None
        self._writer: asyncio.StreamWriter | None = None

    async def call(self) -> int:
        """Call a tool and return the HTTP status; with 200 and a JSON-RPC error, its code.

        Raises:
            OSError: there was no answer, or no connection.
        """
        if self._wire is None:
            reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port)
            self._wire = Wire(reader, self._writer)
        await self._wire.send(self._request)
        try:
            reply = await self._wire.reply()
        except asyncio.IncompleteReadError as error:
            raise ConnectionResetError("closed without an answer") from error
        if reply.headers.get("connection") == "close":
            self.close()
        refused = json.loads(reply.body).get("error")
        return int(refused["code"]) if reply.status == 200 and refused else reply.status

    @property
    def connected(self) -> bool:
        """Whether the connection was kept."""
        return self._wire is not None

    def close(self) -> None:
        """Close the connection."""
        if self._writer is not None:
            self._writer.close()
        self._wire = self._writer = None


@asynccontextmanager
async def minimal_callers(port: int, proxy: str, count: int) -> AsyncIterator[list[MinimalCaller]]:
    """Create this number of callers, each with a connection of its own."""
    callers = [MinimalCaller(port, proxy) for _ in range(count)]
    try:
        yield callers
    finally:
        for caller in callers:
            caller.close()


async def call_at_rate(callers: list[MinimalCaller], *, rate: float, until: asyncio.Event) -> list[tuple[int, float]]:
    """Let every caller call at its share of the rate until the event is set.

    Return for each call what :meth:`MinimalCaller.call` returned, and its seconds since it was due.
    """

    async def one(number: int, caller: MinimalCaller) -> list[tuple[int, float]]:
        found = []
        loop = asyncio.get_running_loop()
        step = len(callers) / rate
        due = loop.time() + step * number / len(callers)
        while not until.is_set():
            await asyncio.sleep(max(0.0, due - loop.time()))
            found.append((await caller.call(), loop.time() - due))
            due = max(due + step, loop.time() - 1.0)  # do not queue more and more calls on a machine that is too slow
        return found

    everyone: list[Any] = await asyncio.gather(*(one(number, caller) for number, caller in enumerate(callers)))
    return [call for calls in everyone for call in calls]
