"""``ostiary limits``: shows what callers have used of the limits of policies."""

import argparse
import functools
import json
import sys
import time
from typing import TYPE_CHECKING

from ostiary_operator.cli import admin_access, cluster

if TYPE_CHECKING:
    from ostiary_operator.view.limit_usage import LimitUsages

_SECONDS = 1.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command to its parser."""
    parser.add_argument(
        "proxy", metavar="PROXY", nargs="?", help="only limits of this MCPProxy: its name, or NAMESPACE/NAME"
    )
    parser.add_argument(
        "-o", "--output", choices=("text", "json"), default="text", help="a table for people, or one JSON object"
    )
    cluster.add_watch(parser)
    admin_access.add_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    """Show the usage; return 0, 1 if a replica did not answer, 2 if none did."""
    if (problem := cluster.watch_conflict(arguments)) is not None:
        cluster.note("limits", problem)
        return cluster.UNANSWERED
    return admin_access.answer(lambda: _show(arguments), command="limits")


async def _show(arguments: argparse.Namespace) -> int:
    from ostiary_operator.view import admin_client, admin_ports, limit_usage  # noqa: PLC0415  --help must work without these packages

    proxy, ports = await admin_access.find(arguments, command="limits")
    async with admin_client.session() as http:
        poll = functools.partial(limit_usage.read, http, ports, proxy=proxy)
        seen = await poll()
        if not seen.answered:
            cluster.note("limits", admin_ports.unreachable(ports, seen.problems[0]))
            return cluster.UNANSWERED
        _write(arguments.output, seen, proxy)
        if arguments.watch:
            async for now in cluster.polls(poll, command="limits", seconds=_SECONDS):
                if now.keys != seen.keys:
                    sys.stdout.write(f"\n{time.strftime('%H:%M:%S')}\n")
                    _write(arguments.output, now, proxy)
                seen = now
    return cluster.NOT_WELL if seen.problems else cluster.WELL


def _write(output: str, seen: "LimitUsages", proxy: str) -> None:
    if output == "json":
        sys.stdout.write(json.dumps(seen.as_object(), indent=2, ensure_ascii=False) + "\n")
    else:
        sys.stdout.write(seen.table(proxy=proxy, paint=cluster.painter()))
        if seen.is_sum:
            cluster.note(
                "limits",
                f"used is the sum of {seen.replicas} replicas that count each by itself, so each lets the whole limit "
                "through; they count together where the gateway's settings name a store (limitStore)",
            )
        if seen.is_cut:
            cluster.note("limits", "there are more keys than this command reads: name an MCPProxy")
    for problem in seen.problems:
        cluster.note("limits", f"{problem}: what it counted is missing")
    sys.stdout.flush()
