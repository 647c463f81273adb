"""Generates the table of `docs/reference/signatures.md` from the file of signatures.

`python -m ostiary_tools.generate.signatures_page` writes it between its marks; a test fails when it is out of date.
"""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from ostiary_core.content.guards.signatures import Signature, built_in
from ostiary_core.contract.content import Direction
from ostiary_tools.generate.pages import filled, rewrite

ROOT: Final = Path(__file__).parents[3]
PAGE: Final = ROOT / "docs" / "reference" / "signatures.md"


def render() -> str:
    """The page as it should be.

    Raises:
        ToolError: it lacks its marks.
    """
    return filled(PAGE, "signatures", "\n".join(_lines()))


def _lines() -> Iterator[str]:
    known = built_in()
    yield f"Version `{known.version}`, {len(known.signatures)} signatures:"
    yield ""
    yield "| detector | signature | from sensitivity | looks at | reason | finds | does not find |"
    yield "|---|---|---|---|---|---|---|"
    for each in known.signatures:
        found, passes = _code(each.example), _code(each.counter_example)
        head = f"| `{each.detector}` | `{each.name}` | {each.sensitivity} | {_directions(each)} "
        yield f"{head}| {each.reason} | {found} | {passes} |"


def _directions(signature: Signature) -> str:
    if len(signature.directions) == len(Direction):
        return "everything"
    return ", ".join(each for each in Direction if each in signature.directions)


def _code(text: str) -> str:
    """Return a text as code in a cell of a table."""
    plain = text.replace("|", "\\|").replace("\n", " ")
    return f"`` {plain} ``" if "`" in plain else f"`{plain}`"


def main() -> int:
    """Write the page; print its path if it changed."""
    parser = argparse.ArgumentParser(prog="python -m ostiary_tools.generate.signatures_page", description=main.__doc__)
    parser.parse_args()
    rewrite(PAGE, render())
    return 0


if __name__ == "__main__":
    sys.exit(main())
