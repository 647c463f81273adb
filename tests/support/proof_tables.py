"""Tables in the documentation that name the tests that prove each row."""

import ast
import re
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]


def rows(page: str) -> list[str]:
    """The rows of all tables of a page, by its path from the root of the repository."""
    lines = (ROOT / page).read_text().splitlines()
    return [line for line in lines if line.startswith("| ") and not line.endswith("Proved by |")]


def cells(row: str) -> list[str]:
    """The cells of a row."""
    return [cell.strip() for cell in row.strip("|").split(" | ")]


def named(row: str) -> list[tuple[str, str]]:
    """The tests that prove a row: file and function."""
    return re.findall(r"`([^`:]+)::(test_\w+)`", cells(row)[-1])


def folders(row: str) -> list[str]:
    """The folders of tests that a row names."""
    return re.findall(r"`(tests/[^`:]+)`", row)


def exists(path: str, name: str) -> bool:
    """Whether there is such a test."""
    return (ROOT / path).exists() and name in _names_in(path)


@cache
def _names_in(path: str) -> frozenset[str]:
    tree = ast.parse((ROOT / path).read_text())
    return frozenset(each.name for each in tree.body if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef))
