"""``ostiary limits``: shows what callers have used of the limits of policies."""

import argparse
import functools
import json
import sys
from typing import TYPE_CHECKING

from ostiary_operator.cli import cluster, evidence

if TYPE_CHECKING:
    from ostiary_operator.view.evidence.gathered import Gathered
    from ostiary_operator.view.limit_usage import LimitUsages


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command to its parser."""
    evidence.add_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    """Show the usage; return 0, 1 if a replica did not answer, 2 if none did."""
    return evidence.run(_show, arguments, command="limits")


async def _show(arguments: argparse.Namespace) -> int:
    async with evidence.asking(arguments, command="limits") as asked:
        proxy = next(iter(asked.scope.named or ()), "")
        read = functools.partial(asked.reader.limits, proxy)
        write = functools.partial(_write, arguments.output, proxy)
        return await evidence.show(asked, read, write, watch=arguments.watch)


def _write(output: str, proxy: str, seen: "Gathered[LimitUsages]") -> None:
    usages = seen.value
    if output == "json":
        problems = [each.text for each in seen.problems]
        keys = [each.as_object() for each in usages.keys]
        document = evidence.as_object(seen, shared=usages.shared, keys=keys, problems=problems)
        sys.stdout.write(json.dumps(document, indent=2, ensure_ascii=False) + "\n")
        return
    sys.stdout.write(usages.table(proxy=proxy, paint=cluster.painter()))
    if usages.is_sum:
        cluster.note(
            "limits",
            f"used is the sum of {usages.replicas} replicas that count each by itself, so each lets the whole limit "
            "through; they count together where the gateway's settings name a store (limitStore)",
        )
    if usages.is_cut:
        cluster.note("limits", "there are more keys than this command reads: name an MCPProxy")
