"""Load: a closed loop (wrk) for cost and throughput, an open loop for latency."""

import asyncio
import http.client
import re
import subprocess
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from itertools import cycle
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from ostiary_bench import meters
from ostiary_bench.servers import OTHER_CORE, find, on_core
from ostiary_tools.common.errors import ToolError

_CONNECTIONS: Final = 32
_SCRIPT: Final = """
wrk.method = "POST"
wrk.body = [==[{body}]==]
wrk.headers["Content-Type"] = "application/json"
wrk.headers["Accept"] = "application/json, text/event-stream"
{headers}
"""
#: A request for each value in the file, in turns.
_TURNS: Final = """
local requests, at = {{}}, 0
function init(args)
  for value in io.lines("{file}") do
    wrk.headers["{name}"] = value
    requests[#requests + 1] = wrk.format()
  end
end
function request()
  at = at % #requests + 1
  return requests[at]
end
"""


@dataclass(slots=True)
class Load:
    """The requests of a load: one body, and further headers.

    Each request has the next one of ``tokens``, or of ``sessions``, where there are any. ``connections`` are those of a
    closed loop.
    """

    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)
    tokens: Sequence[str] = ()
    sessions: Sequence[str] = ()
    connections: int = _CONNECTIONS

    @property
    def turns(self) -> tuple[str, Sequence[str]]:
        """The header whose value changes with each request, and its values in turns; none where all are the same."""
        if self.sessions:
            return "Mcp-Session-Id", self.sessions
        return "Authorization", [f"Bearer {token}" for token in self.tokens]

    def script(self, directory: Path) -> str:
        """Return the script for wrk; what changes is written to a file in ``directory``."""
        headers = "\n".join(f'wrk.headers["{name}"] = "{value}"' for name, value in self.headers.items())
        script = _SCRIPT.format(body=self.body.decode(), headers=headers)
        name, values = self.turns
        if not values:
            return script
        file = directory / "turns"
        file.write_text("\n".join(values) + "\n")
        return script + _TURNS.format(file=file, name=name)

    def requests(self, port: int, path: str) -> Iterator[bytes]:
        """Yield requests without an end."""
        head = (
            f"POST {path} HTTP/1.1\r\nHost: localhost:{port}\r\nContent-Type: application/json\r\n"
            f"Accept: application/json, text/event-stream\r\nContent-Length: {len(self.body)}\r\n"
        )
        head += "".join(f"{name}: {value}\r\n" for name, value in self.headers.items())
        name, values = self.turns
        more = [f"{name}: {value}\r\n" for value in values] or [""]
        return (f"{head}{each}\r\n".encode() + self.body for each in cycle(more))

    def sent(self, calls: int) -> None:
        """Begin the next time with the first token that was not sent."""
        if self.tokens:
            start = calls % len(self.tokens)
            self.tokens = [*self.tokens[start:], *self.tokens[:start]]


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


def require_result(url: str, load: Load) -> None:
    """Check that a call returns the upstream's result.

    An error response would be fast, and the figures wrong.
    """
    headers = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream", **load.headers}
    name, values = load.turns
    if values:
        headers[name] = values[-1]
    request = urllib.request.Request(url, data=load.body, headers=headers)  # noqa: S310  our own URL
    with urllib.request.urlopen(request, timeout=10) as response:  # noqa: S310  our own URL
        text = response.read()
    if b'"result"' not in text:
        raise ToolError(f"{url} did not answer with a result: {text[:300]!r}")


def measured_loop(directory: Path, load: Load, *, pid: int, url: str, seconds: float) -> Closed:
    """Send as fast as possible, and account for it.

    Raises:
        ToolError: a response was not 200.
    """
    before = meters.cpu_microseconds(pid)
    calls, took = send(directory, load, url, seconds=seconds)
    used = meters.cpu_microseconds(pid) - before
    return Closed(used / calls, calls / took, meters.resident_mebibytes(pid))


def send(directory: Path, load: Load, url: str, *, seconds: float) -> tuple[int, float]:
    """Send as fast as possible; return the calls and the seconds that they took."""
    script = directory / "wrk.lua"
    script.write_text(load.script(directory))
    command = on_core(
        OTHER_CORE, find("wrk"), "-t1", f"-c{load.connections}", f"-d{max(1, round(seconds))}s", "-s", script, url
    )
    text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    found = re.search(r"(\d+) requests in ([\d.]+)s", text)
    if found is None or "Non-2xx" in text or "Socket errors" in text:
        raise ToolError(f"the load found errors at {url}:\n{text}")
    load.sent(int(found[1]))
    return int(found[1]), float(found[2])


def calls_of_one(url: str, load: Load, *, calls: int) -> None:
    """Send calls one after the other on one connection.

    Raises:
        ToolError: a response was not a result.
    """
    parts = urlsplit(url)
    headers = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream", **load.headers}
    connection = http.client.HTTPConnection(str(parts.hostname), parts.port, timeout=30)
    with closing(connection):
        for _ in range(calls):
            connection.request("POST", parts.path, load.body, headers)
            text = connection.getresponse().read()
            if b'"result"' not in text:
                raise ToolError(f"{url} did not answer with a result: {text[:300]!r}")


def open_loop(*, port: int, path: str, load: Load, rate: int, seconds: float) -> Open:
    """Send at a fixed rate, so that a stall shows in every call that it delays."""
    return asyncio.run(_open_loop(port=port, requests=load.requests(port, path), rate=rate, seconds=seconds))


async def _open_loop(*, port: int, requests: Iterator[bytes], rate: int, seconds: float) -> Open:
    callers = [await _Caller.connect(port) for _ in range(64)]
    free: asyncio.Queue[_Caller] = asyncio.Queue()
    for caller in callers:
        free.put_nowait(caller)
    latencies: list[float] = []
    start = time.perf_counter()

    async def call(due: float) -> None:
        caller = await free.get()
        await caller.call(next(requests))
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

    @classmethod
    async def connect(cls, port: int) -> "_Caller":
        return cls(*await asyncio.open_connection("127.0.0.1", port))

    async def call(self, request: bytes) -> None:
        self.writer.write(request)
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
