"""What rules about contents cost, in hops through nginx: masks, validation, locks, and nothing of them.

A hop is what nginx needs to forward one ordinary call. How long masks and guards hold the event loop is measured with
it (:mod:`.held_loops`).
"""

import os
import statistics
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from ostiary_bench import held_loops, messages, servers
from ostiary_bench.calls import ending
from ostiary_bench.compared_ways import ComparedWay, Target, measured_costs
from ostiary_bench.content_resources import SIZES, answers, path_of, resources
from ostiary_bench.gateways_under_test import compile_into, start_gateway
from ostiary_bench.held_loops import HeldRow
from ostiary_bench.load import Load, require_result

TITLE: Final = "## Rules about contents"
_CALL: Final = Load(messages.encoded(messages.CALL))
#: Few at a time, since all of them are to be answered within the second.
_CALL_OF_LONG: Final = Load(messages.encoded(messages.CALL), connections=2)
_LIST: Final = Load(messages.encoded(messages.LIST))
_HOP: Final = "nginx proxy_pass, a call"
_NOW: Final = "a call, no rules about contents"
_BEFORE: Final = "the same with the other checkout"
#: The most hops for all kinds of masks, by the size of the text.
_MOST_HOPS: Final = {"1 KB": 1.0, "100 KB": 12.0, "1 MB": 150.0}
_MOST_HELD: Final = 2.0
_SECTION: Final = """{title}

What rules about contents add to a call. A hop is the CPU that nginx needs to forward an ordinary call, in the same
round: all rows are measured in turns of a second, in one run on one core, and are medians over {rounds} rounds. What a
rule adds is the difference to a proxy without it that gets the same answer; for lists it is the quotient. A figure
above its target is bold. Texts with values have a card number for each 10 KB, and one at least. The validated
call has an object of two properties. Each list has 200 tools and passes 100 access rules; with a lock each of its tools
is compared with its digest. `list-200-new` differs each time. `make bench ONLY=content` runs it; `BASE=DIRECTORY`
compares a call without such rules with the gateway of another checkout.

Measured {at} on {machine}. The load average at the end was {load:.1f}.

| what | CPU | adds | in hops | x | target |
|---|---:|---:|---:|---:|---:|
{table}

Some targets are missed. What masks add to a message without a find is one search in the request and one in the answer,
which is read strictly; beyond 64 KiB the search is handed to a thread. With a find it is the walk over all places. Of
validation the check itself is the smaller part, the lookup of the definition the larger. Pauses of the garbage
collector are in the longest steps: messages of tens of thousands of values make as many objects. Presidio has not been
measured.

How long the event loop is held: the longest step between two places where other calls may run, and the sum of all, in
CPU time of the thread, for messages of 1 MB that were made for it. Searches in a thread are not in it. A
slice of work ends after {slice_ms:g} ms and the step that runs then. Target: {most:g} ms.

| 1 MB of | masks: longest step | in all | guards: longest step | in all |
|---|---:|---:|---:|---:|
{held}
"""


@dataclass(frozen=True, slots=True)
class ContentRow:
    """The cost of one way to call in microseconds; ``hops`` and ``multiple`` by what it is compared with."""

    name: str
    cpu_microseconds: float
    added_microseconds: float | None = None
    hops: float | None = None
    multiple: float | None = None
    at_most: float | None = None


@dataclass(frozen=True, slots=True)
class ContentFigures:
    """All figures."""

    rounds: int
    rows: Sequence[ContentRow]
    held: Sequence[HeldRow]
    load: float

    def document(self) -> dict[str, Any]:
        """Return the figures as JSON."""
        return asdict(self)


def measure(*, rounds: int, base: Path | None = None, seconds: float = 1.0) -> ContentFigures:
    """Measure everything in one run. ``base`` is another checkout, whose gateway answers a call without rules."""
    with tempfile.TemporaryDirectory() as text:
        directory = Path(text)
        with _targets(directory, base) as targets:
            costs = measured_costs(directory, targets, rounds=rounds, seconds=seconds)
    rows = [_row(targets, costs, index) for index in range(len(targets))]
    return ContentFigures(rounds, rows, held_loops.measure(), os.getloadavg()[0])


