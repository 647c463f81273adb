"""Starts the gateways of a comparison, tries what they enforce, and pauses those that are not measured."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from ostiary_bench import meters
from ostiary_bench.probes import answers
from ostiary_bench.servers import OTHER_CORE, on_core
from ostiary_compare.gateway import Gateway, Mode, PortTakenError, Started, Surroundings, program_of
from ostiary_compare.kinds import RequestKind
from ostiary_compare.load_generator import Loaded
from ostiary_compare.results import Failure, WayToCall
from ostiary_compare.verification import CALLS, LOW_RATE, Verified, first_answer, refused_beyond, verified
from ostiary_tools.common.errors import ToolError
from ostiary_tools.common.ports import reserve_port
from ostiary_tools.common.processes import Process, ProcessDiedError, wait_until

#: Callers of the closed loop, and of the open one.
CALLERS: Final = 32
OPEN_CALLERS: Final = 64
_WARM_SECONDS: Final = 0.2
#: Exporters send after five seconds unless they are told otherwise.
_EXPORTED_WITHIN: Final = 20.0
_LAST_EXPORT: Final = 6.0
_ENDS_WITHIN: Final = 3.0
#: What programs write that find their port taken: another one is chosen once.
_PORT_TAKEN: Final = ("address already in use", "address in use", "errno 98", "os error 98")


@dataclass(slots=True)
class RunningMode:
    """A gateway that runs in one mode. Spans are those that arrived at its port of the collector.

    ``is_warm`` is set once a gateway proved so slow that a load before each load would take too long.
    """

    gateway: Gateway
    mode: Mode
    started: Started
    surroundings: Surroundings
    seen: Verified
    spans_before: int = 0
    is_warm: bool = False

    @property
    def spans(self) -> int:
        """How many of its spans have arrived."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.surroundings.collector_port}/count", timeout=10) as found:
            return int(found.read())

    def way(self, kind: RequestKind) -> WayToCall:
        """Return one way to call it."""
        return WayToCall(self.gateway.name, self.mode.name, kind.name, self.mode.policies)

    def failure(self, kind: str, reason: str) -> Failure:
        """Return why it could not be measured."""
        return Failure(self.gateway.name, self.mode.name, kind, reason)

    def send(self, number: signal.Signals) -> None:
        """Send a signal to its process, and the children of that."""
        _send(meters.tree(self.started.process.pid), number)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Let its processes run within the block only."""
        self.send(signal.SIGCONT)
        try:
            yield
        finally:
            self.send(signal.SIGSTOP)

    def load(self, kind: RequestKind, *, seconds: float, callers: int = CALLERS, rate: int | None = None) -> Loaded:
        """Put a load on it; a closed loop, or an open one at a ``rate`` in requests a second.

        Raises:
            ToolError: an answer was wrong, or it ended.
        """
        endpoint = self.started.endpoint
        asked: dict[str, Any] = {"endpoint": endpoint.document(), "kind": kind.name, "callers": callers, "rate": rate}
        asked |= {"pid": self.started.process.pid, "upstream_port": self.surroundings.upstream_port}
        asked |= {"seconds": seconds, "warm": None if rate or self.is_warm else _WARM_SECONDS}
        command = on_core(OTHER_CORE, sys.executable, "-m", "ostiary_compare.load_generator", json.dumps(asked))
        with self.alone():
            done = subprocess.run(command, capture_output=True, text=True, check=False)
        found = json.loads(done.stdout) if done.stdout else {"error": done.stderr[-500:]}
        if "error" not in found:
            return Loaded(**found)
        self.started.process.check()
        raise ToolError(found["error"])


class Running:
    """All gateways that run, and why others do not; every process that was started ends with the block."""

    def __init__(self, directory: Path, path: str) -> None:
        self.modes: list[RunningMode] = []
        self.failures: list[Failure] = []
        self._directory = directory
        self._path = path
        self._processes: list[Process] = []
        self._upstream = 0
        self._collectors: list[int] = []
        self._folders = 0

    def start_servers(self, modes: int) -> None:
        """Start the MCP server, and a collector with a port for each mode and one for those that only limit."""
        self._upstream = reserve_port()
        self._start("mcp_server", [self._upstream])
        self._collectors = [reserve_port() for _ in range(modes + 1)]
        self._start("span_collector", self._collectors)

    def _start(self, module: str, ports: Sequence[int]) -> None:
        command = on_core(OTHER_CORE, sys.executable, "-m", f"ostiary_compare.{module}", *map(str, ports))
        process = Process(module, command, log=self._directory / f"{module}.log")
        self._processes.append(process)
        wait_until(lambda: all(map(answers, ports)), what=module, processes=[process])

    def start(self, gateway: Gateway, mode: Mode) -> None:
        """Start a gateway in one mode, and try what it enforces; it is a failure if it does not answer or enforce."""
        collector = self._collectors.pop()
        try:
            begun = time.perf_counter()
            given, started = self._started(gateway, mode, collector)
            seen = verified(started, mode.claims, first_answer(started, begun))
            if mode.claims.limit:
                seen = replace(seen, limit=self._limit(gateway, mode))
        except (ToolError, OSError) as error:
            self.failures.append(Failure(gateway.name, mode.name, "", str(error)))
            return
        found = RunningMode(gateway, mode, started, given, seen)
        if not mode.claims.spans:
            found.send(signal.SIGSTOP)
        self.modes.append(found)

    def _started(
        self, gateway: Gateway, mode: Mode, collector: int, rate: int | None = None
    ) -> tuple[Surroundings, Started]:
        """Start a gateway, once more if another program took its port in the meantime."""
        program = program_of(gateway, self._path)
        for attempt in (1, 2):
            self._folders += 1
            own = self._directory / f"{gateway.program}-{self._folders}"
            own.mkdir()
            given = Surroundings(own, self._upstream, collector, program, self._path, processes=self._processes)
            try:
                return given, mode.start(given if rate is None else replace(given, rate=rate))
            except (PortTakenError, ProcessDiedError) as error:
                is_taken = isinstance(error, PortTakenError) or any(it in str(error).lower() for it in _PORT_TAKEN)
                if attempt == 2 or not is_taken:
                    raise
        raise AssertionError

    def _limit(self, gateway: Gateway, mode: Mode) -> str:
        """Start it once more with a low limit, and call beyond it."""
        before = len(self._processes)
        try:
            _, started = self._started(gateway, mode, self._collectors[0], LOW_RATE)
            return refused_beyond(started)
        finally:
            end(self._processes[before:])
            del self._processes[before:]

    def await_spans(self) -> None:
        """Wait until the spans of the first calls have arrived; what sends none is a failure. Then pause all."""
        wanted = {id(it): CALLS * it.mode.claims.spans for it in self.modes if it.mode.claims.spans}
        with contextlib.suppress(ToolError):
            wait_until(
                lambda: all(it.spans >= wanted.get(id(it), 0) for it in self.modes),
                what="spans",
                timeout=_EXPORTED_WITHIN,
            )
        for it in list(self.modes):
            it.send(signal.SIGSTOP)
            it.spans_before = it.spans
            if not it.mode.claims.spans:
                continue
            if it.spans_before < wanted[id(it)]:
                self.modes.remove(it)
                reason = f"{it.spans_before} spans arrived after {CALLS} calls within {_EXPORTED_WITHIN:.0f} s"
                self.failures.append(it.failure("", reason))
            it.seen = replace(it.seen, spans=f"{it.spans_before} after {CALLS} calls")

    def last_spans(self) -> dict[tuple[str, str], int]:
        """Let all export what they still have; return how many spans of each mode arrived since the first calls."""
        exporting = [it for it in self.modes if it.mode.claims.spans]
        for it in exporting:
            it.send(signal.SIGCONT)
        if exporting:
            time.sleep(_LAST_EXPORT)
        return {(it.gateway.name, it.mode.name): it.spans - it.spans_before for it in exporting}

    def end(self) -> None:
        """End all processes."""
        end(self._processes)


@contextmanager
def running(gateways: Sequence[Gateway], path: str, directory: Path) -> Iterator[Running]:
    """Start all gateways that are installed, in all their modes, and try what they enforce.

    Each is paused: it runs while a load is put on it only.
    """
    it = Running(directory, path)
    with ExitStack() as stack:
        stack.callback(it.end)
        chosen = [(gateway, mode) for gateway in gateways if not gateway.missing(path) for mode in gateway.modes]
        it.start_servers(len(chosen))
        for gateway in gateways:
            if missing := gateway.missing(path):
                it.failures.append(Failure(gateway.name, "", "", f"not installed: {', '.join(missing)}"))
        for gateway, mode in chosen:
            it.start(gateway, mode)
            _report(it, gateway, mode)
        it.await_spans()
        yield it


def _report(it: Running, gateway: Gateway, mode: Mode) -> None:
    name = f"{gateway.name}, {mode.name}"
    if it.modes and it.modes[-1].mode is mode:
        seen = it.modes[-1].seen
        checks = (("no key", seen.key), ("no rule", seen.rules), ("beyond the limit", seen.limit))
        said = [f"first answer after {seen.first_answer:.1f} s", *(f"{what}: {how}" for what, how in checks if how)]
        say(f"  {name}: {'; '.join(said)}")
    else:
        say(f"  {name}: FAILED: {it.failures[-1].reason}")


def say(line: str) -> None:
    """Show progress."""
    print(line, file=sys.stderr, flush=True)


def end(processes: Sequence[Process]) -> None:
    """End processes and their children: all are asked first, and what does not end within seconds is killed."""
    born = {pid: meters.born_at(pid) for each in processes if each.running for pid in meters.tree(each.pid)}
    _send(list(born), signal.SIGCONT)  # what is paused could not end
    _send([each.pid for each in processes if each.running], signal.SIGTERM)
    deadline = time.monotonic() + _ENDS_WITHIN
    for each in reversed(processes):
        each.stop(grace=max(0.1, deadline - time.monotonic()))
    _send([pid for pid, at in born.items() if at is not None and meters.born_at(pid) == at], signal.SIGKILL)


def _send(pids: Sequence[int], number: signal.Signals) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)
