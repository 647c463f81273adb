"""One way to call, profiled three times: CPU by stage, counts by stage, and the event loop."""

import json
import os
import signal
import sys
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from ostiary_bench import meters
from ostiary_bench.calls import ending
from ostiary_bench.gateways_under_test import start_gateway
from ostiary_bench.load import Load, calls_of_one, measured_loop, require_result, send
from ostiary_bench.stages import OTHER_THREADS, stage

_WARM_UP_SECONDS: Final = 1.0
#: As many that what happens once a second is little of each: a call that is counted takes a hundred times as long.
_COUNTED_CALLS: Final = 300
#: What is counted of each stage.
COUNTS: Final = ("instructions", "calls", "allocations", "bytes")


@dataclass(frozen=True, slots=True)
class Profiled:
    """What is profiled: a ``path`` of a gateway with this config and environment, under a load."""

    name: str
    config: Path
    path: str
    load: Load
    env: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class ProfiledCall:
    """The profile of one way to call.

    ``cpu`` are microseconds by stage and ``functions`` by module and function, the largest first; ``counts`` are by
    what is counted, then by stage; ``loop`` are figures of the event loop for each call, with 32 callers.
    """

    name: str
    cpu_microseconds: float
    cpu: Mapping[str, float]
    functions: Mapping[str, float]
    counts: Mapping[str, Mapping[str, float]]
    loop: Mapping[str, float]

    def total(self, what: str) -> float:
        """Return how many a call has in all stages of its own, which is without other threads."""
        return sum(value for name, value in self.counts[what].items() if name != OTHER_THREADS)


def profile(directory: Path, subject: Profiled, *, seconds: float) -> ProfiledCall:
    """Profile a way to call with ``seconds`` of load for each of the samples and the event loop."""
    cost, cpu, functions = _sampled(directory, subject, seconds)
    counts = _counted(directory, subject)
    return ProfiledCall(subject.name, cost, cpu, functions, counts, _loop(directory, subject, seconds))


def _sampled(directory: Path, it: Profiled, seconds: float) -> tuple[float, dict[str, float], dict[str, float]]:
    """Return the CPU microseconds of a call, and how they spread over stages and functions."""
    found: list[float] = []

    def call(pid: int, url: str) -> None:
        before = meters.main_thread_microseconds(pid), meters.cpu_microseconds(pid)
        found.append(measured_loop(directory, it.load, pid=pid, url=url, seconds=seconds).cpu_microseconds)
        of_loop = meters.main_thread_microseconds(pid) - before[0]
        found.append(of_loop / (meters.cpu_microseconds(pid) - before[1]))

    samples = _run(directory, it, "sampling", call)
    cost, of_loop = found
    each = cost * of_loop / (sum(count for *_, count in samples) or 1)
    stages: Counter[str] = Counter()
    for module, _, count in samples:
        stages[stage(module)] += count
    functions = {f"{module}:{name}": count * each for module, name, count in sorted(samples, key=lambda one: -one[2])}
    cpu = {name: count * each for name, count in stages.items()}
    return cost, {**cpu, OTHER_THREADS: cost * (1 - of_loop)}, functions


def _counted(directory: Path, it: Profiled) -> dict[str, dict[str, float]]:
    """Return what each stage executes and allocates for a call of a single caller."""

    def call(_: int, url: str) -> None:
        calls_of_one(url, it.load, calls=_COUNTED_CALLS)

    counts = _run(directory, it, "counting", call)
    return {what: {name: count / counts["requests"] for name, count in counts[what].items()} for what in COUNTS}


def _loop(directory: Path, it: Profiled, seconds: float) -> dict[str, float]:
    """Return the figures of the event loop for each call."""

    def call(_: int, url: str) -> None:
        send(directory, it.load, url, seconds=seconds)

    figures = _run(directory, it, "loop", call)
    longest = figures.pop("longest queue")
    return {what: count / figures["requests"] for what, count in figures.items()} | {"longest queue": longest}


def _run(directory: Path, it: Profiled, kind: str, call: Callable[[int, str], None]) -> Any:
    """Run a gateway with a profiler; ``call`` it by its process id and URL, and return what the profiler found."""
    out = directory / f"{it.path}-{kind}.json"
    command: list[str | Path] = [sys.executable, Path(__file__).with_name(f"{kind}_profiler.py"), out]
    gateway, port = start_gateway(directory, f"{kind}-{it.path}", it.config, env=it.env, command=command)
    with ending(gateway):
        url = f"http://127.0.0.1:{port}/{it.path}/mcp"
        require_result(url, it.load)
        send(directory, it.load, url, seconds=_WARM_UP_SECONDS)
        os.kill(gateway.pid, signal.SIGUSR1)
        call(gateway.pid, url)
    return json.loads(out.read_text())
