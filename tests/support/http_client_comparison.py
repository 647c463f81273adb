"""An upstream that sends any bytes, and two HTTP clients that read them: the gateway's and aiohttp's.

One event loop and one server on loopback serve every example of a test: enter the context once for a module.
"""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import aiohttp
from scripted_server import read_request
from timeouts import TIMEOUT_SECONDS

from ostiary_gateway.errors import UpstreamFault
from ostiary_gateway.upstream.allowed_addresses import OwnEndpoints, networks
from ostiary_gateway.upstream.http1.dialer import Dialer
from ostiary_gateway.upstream.http1.pool import Pool
from ostiary_gateway.upstream.http1.upstream_response import UpstreamResponse

REQUEST = b"POST /mcp HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\n{}"
HONEST = b"the honest answer"
#: After this number of loop iterations, all that was written to a socket of loopback has been read from it.
_TURNS = 4
_SECONDS = TIMEOUT_SECONDS / 2


@dataclass(frozen=True, slots=True)
class ClientReading:
    """What a client read: headers by lower-case name, duplicates joined by commas."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes


#: The whole of an answer, or None where it was refused.
Outcome = ClientReading | None


async def _turns() -> None:
    for _ in range(_TURNS):
        await asyncio.sleep(0)


@dataclass(frozen=True, slots=True)
class _Play:
    """What the server says to the next request; ``played`` is set when all of it has been written."""

    pieces: Sequence[bytes]
    hang_up: bool
    played: asyncio.Event = field(default_factory=asyncio.Event)


class ClientComparison:
    """``play`` is written to the next request, piece by piece; every request after it has an honest answer."""

    def __init__(self) -> None:
        self._runner = asyncio.Runner()
        self._play: _Play | None = None
        self._port = 0

    def start(self) -> None:
        """Listen."""
        self._runner.run(self._listen())

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self._port = self._server.sockets[0].getsockname()[1]

    def stop(self) -> None:
        """Listen no more, and end what is left."""
        self._server.close()
        self._runner.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                await read_request(reader)
                play, self._play = self._play, None
                if play is None:
                    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(HONEST) + HONEST)
                    continue
                for piece in play.pieces:
                    writer.write(piece)
                    await _turns()
                play.played.set()
                if play.hang_up:
                    return
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    def by_ours(self, pieces: Sequence[bytes], names: Sequence[str]) -> Outcome:
        """Read an answer, after which the server hangs up, as the gateway does; of its headers those of these names."""

        async def read() -> Outcome:
            self._play = _Play(pieces, hang_up=True)
            pool = self._pool()
            try:
                return await _read(await pool.exchange(REQUEST, seconds=_SECONDS), names)
            except UpstreamFault:
                return None
            finally:
                pool.close()

        return self._runner.run(read())

    def by_aiohttp(self, pieces: Sequence[bytes], *, seconds: float = _SECONDS) -> Outcome:
        """Read such an answer as aiohttp's client does.

        Raises:
            TimeoutError: it neither accepts nor refuses it. After some broken chunks it waits forever.
        """

        async def read() -> Outcome:
            self._play = _Play(pieces, hang_up=True)
            connector = aiohttp.TCPConnector(force_close=True)
            timeout = aiohttp.ClientTimeout(total=seconds)
            async with aiohttp.ClientSession(connector=connector, auto_decompress=False, timeout=timeout) as session:
                url = f"http://127.0.0.1:{self._port}/mcp"
                try:
                    async with session.post(url, data=b"{}", allow_redirects=False) as response:
                        body = await response.read()
                        raw = [(n.decode("latin-1"), v.decode("latin-1")) for n, v in response.raw_headers]
                        return ClientReading(response.status, joined(raw), body)
                except TimeoutError:
                    raise
                except aiohttp.ClientError:
                    return None

        return self._runner.run(read())

    def next_after(self, pieces: Sequence[bytes], *, hang_up: bool) -> bytes | None:
        """Have an answer of these bytes read by our pool, or refused, then ask again: the body of the second answer.

        None where the second exchange failed. It begins when all bytes have been sent, so they are there to be mistaken
        for its answer.
        """

        async def read() -> bytes | None:
            self._play = play = _Play(pieces, hang_up=hang_up)
            pool = self._pool()
            try:
                first = asyncio.ensure_future(self._first(pool))
                await play.played.wait()
                await _turns()
                first.cancel()
                await asyncio.wait([first])
                try:
                    second = await _read(await pool.exchange(REQUEST, seconds=_SECONDS), [])
                except UpstreamFault:
                    return None
                return second.body if second.status == 200 else b""
            finally:
                pool.close()

        return self._runner.run(read())

    async def _first(self, pool: Pool) -> None:
        try:
            await _read(await pool.exchange(REQUEST, seconds=_SECONDS), [])
        except UpstreamFault:
            return

    def _pool(self) -> Pool:
        dialer = Dialer("127.0.0.1", self._port, _SECONDS, None, None, networks(["127.0.0.0/8"]), OwnEndpoints())
        return Pool(dialer.dial, limit=2, keep_seconds=_SECONDS, wait_seconds=_SECONDS)


async def _read(response: UpstreamResponse, names: Sequence[str]) -> ClientReading:
    pieces = []
    try:
        while piece := await response.read_some(_SECONDS):
            pieces.append(piece)
    finally:
        response.close()
    found = [(name, _tidy(value)) for name in names if (value := response.header(name)) is not None]
    return ClientReading(response.status, tuple(sorted(found)), b"".join(pieces))


def joined(headers: Sequence[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    """Return headers by lower-case name, sorted, duplicates joined by commas (RFC 9110 §5.3).

    White space around commas is dropped.
    """
    found: dict[str, str] = {}
    for name, value in headers:
        key = name.lower()
        found[key] = f"{found[key]}, {value}" if key in found else value
    return tuple(sorted((name, _tidy(value)) for name, value in found.items()))


def _tidy(value: str) -> str:
    return ",".join(part.strip(" \t") for part in value.split(","))


@contextmanager
def http_client_comparison() -> Iterator[ClientComparison]:
    """Run the server and both clients until the block ends."""
    made = ClientComparison()
    made.start()
    try:
        yield made
    finally:
        made.stop()
