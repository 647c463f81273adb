"""Several workers of one gateway: what a call costs with one and with two, and how much two serve.

Load and upstream need a core, too. So the throughput of two workers is measured twice: as it is, with load and upstream
on the cores of the workers, and as it follows from CPU time: a worker that has a core of its own serves a million
microseconds divided by the cost of a call. Both gateways run at the same time and are loaded in turns; a figure is the
median of the rounds, a ratio that of the quotients within a round.
"""

import os
import statistics
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from ostiary_bench import meters
from ostiary_bench.access_resources import SigningIssuer
from ostiary_bench.calls import CALL, ending
from ostiary_bench.gateways_under_test import compile_into, proxy, start_gateway
from ostiary_bench.governed_resources import QUOTAS, WHOLE, resources, settings, tracing
from ostiary_bench.load import Load, require_result, send
from ostiary_bench.servers import MEASURED_CORE, OTHER_CORE, Upstream
from ostiary_tools.common.errors import ToolError
from ostiary_tools.common.processes import Process

_WORKERS: Final = (1, 2)
_SECONDS: Final = 1.0
_CONNECTIONS: Final = 128
_SECTION: Final = """\
## Several workers

One gateway with one worker, and one with two, on the same two cores; both run at the same time and are loaded in turns
by {connections} connections. CPU is that of all processes of the gateway for a call, the supervisor's included.
*With own cores* is what two workers serve of what one serves where load and upstream are elsewhere: it follows from the
CPU of a call. *Here* load and upstream use the same two cores, so less is left for the workers. Governed is a call with
an access token, 100 rules, two quotas, which both workers count together, and an audit record.

Measured {at} on {machine}.

| call | CPU, one worker | CPU, two workers | twice the workers, with own cores | calls/s here, one / two |
|---|---:|---:|---:|---:|
{table}

Two workers hold {two:.0f} MiB with their supervisor, one {one:.0f} MiB.
"""


@dataclass(frozen=True, slots=True)
class WorkersRow:
    """The figures of one call: with one worker and with two."""

    name: str
    cpu_microseconds: tuple[float, float]
    multiple: float
    calls_per_second: tuple[float, float]


@dataclass(frozen=True, slots=True)
class WorkersFigures:
    """All figures; memory in MiB."""

    rounds: int
    rows: Sequence[WorkersRow]
    resident_mebibytes: tuple[float, float]

    def document(self) -> dict[str, Any]:
        """Return the figures as JSON."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class _Round:
    """One round of one gateway: microseconds of CPU a call, and calls a second."""

    cpu: float
    rate: float


def measure(*, rounds: int) -> WorkersFigures:
    """Measure calls without rules and governed ones.

    Raises:
        ToolError: the machine has one core, or a call has no result.
    """
    if len(os.sched_getaffinity(0)) < max(_WORKERS):
        raise ToolError("workers: two cores are needed to measure two workers")
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        upstream, issuer = Upstream(directory), SigningIssuer()
        stack.callback(upstream.process.stop, grace=2)
        gateways = [_gateway(stack, directory, upstream, issuer, workers) for workers in _WORKERS]
        governed = Load(CALL, headers={"Authorization": f"Bearer {issuer.token()}"}, connections=_CONNECTIONS)
        loads = {"plain": Load(CALL, connections=_CONNECTIONS), WHOLE: governed}
        rows = [_row(directory, gateways, path, load, rounds) for path, load in loads.items()]
        memory = [meters.resident_mebibytes(process.pid) for process, _ in gateways]
        return WorkersFigures(rounds, rows, (memory[0], memory[1]))


def _gateway(
    stack: ExitStack, directory: Path, upstream: Upstream, issuer: SigningIssuer, workers: int
) -> tuple[Process, int]:
    work = directory / f"workers-{workers}"
    work.mkdir()
    compile_into(
        work / "config",
        [proxy("plain", upstream.url("call-json")), *resources(upstream, issuer, QUOTAS)],
        settings(work / "audit-{replica}.jsonl"),
    )
    env = {**tracing("", "0 %"), "WORKERS": str(workers)}
    gateway = start_gateway(work, "gateway", work / "config", env=env, cores=f"{MEASURED_CORE},{OTHER_CORE}")
    stack.enter_context(ending(gateway[0]))
    return gateway


def _row(directory: Path, gateways: Sequence[tuple[Process, int]], path: str, load: Load, rounds: int) -> WorkersRow:
    print(f"  {path}", file=sys.stderr, flush=True)
    found: dict[int, list[_Round]] = {index: [] for index in range(len(gateways))}
    for number in range(rounds + 1):
        for index, (process, port) in enumerate(gateways):
            url = f"http://127.0.0.1:{port}/{path}/mcp"
            if number == 0:
                require_result(url, load)
            measured = _round(directory, process, url, load)
            if number > 0:  # the first round warms up
                found[index].append(measured)
    return _joined(path, found)


def _round(directory: Path, process: Process, url: str, load: Load) -> _Round:
    before = meters.cpu_microseconds(process.pid)
    calls, took = send(directory, load, url, seconds=_SECONDS)
    return _Round((meters.cpu_microseconds(process.pid) - before) / calls, calls / took)


def _joined(path: str, found: Mapping[int, Sequence[_Round]]) -> WorkersRow:
    one, two = found[0], found[1]
    multiples = [len(_WORKERS) * first.cpu / second.cpu for first, second in zip(one, two, strict=True)]
    return WorkersRow(
        "governed" if path == WHOLE else "ungoverned",
        (statistics.median(each.cpu for each in one), statistics.median(each.cpu for each in two)),
        statistics.median(multiples),
        (statistics.median(each.rate for each in one), statistics.median(each.rate for each in two)),
    )


def section(found: WorkersFigures, *, at: str, machine: str) -> str:
    """Return the section of the page."""
    one, two = found.resident_mebibytes
    table = "\n".join(map(_line, found.rows))
    return _SECTION.format(connections=_CONNECTIONS, at=at, machine=machine, table=table, one=one, two=two)


def _line(row: WorkersRow) -> str:
    one, two = row.cpu_microseconds
    rates = " / ".join(f"{rate:,.0f}" for rate in row.calls_per_second)
    return f"| {row.name} | {one:.1f} µs | {two:.1f} µs | {row.multiple:.2f}x | {rates} |"
