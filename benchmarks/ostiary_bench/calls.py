"""One row per way to call a tool or list them: both eras, and sessions, all in turns on one core."""

import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any, Final

from ostiary_bench import messages, servers
from ostiary_bench.eras import calls_in_sessions, stateless_call
from ostiary_bench.gateways_under_test import GatewayUnderTest
from ostiary_bench.load import Closed, Load, Open, measured_loop, open_loop, require_result
from ostiary_bench.probes import answers
from ostiary_bench.servers import OTHER_CORE, Upstream, on_core
from ostiary_tools.common.ports import reserve_port
from ostiary_tools.common.processes import Process, wait_until

_NGINX: Final = "nginx proxy_pass"
#: A call of the newest revision, which says in each message what others say once for a session.
_STATELESS: Final = "stateless-json"
_CALLS: Final = ("call-json", _STATELESS, "session-json", "session-sse")
_KINDS: Final = (*_CALLS, "call-sse", "list-15", "list-200", "list-200-new")
#: Where the path of a kind has another name.
_PATHS: Final = {_STATELESS: "call-json"}
_TIMED: Final = ("call-json", "session-json")
_SPANS: Final = {"unsampled": "spans unsampled", "sampled": "both spans of every call exported"}
CALL: Final = messages.encoded(messages.CALL)
LIST: Final = messages.encoded(messages.LIST)


@dataclass(frozen=True, slots=True)
class CallRow:
    """The cost of one way to call. ``latency`` is measured for some rows only.

    ``multiple`` is the cost relative to nginx's for the same message: the median over the rounds.
    """

    name: str
    kind: str
    closed: Closed
    multiple: float | None = None
    latency: Open | None = None

    def document(self) -> dict[str, Any]:
        """Return the row as JSON."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Bench:
    """Parameters of a run: ``rounds`` of a second for each way to call, and ``rate`` in calls a second."""

    directory: Path
    upstream: Upstream
    rounds: int
    rate: int


@dataclass(frozen=True, slots=True)
class _Way:
    """One way to call a process. ``is_timed`` where its latency is measured, too."""

    name: str
    kind: str
    process: Process
    url: str
    load: Load
    is_timed: bool = False


def rows(bench: Bench) -> list[CallRow]:
    """Measure everything in turns, of processes that share one core."""
    with ExitStack() as stack:
        ways = list(_ways(bench, stack))
        for way in ways:
            require_result(way.url, way.load)
        rounds = [_round(bench, ways, number) for number in range(bench.rounds + 1)][1:]  # the first one warms up
        return [_row(bench, ways, rounds, index) for index in range(len(ways))]


def _round(bench: Bench, ways: Sequence[_Way], number: int) -> list[Closed]:
    """Measure each way once, in an order that changes from round to round."""
    found = {}
    for index in list(range(len(ways)))[:: 1 if number % 2 == 0 else -1]:
        way = ways[index]
        found[index] = measured_loop(bench.directory, way.load, pid=way.process.pid, url=way.url, seconds=1)
    print(f"  round {number} of {bench.rounds}", file=sys.stderr, flush=True)
    return [found[index] for index in range(len(ways))]


def _row(bench: Bench, ways: Sequence[_Way], rounds: Sequence[Sequence[Closed]], index: int) -> CallRow:
    way, mine = ways[index], [each[index] for each in rounds]
    closed = Closed(
        median(each.cpu_microseconds for each in mine),
        median(each.calls_per_second for each in mine),
        mine[-1].resident_mebibytes,
    )
    multiple = _multiple(ways, rounds, index)
    shown = f"{multiple:.2f} x nginx" if multiple is not None else ""
    print(f"  {way.name:58} {way.kind:12} {closed.cpu_microseconds:7.1f} us {shown}", file=sys.stderr, flush=True)
    return CallRow(way.name, way.kind, closed, multiple, _latency(bench, way) if way.is_timed else None)


def _multiple(ways: Sequence[_Way], rounds: Sequence[Sequence[Closed]], index: int) -> float | None:
    kind = ways[index].kind
    base = next((n for n, each in enumerate(ways) if (each.name, each.kind) == (_NGINX, kind)), None)
    if base is None:
        return None
    return median(found[index].cpu_microseconds / found[base].cpu_microseconds for found in rounds)


def _latency(bench: Bench, way: _Way) -> Open:
    port, _, path = way.url.removeprefix("http://127.0.0.1:").partition("/")
    return open_loop(port=int(port), path=f"/{path}", load=way.load, rate=bench.rate, seconds=max(bench.rounds, 4))


def _ways(bench: Bench, stack: ExitStack) -> Iterator[_Way]:
    """Start every process, and yield the ways to call it."""
    process, port = servers.nginx_proxy(bench.directory, bench.upstream)
    stack.enter_context(ending(process))
    yield from _of_kinds(_NGINX, process, f"http://127.0.0.1:{port}/%s", _KINDS)
    process, port = servers.aiohttp_proxy(bench.directory, bench.upstream)
    stack.enter_context(ending(process))
    name = "aiohttp + ClientSession pass-through"
    yield from _of_kinds(name, process, f"http://127.0.0.1:{port}/%s", ("call-json", "list-200"))
    plain = stack.enter_context(_gateway(bench, "spans off", {}))
    yield from _of_kinds("Ostiary, no policy, spans off", plain.process, plain.url("%s"), _KINDS)
    yield from _of_kinds("Ostiary, 100 access rules, spans off", plain.process, plain.url("governed-%s"), _KINDS)
    endpoint = stack.enter_context(collector(bench.directory))
    for share, sampler, kinds in (("unsampled", "always_off", _CALLS[:1]), ("sampled", "always_on", _CALLS)):
        env = {"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint, "OTEL_TRACES_SAMPLER": sampler}
        traced = stack.enter_context(_gateway(bench, share, env))
        yield from _of_kinds(f"Ostiary, no policy, {_SPANS[share]}", traced.process, traced.url("%s"), kinds)


def _of_kinds(name: str, process: Process, template: str, kinds: Sequence[str]) -> Iterator[_Way]:
    for kind in kinds:
        url = template % _PATHS.get(kind, kind)
        is_timed = kind in _TIMED and "unsampled" not in name and "aiohttp" not in name
        yield _Way(name, kind, process, url, _load(kind, url), is_timed)


def _load(kind: str, url: str) -> Load:
    """Return the requests of a kind."""
    if kind in servers.SESSION_KINDS:
        return calls_in_sessions(url)
    if kind == _STATELESS:
        return stateless_call()
    return Load(LIST if kind.startswith("list") else CALL)


@contextmanager
def _gateway(bench: Bench, name: str, env: Mapping[str, str]) -> Iterator[GatewayUnderTest]:
    clean = {key: value for key, value in os.environ.items() if not key.startswith("OTEL_")}
    gateway = GatewayUnderTest(bench.directory, name.replace(" ", "-"), bench.upstream, env={**clean, **env})
    with ending(gateway.process):
        yield gateway


@contextmanager
def collector(directory: Path) -> Iterator[str]:
    """Run an OTLP collector that drops everything; yield its endpoint."""
    port = reserve_port()
    command = on_core(OTHER_CORE, sys.executable, Path(__file__).with_name("otlp_collector.py"), str(port))
    process = Process("collector", command, log=directory / "otlp_collector.log")
    wait_until(lambda: answers(port), what="the collector", processes=[process])
    with ending(process):
        yield f"http://127.0.0.1:{port}"


@contextmanager
def ending(process: Process) -> Iterator[None]:
    """End a process with the block."""
    try:
        yield
    finally:
        process.stop(grace=5)
