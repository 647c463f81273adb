"""Ways to call, of which each is compared with another one in the same round.

All are measured in turns, one second each, on one core. A multiple is the median over the rounds of the quotient with
what it is compared with in the same round, so other work on the machine changes it little.
"""

import statistics
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ostiary_bench.load import Load, measured_loop
from ostiary_tools.common.processes import Process


@dataclass(frozen=True, slots=True)
class ComparedWay:
    """One way to call: its name, the path, the load, and what its cost is compared with."""

    name: str
    path: str
    load: Load
    compared_with: str = ""
    at_most: float | None = None


@dataclass(frozen=True, slots=True)
class ComparedRow:
    """The cost of one way to call: microseconds of CPU, the multiple, and requests to servers for each of ours."""

    name: str
    cpu_microseconds: float
    compared_with: str
    multiple: float | None
    at_most: float | None
    upstream_requests: float | None


@dataclass(frozen=True, slots=True)
class ComparedFigures:
    """All figures."""

    rounds: int
    rows: Sequence[ComparedRow]

    def document(self) -> dict[str, Any]:
        """Return the figures as JSON."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Target:
    """A process on the measured core, and one way to call it."""

    way: ComparedWay
    process: Process
    url: str


def measured_costs(directory: Path, targets: Sequence[Target], *, rounds: int, seconds: float) -> list[list[float]]:
    """Return the microseconds of CPU of each target in each round, after a first one that warms up."""
    return [_round(directory, targets, number, seconds) for number in range(rounds + 1)][1:]


def _round(directory: Path, targets: Sequence[Target], number: int, seconds: float) -> list[float]:
    """Measure each once, in an order that changes from round to round."""
    order = list(range(len(targets)))[:: 1 if number % 2 == 0 else -1]
    found = {}
    for index in order:
        it = targets[index]
        loop = measured_loop(directory, it.way.load, pid=it.process.pid, url=it.url, seconds=seconds)
        found[index] = loop.cpu_microseconds
    print(f"  round {number}: " + ", ".join(f"{found[n]:.1f}" for n in sorted(found)), file=sys.stderr, flush=True)
    return [found[index] for index in sorted(found)]


def compared_row(
    targets: Sequence[Target], costs: Sequence[Sequence[float]], index: int, requests: float | None = None
) -> ComparedRow:
    """Return the figures of one target; ``requests`` reach a server for each of ours."""
    way = targets[index].way
    base = next((n for n, each in enumerate(targets) if each.way.name == way.compared_with), None)
    multiple = statistics.median(found[index] / found[base] for found in costs) if base is not None else None
    cost = statistics.median(found[index] for found in costs)
    return ComparedRow(way.name, cost, way.compared_with, multiple, way.at_most, requests)


def line(row: ComparedRow) -> str:
    """Return the row of a table, with a multiple above its target in bold."""
    multiple = f"{row.multiple:.2f}" if row.multiple is not None else ""
    is_above = row.at_most is not None and row.multiple is not None and row.multiple > row.at_most
    target = f"{row.at_most:g}" if row.at_most is not None else ""
    requests = f"{row.upstream_requests:g}" if row.upstream_requests is not None else ""
    shown = f"**{multiple}**" if is_above else multiple
    return f"| {row.name} | {row.cpu_microseconds:.1f} µs | {row.compared_with} | {shown} | {target} | {requests} |"
