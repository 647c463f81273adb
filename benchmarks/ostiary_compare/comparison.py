"""Measures all gateways that are installed, in turns, in one run."""

import datetime as dt
import os
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from ostiary_bench import report
from ostiary_bench.servers import CORES
from ostiary_compare.gateway import Gateway, program_of
from ostiary_compare.kinds import RequestKind
from ostiary_compare.load_generator import Loaded
from ostiary_compare.origins import origin_of
from ostiary_compare.results import ComparedCall, Comparison, Governance
from ostiary_compare.running import OPEN_CALLERS, Running, RunningMode, running, say
from ostiary_tools.common.errors import ToolError


@dataclass(frozen=True, slots=True)
class Amount:
    """How much is measured: rounds, seconds of each closed and open loop, and requests a second of the open one."""

    rounds: int
    seconds: float
    rate: int
    open_seconds: float
    kinds: Sequence[RequestKind]

    def rounds_of(self, kind: RequestKind) -> int:
        """Return how many rounds a kind of request has: the main ones have all, others about half of them."""
        return self.rounds if kind.is_main else (self.rounds + 1) // 2


@dataclass(slots=True)
class Subject:
    """One kind of request to one gateway in one mode, and what was measured of it."""

    running: RunningMode
    kind: RequestKind
    rounds: list[Loaded] = field(default_factory=list)
    latency: Loaded | None = None
    has_failed: bool = False

    def is_slow(self, amount: Amount) -> bool:
        """Return whether a closed loop shows that the rate of the open loop cannot be kept up with."""
        return bool(self.rounds) and self.rounds[0].calls / self.rounds[0].seconds < amount.rate / 2


def compare(gateways: Sequence[Gateway], path: str, amount: Amount, directory: Path) -> Comparison:
    """Measure every gateway of the list that is installed.

    A kind of request that fails while it is measured is left out, and named among the failures. A gateway that cannot
    keep up with half the rate of the open loop is measured in one closed loop only.
    """
    load_before = os.getloadavg()[0]
    say(f"load average {load_before:.1f}; starting, and trying what is enforced")
    with running(gateways, path, directory) as it:
        subjects = [Subject(mode, kind) for kind in amount.kinds for mode in it.modes]
        _measure(it, subjects, amount)
        spans = it.last_spans()
        governance = [_governance(mode, subjects, spans) for mode in it.modes]
        calls = [ComparedCall(s.running.way(s.kind), s.rounds, s.latency) for s in subjects if not s.has_failed]
        failures = list(it.failures)
    programs = {each.name: program_of(each, path) for each in gateways if not each.missing(path)}
    return Comparison(
        dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
        report.machine(),
        amount.rate,
        {each.name: each.version(programs[each.name]) for each in gateways if each.name in programs},
        {each.name: (each.origin or origin_of)(programs[each.name]) for each in gateways if each.name in programs},
        calls,
        governance,
        failures,
        load_before,
        len({CORES[0], CORES[-1]}),
    )


def _measure(it: Running, subjects: Sequence[Subject], amount: Amount) -> None:
    """Measure all, kind by kind, in rounds of which each goes the other way."""
    turns = [
        (kind, number, subject)
        for kind in amount.kinds
        for number in range(amount.rounds_of(kind))
        for subject in _order([each for each in subjects if each.kind is kind], number)
    ]
    turns += [(kind, -1, each) for kind in amount.kinds if kind.is_main for each in subjects if each.kind is kind]
    for count, (kind, number, subject) in enumerate(turns, 1):
        if subject.has_failed:
            continue
        try:
            said = _open(subject, amount) if number < 0 else _closed(subject, amount)
        except ToolError as error:
            subject.has_failed = True
            it.failures.append(subject.running.failure(kind.name, str(error)))
            said = f"FAILED: {error}"
        if said:
            name = subject.running.way(kind).name
            say(f"  {count:3}/{len(turns)} {name:52} {said}")


def _order(subjects: Sequence[Subject], number: int) -> Sequence[Subject]:
    """Return the turns of a round: forwards and backwards, so that no subject is always the first."""
    return subjects if number % 2 == 0 else subjects[::-1]


def _closed(it: Subject, amount: Amount) -> str:
    if it.is_slow(amount):
        return ""
    found = it.running.load(it.kind, seconds=amount.seconds)
    it.rounds.append(found)
    it.running.is_warm |= it.is_slow(amount)
    return f"{found.cpu_microseconds / found.calls:9.1f} us, p99 {found.p99:7.2f} ms"


def _open(it: Subject, amount: Amount) -> str:
    if it.is_slow(amount):
        it.latency = replace(it.rounds[0], kept_up=False)
        return ""
    found = it.latency = it.running.load(it.kind, seconds=amount.open_seconds, rate=amount.rate, callers=OPEN_CALLERS)
    return f"at {amount.rate}/s: p50 {found.p50:.2f}, p99 {found.p99:.2f} ms"


def _governance(mode: RunningMode, subjects: Sequence[Subject], spans: dict[tuple[str, str], int]) -> Governance:
    """Return what a mode was seen to enforce; the spans of a request are those of all its loads together."""
    name = (mode.gateway.name, mode.mode.name)
    loads = [
        each for it in subjects if it.running is mode for each in (*it.rounds, *([it.latency] if it.latency else ()))
    ]
    sent = sum(each.sent for each in loads if each.kept_up)
    arrived = spans[name] / sent if name in spans and sent else None
    return Governance(*name, mode.mode.policies, mode.seen, arrived)
