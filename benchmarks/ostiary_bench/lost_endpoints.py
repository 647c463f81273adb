"""How soon and how fast calls are answered after four of eight endpoints of a server are killed, or hang.

Calls come at a fixed rate: each takes a free connection to the gateway, or opens one, so that those that wait for an
endpoint that hangs delay no other call. A latency is counted from when a call was due.
"""

import asyncio
import os
import re
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from ostiary_bench import messages
from ostiary_bench.gateways_under_test import compile_into, proxy, start_gateway
from ostiary_bench.load import Load
from ostiary_bench.servers import OTHER_CORE, nginx
from ostiary_tools.common.errors import ToolError
from ostiary_tools.common.ports import reserve_port
from ostiary_tools.common.processes import Process

_ENDPOINTS: Final = 8
_LOST: Final = 4
#: Calls a second, and the seconds of each part of a round.
_RATE: Final = 500
_WARM_UP, _BEFORE, _AFTER = 1.0, 4.0, 4.0
#: Then as long for calls in flight: those that still wait do so at an endpoint that hangs.
_REST: Final = 0.5
_ROUNDS: Final = 5
_LOAD: Final = Load(messages.encoded(messages.CALL))
_RESULT: Final = b'"result"'
_SERVER: Final = "server {{ listen 127.0.0.1:{port} backlog=1024; location /mcp {{ {answer} }} }}"
_ANSWER: Final = "default_type application/json; alias {file}; error_page 405 =200 /mcp;"
#: The incidents: their names, signals, and the most that the p99 may grow by.
_INCIDENTS: Final = (("killed (`kill -9`)", signal.SIGKILL, None), ("hang (`kill -STOP`)", signal.SIGSTOP, 1.2))
#: The longest time to the next good answer that is asked for, in milliseconds.
_SOON: Final = 100.0
_SECTION: Final = """
Four of the eight endpoints are lost under {rate} calls a second; figures are medians over {rounds} rounds. The next
good answer is the first to a call that was due after the incident. Calls without a result were at those endpoints, or
came to them before the gateway had seen enough of them; all others count for the latencies.

| four of eight | next good answer | target | no result | p50 / p99 before | p50 / p99 after | p99, multiple | target |
|---|---:|---:|---:|---:|---:|---:|---:|
{table}
"""


@dataclass(frozen=True, slots=True)
class LostRow:
    """What one kind of incident did to calls, in milliseconds.

    ``failed`` is the number of those that got no result, or none until its end.
    """

    name: str
    next_good: float
    failed: float
    before: tuple[float, float]
    after: tuple[float, float]
    multiple: float
    at_most: float | None


