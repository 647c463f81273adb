"""``ostiary validate``: validates files, and prints the findings."""

import argparse
import json
import sys
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ostiary_operator.cli.common_arguments import add_namespaces, counted

if TYPE_CHECKING:
    from ostiary_operator.local.findings import Finding

WELL, PROBLEMS, UNUSABLE = 0, 1, 2
"""The exit codes."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command to its parser."""
    parser.add_argument(
        "paths", metavar="PATH", nargs="+", help="a file, a folder (all *.yaml and *.yml below it), or - for stdin"
    )
    parser.add_argument(
        "-o", "--output", choices=("text", "json"), default="text", help="lines for people, or a JSON array of objects"
    )
    parser.add_argument(
        "--strict",
        action="store_true",
        help="fail on warnings, too: the files must contain all that they refer to",
    )
    add_namespaces(parser)


def run(arguments: argparse.Namespace) -> int:
    """Validate the files; return 0, or 1 for problems, or 2 for paths that cannot be used."""
    from ostiary_operator.local import files, manifests, validation  # noqa: PLC0415  help needs none of it

    try:
        read = manifests.read_all(arguments.paths, namespace=arguments.namespace)
    except files.PathError as error:
        sys.stderr.write(f"ostiary validate: {error}\n")
        return UNUSABLE
    findings = validation.validate(read, validation.ValidationContext(arguments.operator_namespace))
    for note in read.notes:
        sys.stderr.write(f"{note}\n")
    if arguments.output == "json":
        sys.stdout.write(json.dumps([finding.as_object() for finding in findings], indent=2) + "\n")
    else:
        sys.stdout.writelines(f"{finding}\n" for finding in findings)
        sys.stdout.write(_summary(findings, objects=len(read.manifests)))
    failing = findings if arguments.strict else [finding for finding in findings if finding.severity == "error"]
    return PROBLEMS if failing else WELL


def _summary(findings: "Sequence[Finding]", *, objects: int) -> str:
    counts = Counter(str(finding.severity) for finding in findings)
    problems = " and ".join(counted(counts[kind], kind) for kind in ("error", "warning") if counts[kind])
    return f"{counted(objects, 'object')}: {problems or 'no problems'}\n"
