"""The cost of limits that replicas share through Redis: at one and at three replicas, with and without leases.

All calls are of one caller, so all replicas charge the same keys: the worst case.
"""

import shutil
import socket
import statistics
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ostiary_bench.access_resources import SigningIssuer
from ostiary_bench.calls import CALL, ending
from ostiary_bench.gateways_under_test import compile_into, start_gateway
from ostiary_bench.governed_resources import QUOTAS, WHOLE, resources, settings, tracing
from ostiary_bench.load import Load, Open, measured_loop, open_loop, require_result
from ostiary_bench.servers import OTHER_CORE, Upstream, on_core
from ostiary_tools.common.ports import reserve_port
from ostiary_tools.common.processes import Process, wait_until

_SECONDS: Final = 3.0
_MODES: Final = (("each replica by itself", None), ("shared, leases Auto", "Auto"), ("shared, leases Off", "Off"))
_SECTION: Final = """\
Two quotas that replicas share through one Redis on the same machine; all calls are of one caller, so that all replicas
charge the same two keys. CPU is that of the gateway's processes for a call. Commands are those that Redis ran for a
call, each command in a script included.

| replicas | counting | CPU | Redis commands a call | p50 / p99 at {rate} calls a second |
|---:|---|---:|---:|---:|
{table}
"""


@dataclass(frozen=True, slots=True)
class SharedLimits:
    """The figures of one way to count, at a number of replicas."""

    replicas: int
    counting: str
    cpu_microseconds: float
    commands_per_call: float
    latency: Open


def measure(directory: Path, upstream: Upstream, issuer: SigningIssuer, *, rate: int) -> list[SharedLimits]:
    """Measure each way to count at one replica and at three; nothing where there is no Redis."""
    if shutil.which("redis-server") is None:
        return []
    found = []
    for replicas in (1, 3):
        for counting, leases in _MODES:
            with _replicas(directory, upstream, issuer, replicas=replicas, leases=leases) as run:
                found.append(run.measure(counting, rate=rate))
    return found


@contextmanager
def _replicas(
    directory: Path, upstream: Upstream, issuer: SigningIssuer, *, replicas: int, leases: str | None
) -> Iterator["_Run"]:
    with ExitStack() as stack:
        work = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=directory)))
        redis = stack.enter_context(_redis(work))
        store = {"redis": {"mode": "Standalone", "addresses": [f"127.0.0.1:{redis}"]}, "leases": leases}
        config = work / "config"
        shared = settings(work / "audit.jsonl", store if leases is not None else None)
        compile_into(config, list(resources(upstream, issuer, QUOTAS)), shared)
        gateways = []
        for number in range(replicas):
            gateway, port = start_gateway(work, f"replica-{number}", config, env=tracing("", "0 %"))
            stack.enter_context(ending(gateway))
            gateways.append((gateway, port))
        load = Load(CALL, headers={"Authorization": f"Bearer {issuer.token()}"})
        yield _Run(work, gateways, redis, load)


@contextmanager
def _redis(directory: Path) -> Iterator[int]:
    port = reserve_port()
    options = ["--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", str(directory)]
    process = Process("redis", on_core(OTHER_CORE, "redis-server", *options), log=directory / "redis.log")
    wait_until(lambda: _commands(port) > 0, what="Redis", processes=[process])
    with ending(process):
        yield port


def _commands(port: int) -> int:
    """Return how many commands Redis has run."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
            connection.sendall(b"INFO stats\r\n")
            text = b""
            while b"total_commands_processed:" not in text or not text.endswith(b"\r\n"):
                text += connection.recv(65536)
    except OSError:
        return 0
    return int(text.partition(b"total_commands_processed:")[2].partition(b"\r\n")[0])


@dataclass(frozen=True, slots=True)
class _Run:
    """The replicas of one measurement, each with its port."""

    directory: Path
    gateways: Sequence[tuple[Process, int]]
    redis: int
    load: Load

    def measure(self, counting: str, *, rate: int) -> SharedLimits:
        """Load all replicas at once, then one of them at a fixed rate."""
        for _, port in self.gateways:
            require_result(self._url(port), self.load)
        before = _commands(self.redis)
        costs = self._closed()
        commands = _commands(self.redis) - before
        latency = open_loop(port=self.gateways[0][1], path=f"/{WHOLE}/mcp", load=self.load, rate=rate, seconds=_SECONDS)
        cpu = statistics.mean(cost for cost, _ in costs)
        calls = sum(count for _, count in costs)
        return SharedLimits(len(self.gateways), counting, cpu, commands / max(calls, 1), latency)

    def _closed(self) -> list[tuple[float, float]]:
        """Return microseconds of CPU a call, and the calls, of each replica."""
        found: list[tuple[float, float]] = []

        def send(number: int, pid: int, port: int) -> None:
            place = self.directory / f"load-{number}"
            place.mkdir()
            loop = measured_loop(place, self.load, pid=pid, url=self._url(port), seconds=_SECONDS)
            found.append((loop.cpu_microseconds, loop.calls_per_second * _SECONDS))

        threads = [
            threading.Thread(target=send, args=(number, gateway.pid, port))
            for number, (gateway, port) in enumerate(self.gateways)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return found

    def _url(self, port: int) -> str:
        return f"http://127.0.0.1:{port}/{WHOLE}/mcp"


def section(found: Sequence[SharedLimits], *, rate: int) -> str:
    """Return the part of the section about shared limits; empty where nothing was measured."""
    if not found:
        return ""
    return _SECTION.format(rate=rate, table="\n".join(map(_line, found)))


def _line(row: SharedLimits) -> str:
    latency = f"{row.latency.p50:.2f} / {row.latency.p99:.2f} ms"
    return (
        f"| {row.replicas} | {row.counting} | {row.cpu_microseconds:.1f} µs | {row.commands_per_call:.3f} | {latency} |"
    )
