"""The cost of a fully governed call, part by part, compared with an ungoverned one and with nginx.

All ways to call are measured in turns, one second each, on one core. A multiple is the median over the rounds of the
quotient with the ungoverned call of the same round, so other work on the machine changes it little.
"""

import os
import statistics
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from ostiary_bench import servers, shared_limits
from ostiary_bench.access_resources import SigningIssuer
from ostiary_bench.calls import CALL, collector, ending
from ostiary_bench.gateways_under_test import compile_into, start_gateway
from ostiary_bench.governed_resources import PLAIN, STEPS, TWO_RECORDS, WHOLE, resources, settings, tracing
from ostiary_bench.load import Load, Open, measured_loop, open_loop, require_result
from ostiary_bench.servers import Upstream
from ostiary_bench.shared_limits import SharedLimits
from ostiary_tools.common.processes import Process

TITLE: Final = "## A fully governed call"
#: The most that a governed call may cost as a multiple of an ungoverned one.
AT_MOST: Final = {"1 %": 1.3, "100 %": 1.7}
_LATENCY_SECONDS: Final = 4.0
_NAMES: Final = {
    PLAIN: "Ostiary, no policy, spans off",
    **STEPS,
    TWO_RECORDS: "instead two audit records, as of a call that may have effects",
}
_SECTION: Final = """{title}

What it costs to do everything at once: a JWT that was verified before, 100 access rules, two limits, metrics, an audit
record (Metadata, to a file), and spans. Each row adds one part to the one above. All are measured in turns of a second,
in one run on one core, with an ungoverned call and nginx's bare `proxy_pass`. A multiple is the median over {rounds}
rounds, relative to the ungoverned call of the same round; the target is the most that it may be, and a multiple above
its target is bold. `make bench ONLY=governed` runs it.

Measured {at} on {machine}. The load average at the end was {load:.1f}:
the run itself makes it about 2, and other work on the machine makes microseconds and latencies larger, above all the
p99, and hardly changes the multiples.

| a call | CPU | added by this part | x ungoverned | target |
|---|---:|---:|---:|---:|
{costs}

Latency at {rate} calls a second, and what is added to calling the upstream directly. Target: the p99 that a governed
call with spans at 1 % adds is at most twice the one that nginx adds.

| a call | p50 | p99 | added p50 | added p99 |
|---|---:|---:|---:|---:|
{latencies}

{shared}"""


@dataclass(frozen=True, slots=True)
class GovernedRow:
    """One way to call: microseconds of CPU, and the multiple of an ungoverned call."""

    name: str
    cpu_microseconds: float
    added_microseconds: float | None
    multiple: float
    at_most: float | None


