"""The command that writes all that is made from ``boards.yaml``.

`python -m ostiary_tools.generate.boards.main` writes:

    helm/ostiary/observability/rules.yaml         recording rules and alerts
    helm/ostiary/observability/grafana/*.json     a dashboard for each board
    helm/ostiary/observability/perses/*.json      the same for Perses
    docs/reference/boards.md, docs/runbooks.md    what panels show, and what to do about alerts
    operator/…/boards/panels.json                 the queries, for the console

A test fails when they are out of date.
"""

import argparse
import dataclasses
import json
import sys
from pathlib import Path
from typing import Any, Final

import yaml

from ostiary_tools.common.errors import ToolError
from ostiary_tools.generate.boards.boards_file import FOLDER, ROOT, SOURCE, BoardsFile, read_boards_file
from ostiary_tools.generate.boards.checks import problems
from ostiary_tools.generate.boards.grafana import grafana_dashboard
from ostiary_tools.generate.boards.pages import boards_page, runbooks_page
from ostiary_tools.generate.boards.perses import perses_dashboard
from ostiary_tools.generate.boards.rules import RUNBOOKS, groups

PANELS: Final = ROOT / "operator" / "src" / "ostiary_operator" / "boards" / "panels.json"
_HEAD: Final = "# Generated from boards.yaml by `make generate`. Do not edit.\n"


def render(file: BoardsFile) -> dict[Path, str]:
    """Return the contents of all generated files."""
    boards = file.boards
    rules = {"groups": groups(file)}
    return {
        FOLDER / "rules.yaml": _HEAD + rules_text(rules),
        ROOT / "docs" / "reference" / "boards.md": boards_page(file),
        ROOT / RUNBOOKS: runbooks_page(file),
        PANELS: _json([dataclasses.asdict(board) for board in boards]),
        **{FOLDER / "grafana" / f"{each.name}.json": _json(grafana_dashboard(each)) for each in boards},
        **{FOLDER / "perses" / f"{each.name}.json": _json(perses_dashboard(each)) for each in boards},
    }


def rules_text(rules: dict[str, Any]) -> str:
    """Return groups of rules as a file of Prometheus; texts of several lines stay readable."""
    return yaml.dump(rules, Dumper=_BlockDumper, sort_keys=False, width=10_000, allow_unicode=True)


class _BlockDumper(yaml.SafeDumper):
    """Writes texts of several lines as blocks."""


def _block(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_BlockDumper.add_representer(str, _block)


def _json(value: Any) -> str:
    return json.dumps(value, indent=1, ensure_ascii=False) + "\n"


def stale() -> list[Path]:
    """Return generated files that are out of date, and those of boards that are gone.

    Raises:
        ToolError: the file has a fault.
    """
    wanted = render(read_boards_file())
    orphans = {path for kind in ("grafana", "perses") for path in (FOLDER / kind).glob("*.json")} - wanted.keys()
    changed = {path for path, text in wanted.items() if not path.exists() or path.read_text() != text}
    return sorted(orphans | changed)


def checked(file: BoardsFile) -> BoardsFile:
    """Return the file.

    Raises:
        ToolError: it asks for what does not exist; the message names everything.
    """
    if found := problems(file):
        raise ToolError("\n".join(f"{SOURCE.name}: {each}" for each in found))
    return file


def main() -> int:
    """Write the generated files; print the paths of those that changed."""
    parser = argparse.ArgumentParser(prog="python -m ostiary_tools.generate.boards.main", description=main.__doc__)
    parser.parse_args()
    try:
        wanted = render(checked(read_boards_file()))
        for path in stale():
            write(path, wanted.get(path))
            print(path.relative_to(ROOT))
    except ToolError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def write(path: Path, text: str | None) -> None:
    """Write a file, or remove it where there is no text for it."""
    if text is None:
        path.unlink()
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


if __name__ == "__main__":
    sys.exit(main())
