"""``make bench``: measure, print the tables, keep the figures.

``--write-docs`` also writes docs/benchmarks.md.

There are thirteen parts, each of which can run alone: `calls` measures the cost of a call, `profile` where its time
goes, `access` the cost of callers and rules, `governed` that of limits, audit and spans on top, `http-servers` that
of each HTTP server, `merge` that of several servers and of bridges, `endpoints` that of several endpoints, open
circuit breakers and REST services, `content` that of rules about contents, `workers` that of one gateway on several
cores, `hostile` the effect of hostile clients and servers on others, `scale` the cost of many proxies, and `console`
that of the console. A part replaces its own figures and its own section of the page.
"""

import argparse
import datetime as dt
import json
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Final

from ostiary_bench import (
    access,
    benchmarks_page,
    console_pages,
    content,
    endpoints,
    evidence_cost,
    governed,
    http_server_cost,
    isolation,
    merged,
    profile,
    report,
    scale,
    servers,
    streams,
    workers,
)
from ostiary_bench.calls import Bench, rows
from ostiary_bench.edit_latency import measure
from ostiary_bench.servers import Upstream
from ostiary_gateway.pipeline.large_messages import SLICE_SECONDS
from ostiary_tools.common.errors import ToolError

_ROOT: Final = Path(__file__).parents[2]
_RESULTS: Final = _ROOT / "benchmarks" / "results" / "latest.json"
_PARTS: Final = (
    "calls",
    "profile",
    "access",
    "governed",
    "http-servers",
    "merge",
    "endpoints",
    "content",
    "workers",
    "hostile",
    "scale",
    "console",
)
_SIZES: Final = (100, 1000, 5000)
_INTRODUCTION: Final = """# Benchmarks

What a call costs, how soon an edit is enforced, and how this grows with the number of proxies. This page is written by
`make bench WRITE_DOCS=1`. Run it on your own machine: ratios are comparable between machines, microseconds are not.

One process on one pinned core, load and upstream on another; a closed loop of 32 connections for CPU and throughput, an
open loop at {rate} calls/s for latency (counted from when a call was due). The upstream is nginx with fixed responses,
so the gateway is what is measured. CPU is the kernel's account of the process. All ways to call are measured in turns
of a second, in one run; a multiple is the median over {rounds} rounds of the quotient with nginx's cost for the same
message in the same round. Times of installs, edits and restarts on a Kubernetes node are in
[seen on a node](seen-on-a-node.md).

- `call-json` and `call-sse` are calls without a session, answered by a document or by an event. `session-json` and
  `session-sse` are the same in 256 sessions of 2025-11-25, of which each call is in the next one. `stateless-json` is a
  call of 2026-07-28, whose message says what others say once for a session.
- The gateway recognises a list that it has filtered before by its bytes, and does not parse it again. `list-200-new`
  differs each time, in a tool and around its tools, and is parsed and filtered each time.

Measured {at} on {machine}.

{table}
"""


def main() -> int:
    """Run the benchmark; return the exit code."""
    options = _options()
    parts = {"calls": _calls, "profile": _profile, "access": _access, "governed": _governed, "merge": _merged}
    parts |= {
        "http-servers": _http_servers,
        "endpoints": _endpoints,
        "content": _content,
        "hostile": _hostile,
        "scale": _scale,
    }
    parts |= {"console": _console, "workers": _workers}
    try:
        for name in options.only or parts:
            print(f"{name}:", file=sys.stderr, flush=True)
            figures, text = parts[name](options)
            _keep(figures)
            print(text)
            if options.write_docs:
                benchmarks_page.write(text)
    except ToolError as error:
        sys.stderr.write(f"make bench: {error}\n")
        return 1
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="make bench", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", choices=_PARTS, action="append", help="run this part only")
    parser.add_argument("--seconds", type=float, default=5.0, help="of load for each row of calls (default: 5)")
    parser.add_argument("--rounds", type=int, default=15, help="of a second for each row of access (default: 15)")
    parser.add_argument("--rate", type=int, default=500, help="calls a second in the open loop (default: 500)")
    parser.add_argument("--edits", type=int, default=100, help="of a policy, on a real API server (default: 100)")
    parser.add_argument("--streams", type=int, default=10_000, help="that are open at a time (default: 10000)")
    parser.add_argument(
        "--sizes", type=_sizes, default=_SIZES, metavar="N,N", help="numbers of proxies (default: 100,1000,5000)"
    )
    parser.add_argument("--base", type=Path, help="another checkout to compare with, for content")
    parser.add_argument("--write-docs", action="store_true", help="also write docs/benchmarks.md")
    return parser.parse_args()


def _sizes(text: str) -> tuple[int, ...]:
    return tuple(int(number) for number in text.split(","))


