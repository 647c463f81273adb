"""``ostiary crds``: prints or writes the CRDs, JSON Schemas and field references."""

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command to its parser."""
    parser.add_argument("--write", metavar="DIR", type=Path, help="write the CRDs to files in DIR instead")
    parser.add_argument(
        "--json-schema", metavar="DIR", type=Path, help="write JSON Schemas of all kinds, for editors, to files in DIR"
    )
    parser.add_argument("--docs", metavar="DIR", type=Path, help="write the reference of all fields to files in DIR")


def run(arguments: argparse.Namespace) -> int:
    """Print the CRDs, or write the files that the arguments name; return the exit code."""
    from ostiary_operator.api.crd import render_crds  # noqa: PLC0415  --help must work without pydantic
    from ostiary_operator.api.field_reference import render_reference  # noqa: PLC0415  likewise
    from ostiary_operator.api.json_schema import render_json_schemas  # noqa: PLC0415  likewise

    wanted = (
        (arguments.write, render_crds),
        (arguments.json_schema, render_json_schemas),
        (arguments.docs, render_reference),
    )
    if not any(folder for folder, _ in wanted):
        sys.stdout.write("---\n".join(text for _, text in sorted(render_crds().items())))
        return 0
    try:
        for folder, render in wanted:
            if folder is not None:
                _write(folder, render())
    except OSError as error:
        sys.stderr.write(f"ostiary crds: {error.filename}: {error.strerror}\n")
        return 1
    return 0


def _write(folder: Path, texts: Mapping[str, str]) -> None:
    for name, text in sorted(texts.items()):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        sys.stdout.write(f"{path}\n")
