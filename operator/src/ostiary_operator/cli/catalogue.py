"""``ostiary catalogue``: shows what a caller sees of an MCPProxy, and why not the rest."""

import argparse
import json
import sys
from typing import TYPE_CHECKING

from ostiary_operator.cli import admin_access, cluster, explain

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ostiary_operator.local.caller_catalogue import CatalogueEntry
    from ostiary_operator.local.governed_proxy import GovernedProxy


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command to its parser."""
    parser.add_argument("proxy", metavar="PROXY", help="the MCPProxy: its name, or NAMESPACE/NAME")
    parser.add_argument(
        "paths",
        metavar="PATH",
        nargs="*",
        default=(),  # without one, argparse calls it required in its errors
        help="YAML files with its MCPPolicies (default: those of the `ostiary run`, or of the cluster)",
    )
    parser.add_argument("--seen", action="store_true", help="only what the caller sees")
    explain.add_caller(parser)
    parser.add_argument(
        "-o", "--output", choices=("text", "json"), default="text", help="a table for people, or one JSON object"
    )
    admin_access.add_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    """Show the catalogue; return 0, 1 if a replica did not answer, 2 if it cannot be known."""
    return admin_access.answer(lambda: _show(arguments), command="catalogue")


async def _show(arguments: argparse.Namespace) -> int:
    from ostiary_operator.local import caller_catalogue, described_caller  # noqa: PLC0415  --help must work without these packages
    from ostiary_operator.view import admin_client, admin_ports, server_names  # noqa: PLC0415  likewise

    identity, ports = await admin_access.find(arguments, command="catalogue")
    proxy = await _governed(arguments, identity)
    caller = described_caller.find_caller(proxy, explain.caller_of(arguments))
    async with admin_client.session() as http:
        found = await server_names.read(http, ports, proxy=identity)
    if not found.replicas:
        cluster.note("catalogue", admin_ports.unreachable(ports, found.problems[0]))
        return cluster.UNANSWERED
    if caller.refusal is not None:
        cluster.note("catalogue", f"the gateway refuses this caller: {caller.refusal}")
        return cluster.UNANSWERED
    if caller.is_ignored:
        cluster.note("catalogue", "no policy tells callers of this MCPProxy apart: every caller sees this")
    shown = caller_catalogue.entries(proxy, caller.principal, found.names)
    _write(arguments, identity, proxy, [each for each in shown if each.is_seen or not arguments.seen])
    for server in caller_catalogue.unlisted(proxy, found.names):
        cluster.note("catalogue", f"server {server}: no list of it has passed the gateway, so its names are missing")
    if arguments.output == "text":
        for server, words in caller_catalogue.left_out(proxy):
            cluster.note("catalogue", f"server {server}: left out of its document: {words}")
    for problem in found.problems:
        cluster.note("catalogue", f"{problem}: what only it has seen is missing")
    return cluster.NOT_WELL if found.problems else cluster.WELL


async def _governed(arguments: argparse.Namespace, identity: str) -> "GovernedProxy":
    """Return the MCPProxy with its policies.

    They are those of files, of a run on this machine, or of the cluster.
    """
    from ostiary_operator.kube import kubeconfig  # noqa: PLC0415  likewise
    from ostiary_operator.local import governed_proxy  # noqa: PLC0415  likewise
    from ostiary_operator.view import governed_proxies  # noqa: PLC0415  likewise

    paths = arguments.paths or _paths_of_run(arguments)
    namespace, _, name = identity.partition("/")
    if not paths:
        async with kubeconfig.opened(cluster.credentials(arguments)) as client:
            return await governed_proxies.read(client, namespace=namespace, name=name)
    configs, errors = governed_proxy.compiled_files(
        paths, namespace=namespace, operator_namespace=arguments.operator_namespace
    )
    sys.stderr.writelines(f"{error}\n" for error in errors)
    return governed_proxy.find_proxy(configs, identity, namespace=namespace)


def _paths_of_run(arguments: argparse.Namespace) -> tuple[str, ...]:
    """Return the files of the only `ostiary run` on this machine.

    None where a cluster is meant.
    """
    from ostiary_operator.local.running_projects import running_projects  # noqa: PLC0415  likewise

    found = running_projects() if not (arguments.admin or arguments.kubeconfig or arguments.context) else ()
    return found[0].files if len(found) == 1 else ()


def _write(
    arguments: argparse.Namespace, identity: str, proxy: "GovernedProxy", shown: "Sequence[CatalogueEntry]"
) -> None:
    from ostiary_operator.local import caller_catalogue  # noqa: PLC0415  likewise
    from ostiary_operator.view import tables  # noqa: PLC0415  likewise

    if arguments.output == "json":
        left_out = [{"server": server, "message": words} for server, words in caller_catalogue.left_out(proxy)]
        found = {"proxy": identity, "names": [each.as_object() for each in shown], "leftOut": left_out}
        sys.stdout.write(json.dumps(found, indent=2, ensure_ascii=False) + "\n")
    elif shown:
        sys.stdout.write(tables.render(caller_catalogue.HEADER, list(caller_catalogue.rows(shown))))
        sys.stdout.write("\nuse: see and use; if: depends on the message; see: see only; use unseen: use only\n")
    else:
        cluster.note("catalogue", "nothing: no list of a server has passed the gateway yet, or the caller sees none")
