"""The table for the terminal and docs/benchmarks.md, and the figures as JSON."""

import datetime as dt
import os
import platform
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from ostiary_bench.calls import CallRow
from ostiary_bench.edit_latency import Change
from ostiary_bench.streams import Streams
from ostiary_core.version import __version__


def document(rows: Sequence[CallRow], change: Change | None, streams: Streams | None) -> dict[str, object]:
    """Return everything that was measured, as JSON."""
    now = dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
    return {
        "version": __version__,
        "at": now,
        "machine": machine(),
        "rows": [row.document() for row in rows],
        "change": asdict(change) if change else None,
        "streams": asdict(streams) if streams else None,
    }


def machine() -> str:
    """Return the machine's cores, CPU, Python and system as one line."""
    cpu = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if "model name" in line
        ),
        platform.machine(),
    )
    return (
        f"{os.cpu_count()} cores of {cpu}, Python {platform.python_version()}, {platform.system()} {platform.release()}"
    )


def table(rows: Sequence[CallRow]) -> str:
    """Return the table in Markdown. ``x`` is the multiple of nginx's CPU for the same message."""
    lines = [
        "| what | message | CPU a call | x nginx | calls/s, one core | p50 / p99 | memory |",
        "|---|---|---:|---:|---:|---:|---:|",
    ]
    return "\n".join([*lines, *map(_line, rows)])


def sentence(change: Change | None) -> str:
    """Return the paragraph about a change, which follows the table."""
    if change is None:
        return ""
    return (
        f"\n\nFrom the API server's response to an edit of a policy until all {change.replicas} replicas enforce it, "
        f"over {change.edits} edits on a real API server: p50 {change.p50:.0f} ms, p99 {change.p99:.0f} ms, "
        f"longest {change.longest:.0f} ms."
    )


def _line(row: CallRow) -> str:
    closed = row.closed
    multiple = f"{row.multiple:.2f}" if row.multiple is not None else ""
    latency = f"{row.latency.p50:.2f} / {row.latency.p99:.2f} ms" if row.latency else ""
    return (
        f"| {row.name} | {row.kind} | {closed.cpu_microseconds:.1f} µs | {multiple} | "
        f"{closed.calls_per_second:,.0f} | {latency} | {closed.resident_mebibytes:.0f} MiB |"
    )
