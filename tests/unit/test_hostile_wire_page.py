"""The page about the hostile wire names tests that exist, and has a test in each of its rows."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ROWS = [
    line
    for line in (ROOT / "docs/hostile-wire.md").read_text().splitlines()
    if line.startswith("| ") and not line.endswith("Proved by |")
]


@cache
def names_in(path: str) -> frozenset[str]:
    tree = ast.parse((ROOT / path).read_text())
    return frozenset(each.name for each in tree.body if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef))


def test_the_page_has_rows() -> None:
    assert len(ROWS) > 60


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[2:40])
def test_a_row_of_the_page_is_proved_by_tests_that_exist(row: str) -> None:
    cells = [cell.strip() for cell in row.strip("|").split(" | ")]
    named = re.findall(r"`([^`:]+)::(test_\w+)`", cells[-1])

    assert len(cells) == 3
    assert all(cells)
    assert named
    assert [f"{path}::{name}" for path, name in named if name not in names_in(path)] == []
