"""``ostiary status``: reports what is not ready, with reasons and remedies."""

import argparse
import asyncio
import functools
import json
import sys
import time
from typing import TYPE_CHECKING, Any

from ostiary_operator.cli import cluster

if TYPE_CHECKING:
    from ostiary_operator.view.cluster_reader import ClusterOverview


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command to its parser."""
    cluster.add_scope(parser)
    parser.add_argument(
        "-o",
        "--output",
        choices=("text", "wide", "json", "yaml"),
        default="text",
        help="tables for people, wider ones, or one object for programs (default: text)",
    )
    cluster.add_watch(parser)
    cluster.add_connection(parser)


def run(arguments: argparse.Namespace) -> int:
    """Report; return 0 if all is ready, 1 if something is not, 2 if the cluster cannot be read."""
    from ostiary_operator.kube.errors import ClusterError  # noqa: PLC0415  --help must work without these packages

    if (problem := cluster.watch_conflict(arguments)) is not None:
        cluster.note("status", problem)
        return cluster.UNANSWERED
    try:
        ready = asyncio.run(_follow(arguments))
    except ClusterError as error:
        cluster.note("status", str(error))
        return cluster.UNANSWERED
    return cluster.WELL if ready else cluster.NOT_WELL


def _write(arguments: argparse.Namespace, seen: "ClusterOverview", whole: dict[str, Any]) -> None:
    """Write the output to stdout, and its notes to stderr."""
    from ostiary_operator.view import summary  # noqa: PLC0415  likewise

    if arguments.output == "json":
        sys.stdout.write(json.dumps(whole, indent=2) + "\n")
    elif arguments.output == "yaml":
        import yaml  # noqa: PLC0415  likewise

        sys.stdout.write(yaml.safe_dump(whole, sort_keys=False, allow_unicode=True))
    else:
        sys.stdout.write(summary.text(seen, wide=arguments.output == "wide", paint=cluster.painter()))
        for note in seen.notes:
            cluster.note("status", note)
    sys.stdout.flush()


async def _follow(arguments: argparse.Namespace) -> bool:
    """Report, and with `--watch` again on every change; return whether all was ready at first."""
    from ostiary_operator.kube import kubeconfig  # noqa: PLC0415  likewise
    from ostiary_operator.view import cluster_reader, rows  # noqa: PLC0415  help needs none of it

    namespace = None if arguments.all_namespaces else cluster.chosen_namespace(arguments)
    async with kubeconfig.opened(cluster.credentials(arguments)) as api:
        poll = functools.partial(
            cluster_reader.read_overview, api, namespace=namespace, operator_namespace=arguments.operator_namespace
        )
        seen = await poll()
        whole = rows.as_object(seen)
        _write(arguments, seen, whole)
        ready = bool(whole["ready"])
        if arguments.watch:
            async for seen in cluster.polls(poll, command="status"):
                if (now := rows.as_object(seen)) != whole:
                    sys.stdout.write(f"\n{time.strftime('%H:%M:%S')}\n")
                    _write(arguments, seen, now)
                whole = now
        return ready
