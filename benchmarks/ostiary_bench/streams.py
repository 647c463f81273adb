"""Measures the cost of open streams.

It opens many GET streams through one gateway process, and reads its memory.

``python -m ostiary_bench.streams --streams 10000`` runs it alone.
"""

import argparse
import asyncio
import resource
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, cast

from ostiary_bench import meters
from ostiary_bench.gateways_under_test import compile_into, proxy, start_gateway
from ostiary_bench.probes import answers
from ostiary_bench.servers import OTHER_CORE, on_core
from ostiary_gateway.open_files import connections_for, raise_file_limit
from ostiary_tools.common.errors import ToolError
from ostiary_tools.common.ports import reserve_port
from ostiary_tools.common.processes import Process, wait_until

#: Streams that are being opened at a time.
_AT_A_TIME: Final = 200
_GET: Final = b"GET /held/mcp HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n"
_SAY: Final = b"POST /say HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Streams:
    """The cost of ``count`` open streams in one gateway process.

    ``opened`` is the number of streams opened per second, ``delivered`` the milliseconds until an event reached all.
    ``again_mebibytes`` is the memory after all streams were closed and as many opened again.
    """

    count: int
    kibibytes_each: float
    resident_mebibytes: float
    opened: float
    delivered: float
    again_mebibytes: float


class _StreamClient(asyncio.Protocol):
    """One stream of a client."""

    def __init__(self) -> None:
        loop = asyncio.get_running_loop()
        self.begun: asyncio.Future[bytes] = loop.create_future()
        self.event: asyncio.Future[None] = loop.create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self.transport.write(_GET)

    def data_received(self, data: bytes) -> None:
        if not self.begun.done():
            self.begun.set_result(data[: data.find(b"\r\n")])
        if b"list_changed" in data and not self.event.done():
            self.event.set_result(None)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  asyncio's name
        for waiting in (self.begun, self.event):
            if not waiting.done():
                waiting.set_exception(ToolError("a stream broke off"))
                waiting.exception()  # marks it as retrieved: its waiter may have timed out


def measure(count: int) -> Streams:
    """Open ``count`` streams, or fewer if a process may not open enough files.

    Raises:
        ToolError: a stream was refused or broke off.
    """
    files = raise_file_limit()
    count = min(count, connections_for(files) - 16)
    with tempfile.TemporaryDirectory() as directory:
        return _StreamScenario(Path(directory), count).measured()


class _StreamScenario:
    """An upstream that keeps streams open, and a gateway for it."""

    def __init__(self, directory: Path, count: int) -> None:
        self._count = count
        self._upstream = reserve_port()
        command = on_core(OTHER_CORE, sys.executable, Path(__file__).with_name("stream_server.py"), str(self._upstream))
        self._upstream_process = Process("the upstream", command, log=directory / "stream_server.log")
        wait_until(lambda: answers(self._upstream), what="the upstream", processes=[self._upstream_process])
        config = directory / "config"
        room = count + 16
        bounds: dict[str, Any] = {"streams": room, "connections": room}
        bounds |= {"perProxy": {"streams": room}, "perServer": {"connections": room}}
        bounds |= {"perSource": {"streams": room, "requestsInFlight": room, "connections": room}}
        compile_into(config, [proxy("held", f"http://127.0.0.1:{self._upstream}/mcp")], {"bounds": bounds})
        self._gateway, self._port = start_gateway(directory, "streams", config)

    def measured(self) -> Streams:
        try:
            return asyncio.run(self._measured())
        finally:
            self._gateway.stop(grace=10)
            self._upstream_process.stop(grace=2)

    async def _measured(self) -> Streams:
        warm = await self._opened(_AT_A_TIME)
        await self._closed(warm)
        before = meters.resident_mebibytes(self._gateway.pid)
        start = time.perf_counter()
        readers = await self._opened(self._count)
        took = time.perf_counter() - start
        delivered = await self._deliver(readers)
        holding = meters.resident_mebibytes(self._gateway.pid)
        await self._closed(readers)
        readers = await self._opened(self._count)
        again = meters.resident_mebibytes(self._gateway.pid)
        await self._closed(readers)
        each = (holding - before) * 1024 / self._count
        return Streams(self._count, each, holding, self._count / took, delivered * 1000, again)

    async def _opened(self, count: int) -> list[_StreamClient]:
        gate = asyncio.Semaphore(_AT_A_TIME)
        return list(await asyncio.gather(*(self._open(gate) for _ in range(count))))

    async def _open(self, gate: asyncio.Semaphore) -> _StreamClient:
        loop = asyncio.get_running_loop()
        async with gate, asyncio.timeout(60):
            _, reader = await loop.create_connection(_StreamClient, "127.0.0.1", self._port)
            status = await reader.begun
        if b" 200 " not in status:
            raise ToolError(f"a stream was answered with {status!r}")
        return reader

    async def _deliver(self, readers: list[_StreamClient]) -> float:
        """Let the upstream send one event on each stream, and wait until all have arrived."""
        start = time.perf_counter()
        _, writer = await asyncio.open_connection("127.0.0.1", self._upstream)
        writer.write(_SAY)
        async with asyncio.timeout(60):
            await asyncio.gather(*(reader.event for reader in readers))
        took = time.perf_counter() - start
        writer.close()
        return took

    async def _closed(self, readers: list[_StreamClient]) -> None:
        """Close the streams, and wait until the gateway has closed the upstream ones."""
        for reader in readers:
            reader.transport.abort()
        async with asyncio.timeout(60):
            while _sockets(self._gateway.pid) > _AT_A_TIME // 4:  # noqa: ASYNC110  another process has no event for us
                await asyncio.sleep(0.05)


def _sockets(pid: int) -> int:
    """Return the number of open files of a process tree."""
    found = 0
    for each in meters.tree(pid):
        with suppress(OSError):
            found += sum(1 for _ in Path(f"/proc/{each}/fd").iterdir())
    return found


def sentence(streams: Streams | None) -> str:
    """Return the paragraph about open streams, which follows the table."""
    if streams is None:
        return ""
    return (
        f"\n\n{streams.count:,} streams open at one gateway process: {streams.kibibytes_each:.1f} KiB each, "
        f"{streams.resident_mebibytes:.0f} MiB in all, and {streams.again_mebibytes:.0f} MiB after all were closed and "
        f"as many opened again. They were opened at {streams.opened:,.0f} a second; an event for each reached "
        f"all within {streams.delivered:.0f} ms."
    )


def main() -> int:
    """Run this benchmark alone; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m ostiary_bench.streams", description=__doc__)
    parser.add_argument("--streams", type=int, default=10_000, help="streams to open (default: 10000)")
    options = parser.parse_args()
    try:
        found = measure(options.streams)
    except (ToolError, TimeoutError, OSError) as error:
        sys.stderr.write(f"streams: {str(error) or type(error).__name__}\n")
        return 1
    if found.count < options.streams:
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        print(f"(a process may open {min(soft, hard)} files here, two for each stream)", file=sys.stderr)
    print(sentence(found).strip())
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
