"""``make profile``: where the time of a call goes, by stage of the pipeline, and what each stage allocates."""

import argparse
import datetime as dt
import json
import os
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Final

from ostiary_bench import benchmarks_page, report, servers
from ostiary_bench.access_resources import SigningIssuer
from ostiary_bench.calls import CALL, collector, ending
from ostiary_bench.gateways_under_test import compile_into
from ostiary_bench.governed_resources import PLAIN, WHOLE, resources, settings, tracing
from ostiary_bench.load import Load
from ostiary_bench.profiled_call import COUNTS, Profiled, ProfiledCall, profile
from ostiary_bench.servers import Upstream
from ostiary_bench.stages import ORDER
from ostiary_tools.common.errors import ToolError

TITLE: Final = "## Where the time of a call goes"
_SECTION: Final = """{title}

A fully governed call by stages of the pipeline ([architecture](architecture.md)): a JWT that was verified before, 100
access rules, two limits, metrics, an audit record to a file, and spans. `make profile` prints this, and the most
expensive functions.

Measured {at} on {machine}. The load average at the end was {load:.1f}: other work
on the machine makes microseconds larger, and changes no count.

CPU of each stage with 32 callers, by sampling. A stage has what it calls of the kernel: `receive` the response to the
caller, `forward` the request to the server.

{cpu}

What a stage executes and allocates for one call, of a fully governed call with spans at 100 %, and of an ungoverned
one: instructions of Python, calls of its functions, the instructions that allocate what outlives them, and its bytes.
They are counted with one caller, so they are the same on every machine.

{counts}

The event loop with 32 callers, for each call:

{loop}"""
#: The rows about the event loop: the figure, and whether it is of nanoseconds or of a whole run.
_LOOP: Final = {
    "turns that poll": "polls",
    "turns that may wait": "waits",
    "events": "events",
    "callbacks that are ready": "ready",
    "longest queue of callbacks, in the run": "longest queue",
    "reads (`recv`)": "recv",
    "writes (`send`)": "send",
    "µs in polls": "polls ns",
    "µs in waits": "waits ns",
    "µs in reads": "recv ns",
    "µs in writes": "send ns",
}


def measure(*, seconds: float, only: str = "") -> list[ProfiledCall]:
    """Profile an ungoverned call, and a governed one with spans at 1 % and at 100 %; or ``only`` one of them."""
    for program in ("nginx", "wrk", "taskset"):
        servers.find(program)
    with tempfile.TemporaryDirectory() as text, _subjects(Path(text)) as subjects:
        chosen = [each for each in subjects if not only or each.name == only]
        if not chosen:
            raise ToolError(f"there is no call named {only}: choose one of {', '.join(each.name for each in subjects)}")
        return [profile(Path(text), each, seconds=seconds) for each in chosen]


@contextmanager
def _subjects(directory: Path) -> Iterator[list[Profiled]]:
    """Start the upstream and the collector, and yield what can be profiled."""
    upstream, issuer, config = Upstream(directory), SigningIssuer(), directory / "profiled-config"
    with ending(upstream.process), collector(directory) as endpoint:
        compile_into(config, list(resources(upstream, issuer)), settings(directory / "audit.jsonl"))
        token = Load(CALL, headers={"Authorization": f"Bearer {issuer.token()}"})
        yield [
            Profiled("ungoverned", config, PLAIN, Load(CALL), tracing(endpoint, "0 %")),
            Profiled("governed, spans 1 %", config, WHOLE, token, tracing(endpoint, "1 %")),
            Profiled("governed, spans 100 %", config, WHOLE, token, tracing(endpoint, "100 %")),
        ]


def section(found: Sequence[ProfiledCall], *, at: str, machine: str) -> str:
    """Return the section of the page."""
    return _SECTION.format(
        title=TITLE,
        at=at,
        machine=machine,
        load=os.getloadavg()[1],
        cpu=_cpu(found),
        counts=_counts(found),
        loop=_loop(found),
    )


def _cpu(found: Sequence[ProfiledCall]) -> str:
    names = [name for name in ORDER if any(name in each.cpu for each in found)]
    rows = [[name, *(f"{each.cpu.get(name, 0.0):.1f} µs" for each in found)] for name in names]
    total = ["**all**", *(f"{each.cpu_microseconds:.1f} µs" for each in found)]
    return _table(["stage", *(each.name for each in found)], [*rows, total])


def _counts(found: Sequence[ProfiledCall]) -> str:
    """Return the table of counts of the last call, and in parentheses of the first one."""
    first, last = found[0], found[-1]
    names = [name for name in ORDER if any(name in each.counts["calls"] for each in (first, last))]
    rows = [
        [name, *(f"{last.counts[what].get(name, 0):,.0f} ({first.counts[what].get(name, 0):,.0f})" for what in COUNTS)]
        for name in names
    ]
    total = [f"{last.total(what):,.0f} ({first.total(what):,.0f})" for what in COUNTS]
    head = [f"stage, of {last.name} ({first.name})", *COUNTS]
    return _table(head, [*rows, ["**all, without other threads**", *total]])


def _loop(found: Sequence[ProfiledCall]) -> str:
    rows = [[name, *(_figure(each.loop, what) for each in found)] for name, what in _LOOP.items()]
    return _table(["", *(each.name for each in found)], rows)


def _figure(loop: Mapping[str, float], what: str) -> str:
    value = loop.get(what, 0.0)
    return (
        f"{value / 1000:.1f}" if what.endswith(" ns") else f"{value:.2f}" if what != "longest queue" else f"{value:.0f}"
    )


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---", *("---:" for _ in head[1:])], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def functions(found: Sequence[ProfiledCall], *, most: int) -> str:
    """Return the most expensive functions of each call."""
    return "\n\n".join(
        "\n".join([f"{each.name}:", *(f"  {us:6.2f} us  {name}" for name, us in list(each.functions.items())[:most])])
        for each in found
    )


def main() -> int:
    """Profile calls and print the tables; return the exit code."""
    parser = argparse.ArgumentParser(prog="make profile", description=__doc__)
    parser.add_argument("--seconds", type=float, default=5.0, help="of load for each profile (default: 5)")
    parser.add_argument("--of", default="", help="ungoverned, 'governed, spans 1 %%' or 'governed, spans 100 %%' only")
    parser.add_argument("--functions", type=int, default=25, help="how many functions to list (default: 25)")
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    parser.add_argument("--write-docs", action="store_true", help="also write docs/benchmarks.md")
    options = parser.parse_args()
    try:
        found = measure(seconds=options.seconds, only=options.of)
    except ToolError as error:
        sys.stderr.write(f"make profile: {error}\n")
        return 1
    text = section(found, at=dt.datetime.now(dt.UTC).date().isoformat(), machine=report.machine())
    print(text, functions(found, most=options.functions), sep="\n\n")
    if options.json is not None:
        options.json.write_text(json.dumps([asdict(each) for each in found], indent=2) + "\n")
    if options.write_docs:
        benchmarks_page.write(text)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
