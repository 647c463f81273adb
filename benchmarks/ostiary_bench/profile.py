"""``make profile``: the CPU time of one call, by stage of the pipeline and by function."""

import argparse
import json
import os
import signal
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Final

from ostiary_bench import servers
from ostiary_bench.calls import CALL, LIST
from ostiary_bench.gateways_under_test import GatewayUnderTest
from ostiary_bench.load import closed_loop
from ostiary_bench.servers import Upstream
from ostiary_tools.common.errors import ToolError

#: The modules of each stage, in the order of the pipeline; more specific prefixes come first.
STAGES: Final = {
    "receive": ("server/", "pipeline/http_checks"),
    "route": ("pipeline/route", "config/"),
    "identify": ("identity/",),
    "in-flight limits": ("limits/",),
    "decode": ("pipeline/body", "pipeline/decode", "pipeline/message_members", "pipeline/mirrored_headers", "session"),
    "authorize": ("pipeline/authorize",),
    "limit": ("policy_limits/", "pipeline/limit"),
    "forward": ("pipeline/forward", "pipeline/response_head", "upstream/"),
    "shape": (
        "pipeline/shape",
        "pipeline/list_filter",
        "pipeline/json_response",
        "pipeline/sse_",
        "pipeline/list_cache",
        "sse",
    ),
    "audit": ("audit/", "pipeline/audit"),
    "record": ("pipeline/record", "telemetry/", "metrics"),
    "the pipeline itself": ("pipeline/",),
    "event loop and kernel": ("asyncio", "process"),
}


def stage(module: str) -> str:
    """Return the stage that a module belongs to."""
    for name, prefixes in STAGES.items():
        if module.startswith(prefixes):
            return name
    return "other"


def report(samples: list[tuple[str, str, int]], microseconds: float, *, functions: int) -> str:
    """Return two tables: the stages, and the most expensive functions."""
    total = sum(count for *_, count in samples) or 1
    by_stage: Counter[str] = Counter()
    for module, _, count in samples:
        by_stage[stage(module)] += count
    lines = [f"{microseconds:.1f} us of CPU a call, {total} samples", ""]
    order = [*STAGES, "other"]
    lines += [_line(name, by_stage[name], total, microseconds) for name in order if by_stage[name]]
    top = sorted(samples, key=lambda sample: -sample[2])[:functions]
    lines += ["", *(_line(f"{module}:{function}", count, total, microseconds) for module, function, count in top)]
    return "\n".join(lines)


def _line(name: str, count: int, total: int, microseconds: float) -> str:
    share = count / total
    return f"  {name:64} {share * microseconds:6.1f} us {share:6.1%}  {'#' * round(share * 60)}"


def main() -> int:
    """Load a gateway and print its profile; return the exit code."""
    parser = argparse.ArgumentParser(prog="make profile", description=__doc__)
    parser.add_argument("--seconds", type=float, default=8.0, help="of load (default: 8)")
    parser.add_argument(
        "--of", default="call-json", help="call-json, call-sse, list-15, list-200, list-200-new, or governed-…"
    )
    parser.add_argument("--functions", type=int, default=25, help="how many functions to list (default: 25)")
    options = parser.parse_args()
    try:
        for program in ("nginx", "wrk", "taskset"):
            servers.find(program)
        with tempfile.TemporaryDirectory() as directory:
            sys.stdout.write(_profile(Path(directory), options.of, options.seconds, options.functions) + "\n")
    except ToolError as error:
        sys.stderr.write(f"make profile: {error}\n")
        return 1
    return 0


def _profile(directory: Path, kind: str, seconds: float, functions: int) -> str:
    upstream, out = Upstream(directory), directory / "samples.json"
    command: list[str | Path] = [sys.executable, Path(__file__).with_name("sampling_profiler.py"), out]
    gateway = GatewayUnderTest(directory, "profiled", upstream, env=dict(os.environ), command=command)
    try:
        body = LIST if "list" in kind else CALL
        closed_loop(directory, pid=gateway.process.pid, url=gateway.url(kind), body=body, seconds=1)
        os.kill(gateway.process.pid, signal.SIGUSR1)
        found = closed_loop(directory, pid=gateway.process.pid, url=gateway.url(kind), body=body, seconds=seconds)
    finally:
        gateway.process.stop(grace=5)
        upstream.process.stop(grace=2)
    return report(
        [tuple(sample) for sample in json.loads(out.read_text())], found.cpu_microseconds, functions=functions
    )


if __name__ == "__main__":
    raise SystemExit(main())
