"""A list of a server is drained within limits, and an endless one ends."""

import json
from typing import Any

import pytest

from ostiary_core.mcp.methods import METHODS
from ostiary_gateway.catalogue.raw_list import MOST_ITEMS, MOST_PAGES, RawPages

TOOLS = METHODS["tools/list"]


def pages(most_bytes: int = 1 << 20) -> RawPages:
    return RawPages(TOOLS, most_bytes=most_bytes)


def page(*items: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"tools": list(items), **more}


def test_pages_are_joined_in_their_order() -> None:
    found = pages()

    assert found.add(page({"name": "a"}, nextCursor="1"), size=10) == "1"
    assert found.add(page(nextCursor=""), size=10) is not None  # "" is a valid cursor, and a page may be empty
    assert found.add(page({"name": "b"}), size=10) is None

    assert found.list().items() == [{"name": "a"}, {"name": "b"}]
    assert found.list().count == 2
    assert not found.list().is_cut


def test_an_empty_list_is_a_list() -> None:
    found = pages()
    assert found.add(page(), size=2) is None
    assert (found.list().items(), found.list().count) == ([], 0)


def test_a_cursor_that_comes_again_ends_the_list() -> None:
    found = pages()
    assert found.add(page({"name": "a"}, nextCursor="x"), size=1) == "x"
    assert found.add(page({"name": "b"}, nextCursor="y"), size=1) == "y"
    assert found.add(page({"name": "c"}, nextCursor="x"), size=1) is None
    assert found.list().count == 3
    assert not found.list().is_cut


def test_pages_without_end_are_cut() -> None:
    found = pages()
    cursors = [found.add(page({"name": f"t{i}"}, nextCursor=f"{i}"), size=1) for i in range(MOST_PAGES)]
    assert cursors[-2:] == [f"{MOST_PAGES - 2}", None]
    assert found.list().count == MOST_PAGES
    assert found.list().is_cut


def test_items_without_end_are_cut() -> None:
    found = pages(1 << 40)
    half = page(*({"name": f"t{i}"} for i in range(MOST_ITEMS // 2 + 1)), nextCursor="")
    assert found.add(half, size=1) == ""
    assert found.add({**half, "nextCursor": "2"}, size=1) is None
    assert found.list().count == len(found.list().items()) == MOST_ITEMS
    assert found.list().is_cut


def test_bytes_without_end_are_cut() -> None:
    found = pages(100)
    assert found.add(page({"name": "a"}, nextCursor="1"), size=60) == "1"
    assert found.left == 40
    assert found.add(page({"name": "b"}, nextCursor="2"), size=60) is None
    assert (found.list().count, found.list().is_cut, found.left) == (2, True, 0)


def test_an_item_that_cannot_be_written_is_left_out_alone() -> None:
    found = pages()
    found.add(page({"name": "a"}, {"name": "b", "x": 10**40}, {"name": "c\ud800"}, {"name": "d"}), size=9)
    assert found.list().items() == [{"name": "a"}, {"name": "d"}]
    assert (found.list().count, found.list().unwritable) == (2, 2)


@pytest.mark.parametrize("result", [{}, {"tools": {}}, {"tools": [1]}, {"prompts": []}])
def test_what_holds_no_list_is_refused(result: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="tools"):
        pages().add(result, size=1)


def test_the_digest_is_that_of_the_items_however_they_were_paged() -> None:
    one, two = pages(), pages()
    one.add(page({"name": "a"}, {"name": "b"}), size=1)
    two.add(page({"name": "a"}, nextCursor="x"), size=1)
    two.add(page({"name": "b"}), size=1)
    other = pages()
    other.add(page({"name": "b"}, {"name": "a"}), size=1)

    assert one.list().digest == two.list().digest
    assert one.list().digest != other.list().digest
    assert json.loads(one.list().text) == one.list().items()
    assert one.list().size == len(one.list().text)
