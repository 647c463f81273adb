"""The effect of a hundred hostile clients, or a hostile server, on others.

It is measured as latency of calls and probes, and as memory.

The gateway has its default bounds. During the attack, another proxy and ``/healthz`` are called at a fixed rate; the
latency is counted from when a call was due.
"""

import asyncio
import contextlib
import sys
import tempfile
import time
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ostiary_bench import meters
from ostiary_bench.gateways_under_test import compile_into, policy, proxy, start_gateway
from ostiary_bench.probes import answers
from ostiary_bench.servers import OTHER_CORE, on_core
from ostiary_gateway.open_files import raise_file_limit
from ostiary_tools.common.errors import ToolError
from ostiary_tools.common.ports import reserve_port
from ostiary_tools.common.processes import Process, wait_until

TITLE: Final = "## Hostile callers and servers"
CALLERS: Final = 100
#: Calls and probes a second.
_CALLS: Final = 50
_PROBES: Final = 10
#: Connections that are opened at a time; a tenth of a second later the next ones follow.
_AT_A_TIME: Final = 50
_SIZE: Final = (4 << 20) - 1024
#: Just below `bounds.messageValues`: an item weighs two and a quarter.
_TOOLS: Final = 44_000
_POST: Final = (
    "POST /%s/mcp HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    "Accept: application/json, text/event-stream\r\nContent-Length: %d\r\n\r\n"
)
_PROBE: Final = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n"


def _call(argument: bytes) -> bytes:
    return (
        b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"get_users","arguments":{"a":%b}}}' % argument
    )


