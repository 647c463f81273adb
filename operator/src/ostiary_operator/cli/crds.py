"""``ostiary crds``: what is generated from the models, printed or written."""

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command to its parser."""
    parser.add_argument("--write", metavar="DIR", type=Path, help="write the CRDs to files in DIR instead")
    parser.add_argument("--docs", metavar="DIR", type=Path, help="write the reference of all fields to files in DIR")


def run(arguments: argparse.Namespace) -> int:
    """Print the CRDs, or write what was asked for; return the exit code."""
    from ostiary_operator.api.crd import render_crds  # noqa: PLC0415  help does without pydantic
    from ostiary_operator.api.reference import render_reference  # noqa: PLC0415  likewise

    if arguments.write is None and arguments.docs is None:
        sys.stdout.write("---\n".join(text for _, text in sorted(render_crds().items())))
        return 0
    try:
        if arguments.write is not None:
            _write(arguments.write, render_crds())
        if arguments.docs is not None:
            _write(arguments.docs, render_reference())
    except OSError as error:
        sys.stderr.write(f"ostiary crds: {error.filename}: {error.strerror}\n")
        return 1
    return 0


def _write(folder: Path, texts: Mapping[str, str]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in sorted(texts.items()):
        path = folder / name
        path.write_text(text, encoding="utf-8")
        sys.stdout.write(f"{path}\n")