@dataclass(slots=True)
class _Calls:
    """Calls at a fixed rate to one path of a gateway.

    ``ended`` is of each when it was due, when it ended, and whether with a result.
    """

    port: int
    path: str
    ended: list[tuple[float, float, bool]] = field(default_factory=list)
    _free: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = field(default_factory=list)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    @property
    def waiting(self) -> int:
        """The number of calls without an answer."""
        return len(self._tasks)

    async def run(self, seconds: float) -> None:
        """Call for some seconds; calls may be in flight afterwards."""
        start = time.perf_counter()
        for number in range(int(seconds * _RATE)):
            due = start + number / _RATE
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            task = asyncio.create_task(self._call(due))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _call(self, due: float) -> None:
        connection = self._free.pop() if self._free else await asyncio.open_connection("127.0.0.1", self.port)
        reader, writer = connection
        writer.write(next(_LOAD.requests(self.port, self.path)))
        head = await reader.readuntil(b"\r\n\r\n")
        length = re.search(rb"content-length: (\d+)", head.lower())
        if length is None:
            raise ToolError(f"an answer has no length: {head[:60]!r}")
        body = await reader.readexactly(int(length[1]))
        self._free.append(connection)
        self.ended.append((due, time.perf_counter(), _RESULT in body))

    def latencies(self, *, since: float, until: float) -> tuple[float, float]:
        """Return p50 and p99, in milliseconds, of the calls with a result that were due in this time."""
        found = sorted((at - due) * 1000 for due, at, is_good in self.ended if is_good and since <= due < until)
        if not found:
            raise ToolError("no call was answered with a result")
        return found[len(found) // 2], found[int(len(found) * 0.99)]

    async def close(self) -> None:
        """End all calls and connections."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for _, writer in self._free:
            writer.close()


def measure() -> list[LostRow]:
    """Measure every incident."""
    return [_row(name, number, at_most) for name, number, at_most in _INCIDENTS]


def _row(name: str, number: signal.Signals, at_most: float | None) -> LostRow:
    rounds = [_round(name, number, at_most) for _ in range(_ROUNDS)]
    return LostRow(
        name,
        next_good=statistics.median(each.next_good for each in rounds),
        failed=statistics.median(each.failed for each in rounds),
        before=_medians([each.before for each in rounds]),
        after=_medians([each.after for each in rounds]),
        multiple=statistics.median(each.multiple for each in rounds),
        at_most=at_most,
    )


def _medians(pairs: Sequence[tuple[float, float]]) -> tuple[float, float]:
    return statistics.median(p50 for p50, _ in pairs), statistics.median(p99 for _, p99 in pairs)


def _round(name: str, number: signal.Signals, at_most: float | None) -> LostRow:
    """Let the incident happen once, to servers and a gateway of its own."""
    with tempfile.TemporaryDirectory() as text, _processes(Path(text)) as (endpoints, port):
        found = asyncio.run(_incident(port, endpoints, name, number, at_most))
    print(f"  {name}: {found}", file=sys.stderr, flush=True)
    return found


@contextmanager
def _processes(directory: Path) -> Iterator[tuple[list[Process], int]]:
    """Start the endpoints, each a process of its own, and a gateway; yield them and the gateway's port."""
    (directory / "answer").write_bytes(messages.answer(messages.RESULT))
    ports = [reserve_port() for _ in range(_ENDPOINTS)]
    with ExitStack() as stack:
        endpoints = []
        for number, port in enumerate(ports):
            content = _SERVER.format(port=port, answer=_ANSWER.format(file=directory / "answer"))
            endpoints.append(nginx(directory / str(number), content, core=OTHER_CORE, port=port))
            stack.callback(endpoints[-1].kill)  # one that is stopped takes no other signal
        resource = proxy("lost", "http://127.0.0.1:9/mcp")
        places = [{"address": "127.0.0.1", "port": port} for port in ports]
        resource["spec"]["servers"][0]["endpoints"] = places
        compile_into(directory / "config", [resource])
        untraced = {key: value for key, value in os.environ.items() if not key.startswith("OTEL_")}
        gateway, port = start_gateway(directory, "lost", directory / "config", env=untraced)
        stack.callback(gateway.kill)
        yield endpoints, port


async def _incident(
    port: int, endpoints: Sequence[Process], name: str, number: signal.Signals, at_most: float | None
) -> LostRow:
    calls = _Calls(port, "/lost/mcp")
    try:
        await calls.run(_WARM_UP)
        start = time.perf_counter()
        await calls.run(_BEFORE)
        at = time.perf_counter()
        for endpoint in endpoints[:_LOST]:
            os.kill(endpoint.pid, number)
        await calls.run(_AFTER)
        end = time.perf_counter()
        await asyncio.sleep(_REST)
        before, after = calls.latencies(since=start, until=at), calls.latencies(since=at, until=end)
        next_good = min(ended for due, ended, is_good in calls.ended if is_good and due >= at) - at
        failed = sum(not is_good for _, _, is_good in calls.ended) + calls.waiting
        return LostRow(name, next_good * 1000, failed, before, after, after[1] / before[1], at_most)
    finally:
        await calls.close()


def section(rows: Sequence[LostRow]) -> str:
    """Return the part of the page; what is above its target is bold."""
    table = "\n".join(_line(each) for each in rows)
    return _SECTION.format(rate=_RATE, rounds=_ROUNDS, table=table)


def _line(row: LostRow) -> str:
    soon = _marked(f"{row.next_good:.1f} ms", is_above=row.next_good > _SOON)
    multiple = _marked(f"{row.multiple:.2f}", is_above=row.at_most is not None and row.multiple > row.at_most)
    target = f"{row.at_most:g}" if row.at_most is not None else ""
    latencies = " | ".join(f"{p50:.1f} / {p99:.1f} ms" for p50, p99 in (row.before, row.after))
    return f"| {row.name} | {soon} | {_SOON:g} ms | {row.failed:g} | {latencies} | {multiple} | {target} |"


def _marked(text: str, *, is_above: bool) -> str:
    return f"**{text}**" if is_above else text