def _array(unit: bytes, size: int) -> bytes:
    return b"[%b]" % (unit * (size // len(unit)))[:-1]


def _post(name: str, body: bytes) -> bytes:
    return (_POST % (name, len(body))).encode() + body


_LIST: Final = b'{"jsonrpc":"2.0","id":1,"method":"tools/list"}'
#: What each hostile client sends, repeatedly, or once if it gets no response.
ATTACKS: Final[dict[str, Callable[[], bytes]]] = {
    "none": lambda: b"",
    "bodies of 4 MiB, all `[[]],`": lambda: _post("slow", _call(_array(b"[[]],", _SIZE))),
    "bodies of as many `{}` as may be, to a tool that does not answer": lambda: _post(
        "slow", _call(_array(b"{},", 79_000 * 3))
    ),
    "bodies of 4 MiB of text, to a tool that does not answer": lambda: _post("slow", _call(b'"%b"' % (b"x" * _SIZE))),
    "lists of 44,000 tiny tools, filtered by 100 rules": lambda: _post("tiny", _LIST),
    "heads of 30 KB that never become whole, on 4,000 connections": lambda: b"",
}
_HEAD: Final = b"POST /slow/mcp HTTP/1.1\r\nHost: localhost\r\nX-Padding: " + b"x" * 30_000


@dataclass(frozen=True, slots=True)
class AttackRow:
    """The effect of one attack: latencies in milliseconds, and peak memory in MiB."""

    attack: str
    call_p50: float
    call_p99: float
    probe_p99: float
    probe_longest: float
    mebibytes: float


def measure(*, seconds: float) -> list[AttackRow]:
    """Measure each attack for ``seconds``, each on a gateway of its own.

    Raises:
        ToolError: an ordinary call failed.
    """
    raise_file_limit()
    rows = []
    for attack in ATTACKS:
        with tempfile.TemporaryDirectory() as directory:
            rows.append(_HostileScenario(Path(directory), attack).measured(seconds))
    return rows


class _HostileScenario:
    """A server, and a gateway with three proxies for it."""

    def __init__(self, directory: Path, attack: str) -> None:
        self._attack = attack
        upstream, self._admin = reserve_port(), reserve_port()
        command = on_core(
            OTHER_CORE, sys.executable, Path(__file__).with_name("hostile_server.py"), str(upstream), str(_TOOLS)
        )
        self._server = Process("the server", command, log=directory / "server.log")
        wait_until(lambda: answers(upstream), what="the server", processes=[self._server])
        proxies = [proxy(name, f"http://127.0.0.1:{upstream}/{name}/mcp") for name in ("fast", "slow", "tiny")]
        config = directory / "config"
        compile_into(config, [*proxies, policy("hundred", ["tiny"], 100)])
        self._gateway, self._port = start_gateway(directory, "hostile", config, admin=self._admin)

    def measured(self, seconds: float) -> AttackRow:
        try:
            return asyncio.run(self._measured(seconds))
        finally:
            self._gateway.stop(grace=1)
            self._server.stop(grace=1)

    async def _measured(self, seconds: float) -> AttackRow:
        attackers = [asyncio.create_task(attacker) for attacker in self._attackers()]
        memory: list[float] = []
        try:
            calls, probes, _ = await asyncio.gather(
                _at_a_rate(self._port, _post("fast", _call(b"1")), _CALLS, seconds),
                _at_a_rate(self._admin, _PROBE, _PROBES, seconds),
                self._watch(memory, seconds),
            )
        finally:
            for each in attackers:
                each.cancel()
            await asyncio.gather(*attackers, return_exceptions=True)
        call, probe = sorted(calls), sorted(probes)
        return AttackRow(
            self._attack,
            _quantile(call, 0.5),
            _quantile(call, 0.99),
            _quantile(probe, 0.99),
            probe[-1] * 1000,
            max(memory),
        )

    def _attackers(self) -> list[Coroutine[None, None, None]]:
        if self._attack.startswith("heads"):
            gate = asyncio.Semaphore(_AT_A_TIME)
            return [_hold(self._port, gate) for _ in range(4000)]
        request = ATTACKS[self._attack]()
        return [_attack(self._port, request) for _ in range(CALLERS)] if request else []

    async def _watch(self, memory: list[float], seconds: float) -> None:
        until = time.perf_counter() + seconds
        while time.perf_counter() < until:
            memory.append(meters.resident_mebibytes(self._gateway.pid))
            await asyncio.sleep(0.1)


def _quantile(ordered: Sequence[float], share: float) -> float:
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] * 1000


async def _attack(port: int, request: bytes) -> None:
    """Send a request repeatedly, whatever the response."""
    while True:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            try:
                while True:
                    writer.write(request)
                    await writer.drain()
                    await _answered(reader)
            finally:
                writer.close()
        await asyncio.sleep(0.01)


async def _hold(port: int, gate: asyncio.Semaphore) -> None:
    """Send an incomplete request head, and another when the connection is closed."""
    while True:
        with contextlib.suppress(OSError):
            async with gate:
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.write(_HEAD)
                await asyncio.sleep(0.1)
            await reader.read()
            writer.close()
        await asyncio.sleep(5.0)


async def _answered(reader: asyncio.StreamReader) -> int:
    """Read a response with a Content-Length, and return its status."""
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    await reader.readexactly(int(head.partition(b"content-length:")[2].partition(b"\r\n")[0] or 0))
    return int(head.split()[1])


async def _at_a_rate(port: int, request: bytes, rate: int, seconds: float) -> list[float]:
    """Send a request at a rate; return the seconds from when each was due to its response.

    Raises:
        ToolError: a request failed.
    """
    start = time.perf_counter()

    async def one(due: float) -> float:
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(request)
        status = await _answered(reader)
        writer.close()
        if status != 200:
            raise ToolError(f"an ordinary request was answered with {status}")
        return time.perf_counter() - due

    count = max(1, int(rate * seconds))
    try:
        return list(await asyncio.gather(*(one(start + n / rate) for n in range(count))))
    except (OSError, asyncio.IncompleteReadError) as error:
        raise ToolError(f"an ordinary request failed: {error}") from error


def section(rows: Sequence[AttackRow], *, at: str, machine: str) -> str:
    """Return the section of the page."""
    lines = [
        f"| {row.attack} | {row.call_p50:,.0f} / {row.call_p99:,.0f} ms | {row.probe_p99:,.0f} / "
        f"{row.probe_longest:,.0f} ms | {row.mebibytes:,.0f} MiB |"
        for row in rows
    ]
    return "\n".join(
        [
            TITLE,
            "",
            f"One gateway under its default bounds, and {CALLERS} callers that repeat the same request as fast",
            f"as it is accepted. Meanwhile another proxy is called {_CALLS} times a second, on a new connection each,",
            f"and `/healthz` is requested {_PROBES} times a second. `make bench ONLY=hostile` runs it. The chart",
            "gives a gateway 512 MiB, and its probe a second.",
            "",
            f"Measured {at} on {machine}.",
            "",
            "| attack | calls of others, p50 / p99 | `/healthz`, p99 / longest | memory at most |",
            "|---|---:|---:|---:|",
            *lines,
            "",
        ]
    )
