"""``ostiary discover``: prints MCPProxies for servers of other operators without one."""

import argparse
import asyncio
import sys
from typing import TYPE_CHECKING

from ostiary_operator.cli import cluster, common_arguments

if TYPE_CHECKING:
    from ostiary_operator.view.unproxied_servers import UnproxiedServers


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command to its parser."""
    from ostiary_operator.kube import options  # noqa: PLC0415  --help must work without these packages

    cluster.add_scope(parser)
    parser.add_argument(
        "--into",
        metavar="NAME",
        type=common_arguments.namespace,
        help="namespace of the MCPProxies; elsewhere than the servers, ReferenceGrants are printed too "
        "(default: that of each server)",
    )
    options.add_server_kinds(parser)
    cluster.add_connection(parser)


def run(arguments: argparse.Namespace) -> int:
    """Print what to apply.

    Return 0, or 2 for an unreadable cluster.
    """
    from ostiary_operator.kube.errors import ClusterError  # noqa: PLC0415  likewise

    try:
        found = asyncio.run(_read(arguments))
    except ClusterError as error:
        cluster.note("discover", str(error))
        return cluster.UNANSWERED
    _write(found)
    return cluster.WELL


async def _read(arguments: argparse.Namespace) -> "UnproxiedServers":
    from ostiary_operator.api.server_kinds import with_built_in  # noqa: PLC0415  likewise
    from ostiary_operator.kube import kubeconfig  # noqa: PLC0415  likewise
    from ostiary_operator.view import unproxied_servers  # noqa: PLC0415  likewise

    namespace = None if arguments.all_namespaces else cluster.chosen_namespace(arguments)
    kinds = with_built_in(arguments.server_kind)
    async with kubeconfig.opened(cluster.credentials(arguments)) as api:
        return await unproxied_servers.read(api, kinds, namespace=namespace, into=arguments.into)


def _write(found: "UnproxiedServers") -> None:
    import yaml  # noqa: PLC0415  likewise

    for comment, obj in found.objects:
        sys.stdout.write(f"---\n# {comment}\n{yaml.safe_dump(obj, sort_keys=False)}")
    for note in found.notes:
        cluster.note("discover", note)
    if not found.objects:
        cluster.note("discover", "no MCP server is without an MCPProxy, of those that are looked for")
