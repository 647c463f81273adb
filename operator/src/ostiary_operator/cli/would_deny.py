"""``ostiary would-deny``: shows what policies in Shadow mode would have stopped."""

import argparse
import dataclasses
import functools
import json
import sys
from typing import TYPE_CHECKING

from ostiary_operator.cli import cluster, evidence

if TYPE_CHECKING:
    from ostiary_operator.view.evidence.gathered import Gathered
    from ostiary_operator.view.evidence.reader import ObservedRefusals
    from ostiary_operator.view.shadow_report import RefusedSum, ShadowReport


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command to its parser."""
    parser.add_argument("--allow", action="store_true", help="print policies that allow it, as YAML, and nothing else")
    evidence.add_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    """Show it; return 0, 1 if a replica did not answer, 2 if none did."""
    return evidence.run(_show, arguments, command="would-deny")


async def _show(arguments: argparse.Namespace) -> int:
    async with evidence.asking(arguments, command="would-deny") as asked:
        read = functools.partial(asked.reader.refusals, asked.scope)
        write = functools.partial(_write, arguments, asked.where)
        return await evidence.show(asked, read, write, watch=arguments.watch)


def _write(arguments: argparse.Namespace, where: str, seen: "Gathered[ObservedRefusals]") -> None:
    from ostiary_operator.view.shadow_report import shadow_report  # noqa: PLC0415  --help must work without these packages

    report = shadow_report(seen.value.refusals)
    if arguments.output == "json":
        from ostiary_operator.console.twins import as_json  # noqa: PLC0415  likewise

        members = as_json(dataclasses.replace(report, refusals=()))
        members |= {"refusals": [each.model_dump(by_alias=True) for each in report.refusals]}
        document = evidence.as_object(seen, **members, forgotten=seen.value.forgotten)
        sys.stdout.write(json.dumps(document, indent=2, ensure_ascii=False) + "\n")
        return
    sys.stdout.write(report.allow if arguments.allow else _text(report, where))
    _note(report, seen.value.forgotten)


def _text(report: "ShadowReport", where: str) -> str:
    if not report.count:
        return f"no policy in Shadow mode would have denied anything{where}\n"
    tables = (("RULE", report.rules), ("NAME", report.names), ("PRINCIPAL", report.principals))
    return "\n".join(_table(title, sums) for title, sums in tables)


def _table(title: str, sums: "tuple[RefusedSum, ...]") -> str:
    from ostiary_operator.local.console import printable  # noqa: PLC0415  likewise
    from ostiary_operator.view import tables  # noqa: PLC0415  likewise

    rows = [(printable(each.name), f"{each.count:,}") for each in sums]
    return tables.render((title, "WOULD BE DENIED"), rows, paint=cluster.painter())


def _note(report: "ShadowReport", forgotten: int) -> None:
    for reason, count in sorted(report.omitted.items()):
        cluster.note("would-deny", f"{count:,} of them no further rule would allow: {reason}")
    if forgotten:
        cluster.note("would-deny", f"{forgotten:,} older refusals made room for these, and are not counted")