def _calls(options: argparse.Namespace) -> tuple[dict[str, object], str]:
    """Measure the cost of a call and of an open stream, and the time of an edit."""
    for program in ("nginx", "wrk", "taskset"):
        servers.find(program)
    with tempfile.TemporaryDirectory() as directory:
        bench = Bench(Path(directory), Upstream(Path(directory)), max(1, round(options.seconds)), options.rate)
        try:
            found = rows(bench)
        finally:
            bench.upstream.process.stop(grace=2)
    open_streams = streams.measure(options.streams) if options.streams else None
    change = measure(options.edits) if options.edits else None
    figures = report.document(found, change, open_streams)
    table = report.table(found) + streams.sentence(open_streams) + report.sentence(change)
    words = {"rate": options.rate, "rounds": bench.rounds, "machine": figures["machine"], "table": table}
    return figures, _INTRODUCTION.format(**words, at=str(figures["at"])[:10])


def _profile(options: argparse.Namespace) -> tuple[dict[str, object], str]:
    """Find where the time of a call goes."""
    found = profile.measure(seconds=options.seconds)
    at = dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
    figures = {"at": at, "machine": report.machine(), "calls": [asdict(each) for each in found]}
    return {"profile": figures}, profile.section(found, at=at[:10], machine=report.machine())


def _access(options: argparse.Namespace) -> tuple[dict[str, object], str]:
    """Measure the cost of callers and rules."""
    found = access.measure(rounds=options.rounds)
    at = dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
    figures = {"at": at, "machine": report.machine(), "rows": [asdict(each) for each in found]}
    return {"access": figures}, access.section(found, at=at[:10], machine=report.machine())


def _governed(options: argparse.Namespace) -> tuple[dict[str, object], str]:
    """Measure the cost of a fully governed call."""
    found = governed.measure(rounds=options.rounds, rate=options.rate)
    at = dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
    figures = {"at": at, "machine": report.machine(), **found.document()}
    return {"governed": figures}, governed.section(found, at=at[:10], machine=report.machine())


def _http_servers(options: argparse.Namespace) -> tuple[dict[str, object], str]:
    """Measure the cost of a call with each HTTP server."""
    found = http_server_cost.measure(rounds=options.rounds)
    at = dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
    figures = {"at": at, "machine": report.machine(), **found.document()}
    return {"http-servers": figures}, http_server_cost.section(found, at=at[:10], machine=report.machine())


def _merged(options: argparse.Namespace) -> tuple[dict[str, object], str]:
    """Measure the cost of several servers, and of bridges between eras."""
    found = merged.measure(rounds=options.rounds)
    at = dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
    figures = {"at": at, "machine": report.machine(), **found.document()}
    return {"merge": figures}, merged.section(found, at=at[:10], machine=report.machine())


def _endpoints(options: argparse.Namespace) -> tuple[dict[str, object], str]:
    """Measure the cost of several endpoints, of an open circuit breaker, and of a tool of a REST service."""
    found = endpoints.measure(rounds=options.rounds)
    at = dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
    figures = {"at": at, "machine": report.machine(), **found.document()}
    return {"endpoints": figures}, endpoints.section(found, at=at[:10], machine=report.machine())


def _content(options: argparse.Namespace) -> tuple[dict[str, object], str]:
    """Measure the cost of masks, validation and locks, and how long they hold the event loop."""
    found = content.measure(rounds=options.rounds, base=options.base)
    at = dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
    figures = {"at": at, "machine": report.machine(), **found.document()}
    text = content.section(found, at=at[:10], machine=report.machine(), slice_seconds=SLICE_SECONDS)
    return {"content": figures}, text


def _workers(options: argparse.Namespace) -> tuple[dict[str, object], str]:
    """Measure a gateway with one worker and with two."""
    found = workers.measure(rounds=options.rounds)
    at = dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
    figures = {"at": at, "machine": report.machine(), **found.document()}
    return {"workers": figures}, workers.section(found, at=at[:10], machine=report.machine())


def _scale(options: argparse.Namespace) -> tuple[dict[str, object], str]:
    """Measure the cost of many proxies."""
    found = scale.measure(options.sizes, edits=options.edits)
    at = dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
    figures = {"at": at, "machine": report.machine(), **found.document()}
    return {"scale": figures}, scale.section(figures)


def _console(options: argparse.Namespace) -> tuple[dict[str, object], str]:
    """Measure what evidence costs a gateway, and what the console costs on a platform of many proxies."""
    evidence = evidence_cost.measure(rounds=options.rounds).document()
    found = console_pages.measure(options.sizes)
    at = dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
    figures = {"at": at, "machine": report.machine(), "sizes": console_pages.document(found), "evidence": evidence}
    return {"console": figures}, f"{console_pages.section(figures)}\n{evidence_cost.paragraph(evidence)}"


def _hostile(options: argparse.Namespace) -> tuple[dict[str, object], str]:
    """Measure the effect of hostile clients and servers on other calls."""
    found = isolation.measure(seconds=options.seconds)
    at = dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
    figures = {"at": at, "machine": report.machine(), "rows": [asdict(each) for each in found]}
    return {"hostile": figures}, isolation.section(found, at=at[:10], machine=report.machine())


def _keep(figures: dict[str, object]) -> None:
    """Write the figures, and keep those of the other parts."""
    before = json.loads(_RESULTS.read_text()) if _RESULTS.exists() else {}
    _RESULTS.parent.mkdir(exist_ok=True)
    _RESULTS.write_text(json.dumps({**before, **figures}, indent=2) + "\n")


if __name__ == "__main__":
    raise SystemExit(main())
