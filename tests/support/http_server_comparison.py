"""The gateway's HTTP servers without a socket: bytes in, parsed requests out; and h11 to compare with."""

import asyncio
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, cast

import h11
from http_listener import HTTP_SERVER, new_listener

from ostiary_gateway.server.host import ServedConnection
from ostiary_gateway.server.http_servers import HTTP_SERVERS
from ostiary_gateway.server.request import Request
from ostiary_gateway.server.response import Response

#: Turns of the event loop without another byte: the servers need fewer from input to answer.
_SETTLED_AFTER = 12


@dataclass(frozen=True, slots=True)
class ParsedRequest:
    """One request as a server understood it."""

    method: str
    target: str
    body: bytes


@dataclass(frozen=True, slots=True)
class ServerReading:
    """The complete requests of a connection, and why it ended (the status of a refusal, or a message), if it did."""

    requests: tuple[ParsedRequest, ...]
    ended: str | None


class _Socket:
    def setsockopt(self, *_: object) -> None:
        """Nothing to set."""


class _Transport:
    """Takes down what is written. It holds back what arrives while reading is paused, as a real one does."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.written = bytearray()
        self.paused = self.closed = self.finished = False
        self.connection: ServedConnection | None = None
        self._loop = loop

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return {"socket": _Socket(), "peername": ("127.0.0.1", 1), "sockname": ("127.0.0.1", 2)}.get(name, default)

    def write(self, data: bytes) -> None:
        assert not self.finished, "an answer behind the last one"
        if not self.closed:
            self.written += data

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        self.finished = True

    def get_write_buffer_size(self) -> int:
        return 0

    def is_closing(self) -> bool:
        return self.closed

    def pause_reading(self) -> None:
        self.paused = True

    def resume_reading(self) -> None:
        self.paused = False

    def abort(self) -> None:
        if not self.closed and self.connection is not None:
            self.closed = True
            self._loop.call_soon(self.connection.connection_lost, None)


async def _echo(request: Request) -> Response:
    if request.target.startswith("/unread"):
        return Response(200, json.dumps([request.method, request.target, None]).encode())
    body = b""
    while data := await request.read_some():
        body += data
    return Response(200, json.dumps([request.method, request.target, body.hex()]).encode())


class ServerComparison:
    """Connections to one of our servers, one after another."""

    def __init__(self, loop: asyncio.AbstractEventLoop, server: str) -> None:
        self._loop = loop
        self._server = server
        self._listener = new_listener(_echo)
        self._listener.loop = loop

    def read(self, pieces: Sequence[bytes]) -> ServerReading:
        """What our server understands of these pieces."""
        written, is_closed = self.answer(pieces)
        return _understood(written, "closed" if is_closed else None)

    def answer(self, pieces: Sequence[bytes]) -> tuple[bytes, bool]:
        """What our server writes to a client that sends these pieces, and whether it closes the connection."""
        return self._loop.run_until_complete(self._answer(pieces))

    async def _answer(self, pieces: Sequence[bytes]) -> tuple[bytes, bool]:
        transport = _Transport(self._loop)
        transport.connection = connection = HTTP_SERVERS[self._server](self._listener)
        connection.connection_made(cast("asyncio.Transport", transport))
        for piece in pieces:
            while transport.paused and not transport.closed:  # noqa: ASYNC110  there is no event for that
                await asyncio.sleep(0)
            if not transport.closed:
                connection.data_received(piece)
        await self._settle(transport)
        written, is_closed = bytes(transport.written), transport.closed or transport.finished
        transport.abort()
        await self._settle(transport)
        assert not self._listener.connections
        assert connection.task is None or connection.task.done()
        return written, is_closed

    async def _settle(self, transport: _Transport) -> None:
        quiet, before = 0, -1
        while quiet < _SETTLED_AFTER:
            await asyncio.sleep(0)
            now = len(transport.written)
            quiet, before = (quiet + 1, now) if now == before else (0, now)


def _understood(written: bytes, ended: str | None) -> ServerReading:
    """Read the answers of our server, which must be well-formed."""
    requests: list[ParsedRequest] = []
    while written:
        head, separator, rest = written.partition(b"\r\n\r\n")
        assert separator, "half a head"
        status = int(head.split(b" ", 2)[1])
        if status == 100:
            written = rest
            continue
        [length] = [int(line[16:]) for line in head.split(b"\r\n") if line.startswith(b"Content-Length: ")]
        if status != 200:
            assert ended is not None, "a refusal ends the connection"
            assert rest[length:] == b"", "something behind the last answer"
            return ServerReading(tuple(requests), str(status))
        method, target, body = json.loads(rest[:length])
        requests.append(ParsedRequest(method, target, bytes.fromhex(body) if body is not None else b""))
        written = rest[length:]
    return ServerReading(tuple(requests), ended)


def read_by_h11(data: bytes) -> ServerReading:
    """What h11, which is written for strictness, understands of the same bytes."""
    server = h11.Connection(h11.SERVER, max_incomplete_event_size=1 << 20)
    server.receive_data(data)
    requests: list[ParsedRequest] = []
    current: tuple[str, str] | None = None
    body = b""
    try:
        while True:
            event = server.next_event()
            if isinstance(event, h11.Request):
                current, body = (event.method.decode(), event.target.decode("latin-1")), b""
            elif isinstance(event, h11.Data):
                body += bytes(event.data)
            elif isinstance(event, h11.EndOfMessage):
                assert current is not None
                requests.append(ParsedRequest(*current, body))
                if current[0] == "CONNECT":
                    return ServerReading(tuple(requests), "closed")
                server.send(h11.Response(status_code=200, headers=[("content-length", "0")]))
                server.send(h11.EndOfMessage())
                if server.our_state is h11.MUST_CLOSE:
                    return ServerReading(tuple(requests), "closed")
                server.start_next_cycle()
            else:
                return ServerReading(tuple(requests), None)
    except h11.RemoteProtocolError as error:
        return ServerReading(tuple(requests), str(error))


@contextmanager
def http_server_comparison(server: str = HTTP_SERVER) -> Iterator[ServerComparison]:
    """Run a comparison in an event loop of its own until the block ends."""
    loop = asyncio.new_event_loop()
    try:
        yield ServerComparison(loop, server)
    finally:
        loop.close()
