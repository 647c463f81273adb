"""``ostiary get``: lists resources and gateways as kubectl does, with further columns."""

import argparse
import asyncio
import functools
import json
import sys
from typing import TYPE_CHECKING, Final

from ostiary_operator.cli import cluster

if TYPE_CHECKING:
    from ostiary_operator.view.listing import ListResult

#: Each kind, and the words for it.
WORDS: Final = {
    "proxies": ("proxies", "proxy", "mcpproxies", "mcpproxy", "mpx"),
    "policies": ("policies", "policy", "mcppolicies", "mcppolicy", "mpol"),
    "gateways": ("gateways", "gateway", "gw"),
    "all": ("all",),
}
_KINDS: Final = {word: kind for kind, words in WORDS.items() for word in words}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command to its parser."""
    parser.add_argument(
        "kind",
        metavar="KIND",
        nargs="?",
        default="all",
        type=_kind,
        help="proxies (mpx), policies (mpol), gateways (gw) or all (default: all)",
    )
    parser.add_argument("names", metavar="NAME", nargs="*", help="only these")
    cluster.add_scope(parser)
    parser.add_argument("-l", "--selector", metavar="LABELS", help="only those with these labels, as in kubectl")
    parser.add_argument(
        "-o",
        "--output",
        choices=("table", "wide", "json", "yaml", "name"),
        default="table",
        help="a table, a wider one, the objects as the API server returns them, or their names (default: table)",
    )
    parser.add_argument("--no-headers", action="store_true", help="tables without a header")
    cluster.add_watch(parser)
    cluster.add_connection(parser)


def _kind(text: str) -> str:
    word = text.lower().removesuffix(".ostiary.dev")
    if word not in _KINDS:
        raise argparse.ArgumentTypeError(f"{text!r} is none of proxies, policies, gateways and all")
    return _KINDS[word]


def run(arguments: argparse.Namespace) -> int:
    """List the requested objects.

    Return 0, or 1 if a name does not exist, or 2 for wrong usage or an unreadable cluster.
    """
    from ostiary_operator.kube.errors import ClusterError, KindMissing, NotFound  # noqa: PLC0415  --help must work without these packages

    if arguments.names and (arguments.kind == "all" or arguments.all_namespaces or arguments.selector):
        cluster.note("get", "a NAME needs one KIND and one namespace, and no -A and --selector")
        return cluster.UNANSWERED
    if (problem := cluster.watch_conflict(arguments)) is not None:
        cluster.note("get", problem)
        return cluster.UNANSWERED
    try:
        asyncio.run(_follow(arguments))
    except ClusterError as error:
        cluster.note("get", str(error))
        missing = isinstance(error, NotFound) and not isinstance(error, KindMissing)
        return cluster.NOT_WELL if missing else cluster.UNANSWERED
    return cluster.WELL


def _write(arguments: argparse.Namespace, found: "ListResult") -> None:
    """Write the output to stdout, and its notes to stderr."""
    sys.stdout.write(_written(arguments, found))
    sys.stdout.flush()
    for note in found.notes:
        cluster.note("get", note)
    if not found.objects and arguments.output in {"table", "wide"}:
        where = "in any namespace" if arguments.all_namespaces else f"in namespace {found.namespace}"
        cluster.note("get", f"nothing found {where}")


async def _follow(arguments: argparse.Namespace) -> None:
    """Write what there is, and with `--watch` every change, until interrupted."""
    from ostiary_operator.kube import kubeconfig  # noqa: PLC0415  likewise
    from ostiary_operator.view import listing  # noqa: PLC0415  likewise

    namespace = None if arguments.all_namespaces else cluster.chosen_namespace(arguments)
    async with kubeconfig.opened(cluster.credentials(arguments)) as api:
        wanted = listing.ListRequest(arguments.kind, namespace, tuple(arguments.names), arguments.selector)
        poll = functools.partial(listing.read, api, wanted, digests=arguments.output == "wide")
        before = await poll()
        _write(arguments, before)
        if arguments.watch:
            async for found in cluster.polls(poll, command="get"):
                _write_changes(arguments, before, found)
                before = found


def _write_changes(arguments: argparse.Namespace, before: "ListResult", found: "ListResult") -> None:
    """Write new and changed objects as rows without a header, as kubectl does.

    Note deleted ones on stderr.
    """
    from ostiary_operator.view import listing  # noqa: PLC0415  likewise

    news = listing.changed(before, found)
    sys.stdout.write(_written(arguments, news, headers=False))
    sys.stdout.flush()
    for name in listing.gone(before, found):
        cluster.note("get", f"{name} is gone")


def _written(arguments: argparse.Namespace, found: "ListResult", *, headers: bool = True) -> str:
    from ostiary_operator.view import listing  # noqa: PLC0415  likewise

    match arguments.output:
        case "json":
            return json.dumps(listing.as_object(found, single=len(arguments.names) == 1), indent=2) + "\n"
        case "yaml":
            import yaml  # noqa: PLC0415  likewise

            document = listing.as_object(found, single=len(arguments.names) == 1)
            return yaml.safe_dump(document, sort_keys=False, allow_unicode=True)
        case "name":
            return "".join(f"{name}\n" for name in listing.names(found))
        case _:
            return listing.tables_of(
                found,
                wide=arguments.output == "wide",
                namespaces=bool(arguments.all_namespaces),
                headers=headers and not arguments.no_headers,
                paint=cluster.painter(),
            )