@dataclass(frozen=True, slots=True)
class GovernedCall:
    """All figures. ``latencies`` are by way to call; the first is the upstream itself."""

    rounds: int
    rate: int
    rows: Sequence[GovernedRow]
    latencies: dict[str, Open]
    shared: Sequence[SharedLimits]
    load_average: float

    def document(self) -> dict[str, Any]:
        """Return the figures as JSON."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class _Subject:
    """A process on the measured core, and the requests that it gets."""

    name: str
    process: Process
    url: str
    load: Load

    @property
    def port(self) -> int:
        return int(self.url.removeprefix("http://127.0.0.1:").partition("/")[0])

    @property
    def path(self) -> str:
        return "/" + self.url.removeprefix("http://127.0.0.1:").partition("/")[2]


def measure(*, rounds: int, rate: int, seconds: float = 1.0) -> GovernedCall:
    """Measure everything in one run."""
    with tempfile.TemporaryDirectory() as text:
        directory = Path(text)
        upstream, issuer = Upstream(directory), SigningIssuer()
        with ending(upstream.process):
            with _subjects(directory, upstream, issuer) as subjects:
                costs = [_round(directory, subjects, number, seconds) for number in range(rounds + 1)][1:]
                latencies = dict(_latencies(upstream, subjects, rate))
            shared = shared_limits.measure(directory, upstream, issuer, rate=rate)
        load = os.getloadavg()[1]
        return GovernedCall(rounds, rate, list(_rows(subjects, costs)), latencies, shared, load)


@contextmanager
def _subjects(directory: Path, upstream: Upstream, issuer: SigningIssuer) -> Iterator[list[_Subject]]:
    """Start nginx, and a gateway for each share of traced calls."""
    config = directory / "config"
    compile_into(config, list(resources(upstream, issuer)), settings(directory / "audit.jsonl"))
    with ExitStack() as stack:
        process, port = servers.nginx_proxy(directory, upstream)
        stack.enter_context(ending(process))
        found = [_Subject("nginx proxy_pass", process, f"http://127.0.0.1:{port}/call-json", Load(CALL))]
        endpoint = stack.enter_context(collector(directory))
        for share in ("0 %", "1 %", "100 %"):
            name = share.replace(" %", "")
            gateway, port = start_gateway(directory, f"spans-{name}", config, env=tracing(endpoint, share))
            stack.enter_context(ending(gateway))
            paths = [PLAIN, *STEPS, TWO_RECORDS] if share == "0 %" else [WHOLE]
            found += [_subject(path, share, gateway, port, issuer) for path in paths]
        for each in found:
            require_result(each.url, each.load)
        yield found


def _subject(path: str, share: str, gateway: Process, port: int, issuer: SigningIssuer) -> _Subject:
    name = _NAMES[path] if share == "0 %" else f"one audit record, and spans of {share} of calls"
    load = Load(CALL, headers={} if path == PLAIN else {"Authorization": f"Bearer {issuer.token()}"})
    return _Subject(name, gateway, f"http://127.0.0.1:{port}/{path}/mcp", load)


def _round(directory: Path, subjects: Sequence[_Subject], number: int, seconds: float) -> list[float]:
    """Measure each once, in an order that changes from round to round."""
    order = list(range(len(subjects)))[:: 1 if number % 2 == 0 else -1]
    found = {}
    for index in order:
        it = subjects[index]
        loop = measured_loop(directory, it.load, pid=it.process.pid, url=it.url, seconds=seconds)
        found[index] = loop.cpu_microseconds
    print(f"  round {number}: " + ", ".join(f"{found[n]:.1f}" for n in sorted(found)), file=sys.stderr, flush=True)
    return [found[index] for index in sorted(found)]


def _rows(subjects: Sequence[_Subject], costs: Sequence[Sequence[float]]) -> Iterator[GovernedRow]:
    # After nginx and the ungoverned call. The rows below it add a second audit record to it, or spans.
    whole = 1 + len(STEPS)
    for index, it in enumerate(subjects):
        cost = statistics.median(found[index] for found in costs)
        multiple = statistics.median(found[index] / found[1] for found in costs)
        above = min(index - 1, whole)
        added = statistics.median(found[index] - found[above] for found in costs) if index > 1 else None
        yield GovernedRow(it.name, cost, added, multiple, _target(it.name))


def _target(name: str) -> float | None:
    return next((most for share, most in AT_MOST.items() if f"spans of {share}" in name), None)


def _latencies(upstream: Upstream, subjects: Sequence[_Subject], rate: int) -> Iterator[tuple[str, Open]]:
    direct = open_loop(port=upstream.port, path="/call-json", load=Load(CALL), rate=rate, seconds=_LATENCY_SECONDS)
    yield "the upstream itself", direct
    for it in subjects:
        if it.name in {subjects[0].name, subjects[1].name} or "spans of" in it.name:
            yield it.name, open_loop(port=it.port, path=it.path, load=it.load, rate=rate, seconds=_LATENCY_SECONDS)


def section(found: GovernedCall, *, at: str, machine: str) -> str:
    """Return the section of the page."""
    direct = next(iter(found.latencies.values()))
    return _SECTION.format(
        title=TITLE,
        at=at,
        machine=machine,
        rounds=found.rounds,
        rate=found.rate,
        load=found.load_average,
        costs="\n".join(map(_cost_line, found.rows)),
        latencies="\n".join(_latency_line(name, each, direct) for name, each in found.latencies.items()),
        shared=shared_limits.section(found.shared, rate=found.rate),
    )


def _cost_line(row: GovernedRow) -> str:
    added = f"{row.added_microseconds:+.1f} µs" if row.added_microseconds is not None else ""
    is_above = row.at_most is not None and row.multiple > row.at_most
    multiple = f"**{row.multiple:.2f}**" if is_above else f"{row.multiple:.2f}"
    target = f"{row.at_most:.1f}" if row.at_most is not None else ""
    return f"| {row.name} | {row.cpu_microseconds:.1f} µs | {added} | {multiple} | {target} |"


def _latency_line(name: str, found: Open, direct: Open) -> str:
    added = (found.p50 - direct.p50, found.p99 - direct.p99)
    return f"| {name} | {found.p50:.2f} ms | {found.p99:.2f} ms | {added[0]:+.2f} ms | {added[1]:+.2f} ms |"
