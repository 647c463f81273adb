"""``ostiary suggest``: writes least-privilege MCPPolicies for what callers really used."""

import argparse
import sys
from pathlib import Path

WELL, NOTHING, UNUSABLE = 0, 1, 2
"""The exit codes."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command to its parser."""
    parser.add_argument("file", metavar="FILE", help="spans of gateways as JSON lines, or - for stdin")
    parser.add_argument(
        "--enforce", action="store_true", help="omit `mode: Shadow`: the policy decides as soon as it is applied"
    )


def run(arguments: argparse.Namespace) -> int:
    """Print the policies; return the exit code.

    It is 1 if no use is recorded, 2 for a file that cannot be read.
    """
    import yaml  # noqa: PLC0415  help needs none of it

    from ostiary_operator.local import policy_suggestion  # noqa: PLC0415  likewise

    try:
        if arguments.file == "-":
            recording = policy_suggestion.read_records(sys.stdin)
        else:
            with Path(arguments.file).open(encoding="utf-8") as lines:
                recording = policy_suggestion.read_records(lines)
    except (OSError, UnicodeDecodeError) as error:
        sys.stderr.write(f"ostiary suggest: {arguments.file} cannot be read: {error}\n")
        return UNUSABLE
    for reason, number in sorted(recording.omitted.items()):
        sys.stderr.write(f"ostiary suggest: records omitted: {number}, {reason}\n")
    policies = list(policy_suggestion.suggest(recording, enforce=arguments.enforce))
    if not policies:
        sys.stderr.write("ostiary suggest: no record of an allowed call, so there is nothing to suggest\n")
        return NOTHING
    sys.stdout.write(yaml.safe_dump_all(policies, sort_keys=False, allow_unicode=True, width=120))
    return WELL
