"""``ostiary status``: does everything work, and if not, why not and what to do?"""

import argparse
import asyncio
import json
import sys

from ostiary_operator.cli import cluster


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
    cluster.add_connection(parser)


def run(arguments: argparse.Namespace) -> int:
    """Tell how things are; return 0 if all is ready, 1 if something is not, 2 if the cluster cannot be asked."""
    from ostiary_operator.kube.errors import ClusterError  # noqa: PLC0415  help does without any of this
    from ostiary_operator.view import lines, summary  # noqa: PLC0415  likewise

    try:
        seen = asyncio.run(_read(arguments))
    except ClusterError as error:
        cluster.note("status", str(error))
        return cluster.UNANSWERED
    whole = lines.as_object(seen)
    if arguments.output == "json":
        sys.stdout.write(json.dumps(whole, indent=2) + "\n")
    elif arguments.output == "yaml":
        import yaml  # noqa: PLC0415  likewise

        sys.stdout.write(yaml.safe_dump(whole, sort_keys=False, allow_unicode=True))
    else:
        sys.stdout.write(summary.text(seen, wide=arguments.output == "wide", paint=cluster.painter()))
        for note in seen.notes:
            cluster.note("status", note)
    return cluster.WELL if whole["ready"] else cluster.NOT_WELL


async def _read(arguments: argparse.Namespace):  # type: ignore[no-untyped-def]  # its type would load everything
    from ostiary_operator.kube import visit  # noqa: PLC0415  likewise
    from ostiary_operator.view import reading  # noqa: PLC0415  likewise

    namespace = None if arguments.all_namespaces else cluster.chosen_namespace(arguments)
    async with visit.opened(cluster.credentials(arguments)) as api:
        return await reading.everything(api, namespace=namespace, operator_namespace=arguments.operator_namespace)
