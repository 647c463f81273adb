"""A cursor holds where a page begins, in few bytes."""

import pytest

from ostiary_core.mcp.methods import LISTS
from ostiary_gateway.catalogue.cursors import ListCursor


@pytest.mark.parametrize("method", [row.name for row in LISTS.values()])
def test_a_cursor_is_read_as_it_was_made(method: str) -> None:
    cursor = ListCursor(method, 9_000, b"d" * 16)
    assert ListCursor.unpacked(cursor.packed()) == cursor
    assert len(cursor.packed()) == 21


@pytest.mark.parametrize("plain", [b"", b"x" * 20, b"\xff" + b"x" * 20, b"x" * 22])
def test_what_is_no_cursor_is_none(plain: bytes) -> None:
    assert ListCursor.unpacked(plain) is None
