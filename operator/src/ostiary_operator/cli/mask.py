"""``ostiary mask``: shows what masks leave of a file."""

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from ostiary_operator.cli.common_arguments import add_namespaces

if TYPE_CHECKING:
    from ostiary_core.content.masks.compiled_mask import CompiledMask

SHOWN, BLOCKED, UNUSABLE = 0, 1, 2
"""The exit codes."""
_WITHOUT_KEYS = frozenset({"Hash", "Tokenise"})


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command to its parser."""
    parser.add_argument("file", metavar="FILE", help="a text, a result or a JSON-RPC message, or - for stdin")
    parser.add_argument(
        "--policy", metavar="PATH", action="append", default=[],
        help="a file or folder with MCPPolicies whose masks apply; without it, all kinds are masked",
    )  # fmt: skip
    parser.add_argument(
        "--keep-last", type=int, default=0, choices=range(9), metavar="N",
        help="without --policy: show the last N characters, at most 8 and never more than half",
    )  # fmt: skip
    add_namespaces(parser)


def run(arguments: argparse.Namespace) -> int:
    """Print what is left, and to stderr what was found; return the exit code.

    It is 1 if a mask blocks, 2 for a file or policy that cannot be used.
    """
    from ostiary_operator.local import mask_preview  # noqa: PLC0415  help needs none of it

    masks = _masks(arguments)
    if masks is None:
        return UNUSABLE
    try:
        text = sys.stdin.read() if arguments.file == "-" else Path(arguments.file).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        sys.stderr.write(f"ostiary mask: {arguments.file} cannot be read: {error}\n")
        return UNUSABLE
    found = mask_preview.preview(masks, text)
    for each in found.findings:
        sys.stderr.write(f"{each.count} {each.detector}: {each.action} ({each.origin})\n")
    if any(each.action in _WITHOUT_KEYS for each in found.findings):
        sys.stderr.write("Hash and Tokenise are shown as Mask: only gateways have their keys\n")
    if found.text is None:
        sys.stderr.write("blocked: the message would not pass\n")
        return BLOCKED
    sys.stdout.write(found.text if found.text.endswith("\n") else f"{found.text}\n")
    return SHOWN


def _masks(arguments: argparse.Namespace) -> "list[CompiledMask] | None":
    """Return the masks to apply; None, with a message, where they cannot be used."""
    from ostiary_core.errors import PatternError  # noqa: PLC0415  likewise
    from ostiary_operator.local import files, manifests, mask_preview  # noqa: PLC0415  likewise

    if not arguments.policy:
        return [mask_preview.every_kind(keep_last=arguments.keep_last)]
    try:
        read = manifests.read_all(arguments.policy, namespace=arguments.namespace)
        masks = mask_preview.masks_of(read.manifests)
    except (files.PathError, mask_preview.UnusablePolicyError, PatternError) as error:
        sys.stderr.write(f"ostiary mask: {error}\n")
        return None
    sys.stderr.writelines(f"{finding}\n" for finding in read.findings)
    if not masks:
        sys.stderr.write("ostiary mask: no MCPPolicy there has masks: give a file with spec.masks\n")
    return masks or None
