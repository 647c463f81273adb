"""Load: a closed loop (wrk) for cost and throughput, an open loop for latency."""

import asyncio
import re
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ostiary_bench import meters
from ostiary_bench.servers import OTHER_CORE, find, on_core
from ostiary_tools.common.errors import ToolError

_CONNECTIONS: Final = 32
_SCRIPT: Final = """
wrk.method = "POST"
wrk.body = [==[{body}]==]
wrk.headers["Content-Type"] = "application/json"
wrk.headers["Accept"] = "application/json, text/event-stream"
"""


@dataclass(frozen=True, slots=True)
class Closed:
    """Figures of a closed loop of 32 connections.

    They are CPU time, throughput and memory of the measured process.
    """

    cpu_microseconds: float
    calls_per_second: float
    resident_mebibytes: float


@dataclass(frozen=True, slots=True)
class Open:
    """Latencies in milliseconds at a fixed rate, counted from when a call was due."""

    p50: float
    p99: float


def closed_loop(directory: Path, *, pid: int, url: str, body: bytes, seconds: float) -> Closed:
    """Send as fast as possible, after a short warm-up.

    Raises:
        ToolError: a response was not 200.
    """
    script = directory / "wrk.lua"
    script.write_text(_SCRIPT.format(body=body.decode()))
    _wrk(script, url, max(1.0, seconds / 4))
    before = meters.cpu_microseconds(pid)
    calls, took = _wrk(script, url, seconds)
    used = meters.cpu_microseconds(pid) - before
    return Closed(used / calls, calls / took, meters.resident_mebibytes(pid))


def _wrk(script: Path, url: str, seconds: float) -> tuple[int, float]:
    command = on_core(OTHER_CORE, find("wrk"), "-t1", f"-c{_CONNECTIONS}", f"-d{seconds:.0f}s", "-s", script, url)
    text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    found = re.search(r"(\d+) requests in ([\d.]+)s", text)
    if found is None or "Non-2xx" in text or "Socket errors" in text:
        raise ToolError(f"the load found errors at {url}:\n{text}")
    return int(found[1]), float(found[2])


def open_loop(*, port: int, path: str, body: bytes, rate: int, seconds: float) -> Open:
    """Send at a fixed rate, so that a stall shows in every call that it delays."""
    return asyncio.run(_open_loop(port=port, path=path, body=body, rate=rate, seconds=seconds))


async def _open_loop(*, port: int, path: str, body: bytes, rate: int, seconds: float) -> Open:
    head = (
        f"POST {path} HTTP/1.1\r\nHost: localhost:{port}\r\nContent-Type: application/json\r\n"
        f"Accept: application/json, text/event-stream\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    callers = [await _Caller.connect(port, head.encode() + body) for _ in range(64)]
    free: asyncio.Queue[_Caller] = asyncio.Queue()
    for caller in callers:
        free.put_nowait(caller)
    latencies: list[float] = []
    start = time.perf_counter()

    async def call(due: float) -> None:
        caller = await free.get()
        await caller.call()
        latencies.append(time.perf_counter() - due)
        free.put_nowait(caller)

    async with asyncio.TaskGroup() as group:
        for number in range(int(rate * seconds)):
            due = start + number / rate
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            group.create_task(call(due))
    for caller in callers:
        caller.close()
    latencies = sorted(latencies[len(latencies) // 10 :])  # the first tenth warms up
    return Open(latencies[len(latencies) // 2] * 1000, latencies[int(len(latencies) * 0.99)] * 1000)


@dataclass(slots=True)
class _Caller:
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    request: bytes

    @classmethod
    async def connect(cls, port: int, request: bytes) -> "_Caller":
        return cls(*await asyncio.open_connection("127.0.0.1", port), request)

    async def call(self) -> None:
        self.writer.write(self.request)
        head = (await self.reader.readuntil(b"\r\n\r\n")).lower()
        if not head.startswith(b"http/1.1 200"):
            raise ToolError(f"an answer was not 200: {head[:60]!r}")
        length = re.search(rb"content-length: (\d+)", head)
        if length is not None:
            await self.reader.readexactly(int(length[1]))
        else:
            await self.reader.readuntil(b"\r\n0\r\n\r\n")

    def close(self) -> None:
        self.writer.close()
