"""One row per way to call a tool or list them, all in one run on one core."""

import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from ostiary_bench import messages, servers
from ostiary_bench.gateways_under_test import GatewayUnderTest
from ostiary_bench.load import Closed, Load, Open, closed_loop, open_loop, require_result
from ostiary_bench.probes import answers
from ostiary_bench.servers import OTHER_CORE, Upstream, on_core
from ostiary_tools.common.ports import reserve_port
from ostiary_tools.common.processes import Process, wait_until

CALL: Final = messages.encoded(messages.CALL)
LIST: Final = messages.encoded(messages.LIST)


@dataclass(frozen=True, slots=True)
class CallRow:
    """The cost of one way to call. ``latency`` is measured for some rows only."""

    name: str
    kind: str
    closed: Closed
    latency: Open | None = None

    def document(self) -> dict[str, Any]:
        """Return the row as JSON."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Bench:
    """Parameters of a run. ``seconds`` are per measurement, ``rate`` is in calls a second."""

    directory: Path
    upstream: Upstream
    seconds: float
    rate: int

    def row(self, name: str, process: Process, url: str, *, kind: str, latency: bool = False) -> CallRow:
        """Measure one way to call."""
        body = LIST if kind.startswith("list") else CALL
        require_result(url, Load(body))
        closed = closed_loop(self.directory, pid=process.pid, url=url, body=body, seconds=self.seconds)
        port, _, path = url.removeprefix("http://127.0.0.1:").partition("/")
        found = None
        if latency:
            found = open_loop(
                port=int(port), path=f"/{path}", load=Load(body), rate=self.rate, seconds=max(self.seconds, 4)
            )
        print(f"  {name:58} {kind:10} {closed.cpu_microseconds:7.1f} us", file=sys.stderr, flush=True)
        return CallRow(name, kind, closed, found)


def rows(bench: Bench) -> Iterator[CallRow]:
    """Measure everything, one process at a time on the measured core."""
    yield from _baseline(bench)
    yield from _comparison(bench)
    with _gateway(bench, "spans off", {}) as gateway:
        yield from _ungoverned(bench, gateway, "Ostiary, no policy, spans off")
        yield from _governed(bench, gateway)
    with collector(bench.directory) as endpoint:
        tracing = {"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint}
        with _gateway(bench, "unsampled", {**tracing, "OTEL_TRACES_SAMPLER": "always_off"}) as gateway:
            yield bench.row(
                "Ostiary, no policy, spans unsampled", gateway.process, gateway.url("call-json"), kind="call-json"
            )
        with _gateway(bench, "sampled", {**tracing, "OTEL_TRACES_SAMPLER": "always_on"}) as gateway:
            name = "Ostiary, no policy, both spans of every call exported"
            yield bench.row(name, gateway.process, gateway.url("call-json"), kind="call-json", latency=True)


def _baseline(bench: Bench) -> Iterator[CallRow]:
    process, port = servers.nginx_proxy(bench.directory, bench.upstream)
    with ending(process):
        for kind in servers.KINDS:
            url = f"http://127.0.0.1:{port}/{kind}"
            yield bench.row("nginx proxy_pass", process, url, kind=kind, latency=kind == "call-json")


def _comparison(bench: Bench) -> Iterator[CallRow]:
    process, port = servers.aiohttp_proxy(bench.directory, bench.upstream)
    with ending(process):
        for kind in ("call-json", "list-200"):
            yield bench.row(
                "aiohttp + ClientSession pass-through", process, f"http://127.0.0.1:{port}/{kind}", kind=kind
            )


def _ungoverned(bench: Bench, gateway: GatewayUnderTest, name: str) -> Iterator[CallRow]:
    for kind in servers.KINDS:
        yield bench.row(name, gateway.process, gateway.url(kind), kind=kind, latency=kind == "call-json")


def _governed(bench: Bench, gateway: GatewayUnderTest) -> Iterator[CallRow]:
    for kind in servers.KINDS:
        name = "Ostiary, 100 access rules, spans off"
        yield bench.row(name, gateway.process, gateway.url(f"governed-{kind}"), kind=kind, latency=kind == "call-json")


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