@contextmanager
def _targets(directory: Path, base: Path | None) -> Iterator[list[Target]]:
    """Start the servers and gateways; yield the ways to call."""
    with ExitStack() as stack:
        upstream = servers.Upstream(directory, more=answers())
        stack.enter_context(ending(upstream.process))
        floor, floor_port = servers.nginx_proxy(directory, upstream)
        stack.enter_context(ending(floor))
        compile_into(directory / "config", list(resources(upstream)))
        env = {key: value for key, value in os.environ.items() if not key.startswith("OTEL_")}
        gateway, port = start_gateway(directory, "content", directory / "config", env=env)
        stack.enter_context(ending(gateway))
        targets = [Target(ComparedWay(_HOP, "call-json", _CALL), floor, f"http://127.0.0.1:{floor_port}/call-json")]
        targets += [Target(way, gateway, f"http://127.0.0.1:{port}/{way.path}/mcp") for way in _ways()]
        if base is not None:
            older, older_port = start_gateway(directory, "base", directory / "config", env=env | _sources(base))
            stack.enter_context(ending(older))
            way = ComparedWay(_BEFORE, "call-json", _CALL)
            targets.append(Target(way, older, f"http://127.0.0.1:{older_port}/call-json/mcp"))
        require_result(f"http://127.0.0.1:{port}/validated/mcp", _LIST)  # its schema is learned from it
        for each in targets:
            require_result(each.url, each.way.load)
        yield targets


def _sources(base: Path) -> dict[str, str]:
    return {"PYTHONPATH": f"{base / 'sidecar' / 'src'}:{base / 'operator' / 'src'}"}


def _ways() -> Iterator[ComparedWay]:
    yield ComparedWay(_NOW, "call-json", _CALL, _BEFORE)
    for size in SIZES:
        plain = f"a text of {size}, no masks"
        load = _CALL if size == "1 KB" else _CALL_OF_LONG
        yield ComparedWay(plain, path_of(size, has_values=False), load)
        for has_values in (False, True):
            name = f"{size}, all kinds of masks, {'with values' if has_values else 'nothing to find'}"
            path = f"masked-{path_of(size, has_values=has_values)}"
            yield ComparedWay(name, path, load, plain, _MOST_HOPS[size])
    yield ComparedWay("a call, arguments not validated", "checked", _CALL)
    yield ComparedWay("arguments validated", "validated", _CALL, "a call, arguments not validated", 0.2)
    for kind in ("list-200", "list-200-new"):
        yield ComparedWay(f"{kind}, filtered", f"filtered-{kind}", _LIST)
        yield ComparedWay(f"{kind}, filtered and locked", f"locked-{kind}", _LIST, f"{kind}, filtered", 1.2)


def _row(targets: Sequence[Target], costs: Sequence[Sequence[float]], index: int) -> ContentRow:
    way = targets[index].way
    cost = statistics.median(found[index] for found in costs)
    base = next((n for n, each in enumerate(targets) if each.way.name == way.compared_with), None)
    if base is None:
        return ContentRow(way.name, cost)
    if way.load is _LIST:
        multiple = statistics.median(found[index] / found[base] for found in costs)
        return ContentRow(way.name, cost, multiple=multiple, at_most=way.at_most)
    added = statistics.median(found[index] - found[base] for found in costs)
    hops = statistics.median((found[index] - found[base]) / found[0] for found in costs)
    return ContentRow(way.name, cost, added, hops, at_most=way.at_most)


def section(found: ContentFigures, *, at: str, machine: str, slice_seconds: float) -> str:
    """Return the section of the page."""
    return _SECTION.format(
        title=TITLE,
        at=at,
        machine=machine,
        rounds=found.rounds,
        load=found.load,
        most=_MOST_HELD,
        slice_ms=slice_seconds * 1000,
        table="\n".join(map(_line, found.rows)),
        held="\n".join(map(_held_line, found.held)),
    )


def _line(row: ContentRow) -> str:
    added = f"{row.added_microseconds:+.1f} µs" if row.added_microseconds is not None else ""
    hops, multiple = _figure(row.hops, row.at_most), _figure(row.multiple, row.at_most)
    target = f"{row.at_most:g}" if row.at_most is not None else ""
    return f"| {row.name} | {row.cpu_microseconds:.1f} µs | {added} | {hops} | {multiple} | {target} |"


def _held_line(row: HeldRow) -> str:
    masks, guards = _figure(row.mask_step, _MOST_HELD, " ms"), _figure(row.guard_step, _MOST_HELD, " ms")
    return f"| {row.name} | {masks} | {row.mask_total:.0f} ms | {guards} | {row.guard_total:.0f} ms |"


def _figure(value: float | None, at_most: float | None, unit: str = "") -> str:
    """Return a figure, in bold above its target; nothing for none."""
    if value is None:
        return ""
    shown = f"{value:.2f}{unit}"
    return f"**{shown}**" if at_most is not None and value > at_most else shown
