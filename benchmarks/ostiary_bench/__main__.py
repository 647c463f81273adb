"""``make bench``: measure, print the table, keep the figures; ``--write-docs`` also writes docs/benchmarks.md."""

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import Final

from ostiary_bench import report, servers
from ostiary_bench.calls import Bench, rows
from ostiary_bench.change import measure
from ostiary_bench.servers import Upstream
from ostiary_tools.errors import ToolError

_ROOT: Final = Path(__file__).parents[2]
_RESULTS: Final = _ROOT / "benchmarks" / "results" / "latest.json"
_DOCS: Final = _ROOT / "docs" / "benchmarks.md"
_INTRODUCTION: Final = """# Benchmarks

Written by `make bench WRITE_DOCS=1`; run it on your own machine, since ratios travel and microseconds do not.

One process on one pinned core, load and upstream on another; a closed loop of 32 connections for CPU and throughput, an
open loop at {rate} calls/s for latency (counted from when a call was due). The upstream is nginx with fixed answers, so
what is measured is the door. CPU is the kernel's account of the process. A list that was told before is known again by
its bytes and not read; `list-200-new` is told differently each time, and is read and filtered each time.

Measured {at} on {machine}.

{table}
"""


def main() -> int:
    """Run the benchmark; return the exit code."""
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--seconds", type=float, default=5.0, help="of load for each row (default: 5)")
    parser.add_argument("--rate", type=int, default=500, help="calls a second in the open loop (default: 500)")
    parser.add_argument("--edits", type=int, default=100, help="of a policy, on a real API server (default: 100)")
    parser.add_argument("--write-docs", action="store_true", help="also write docs/benchmarks.md")
    options = parser.parse_args()
    try:
        for program in ("nginx", "wrk", "taskset"):
            servers.find(program)
        with tempfile.TemporaryDirectory() as directory:
            bench = Bench(Path(directory), Upstream(Path(directory)), options.seconds, options.rate)
            try:
                found = list(rows(bench))
            finally:
                bench.upstream.process.stop(grace=2)
        change = measure(options.edits) if options.edits else None
    except ToolError as error:
        sys.stderr.write(f"make bench: {error}\n")
        return 1
    figures = report.document(found, change)
    _RESULTS.parent.mkdir(exist_ok=True)
    _RESULTS.write_text(json.dumps(figures, indent=2) + "\n")
    text = report.table(found) + report.sentence(change)
    print(text)
    if options.write_docs:
        words = {"rate": options.rate, "at": str(figures["at"])[:10], "machine": figures["machine"], "table": text}
        _DOCS.write_text(_INTRODUCTION.format(**words))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
