"""Long lists are cut on the server."""

from ostiary_operator.console.paging import ROWS, PagedRows, paged


def test_a_page_has_fifty_rows_and_knows_where_it_stands() -> None:
    second = paged(range(120), 2)

    assert second.rows == tuple(range(50, 100))
    assert (second.first_row, second.last_row, second.total) == (51, 100, 120)
    assert (second.before, second.after, second.last) == (1, 3, 3)


def test_behind_the_last_page_stands_the_last_one() -> None:
    assert paged(range(ROWS), 9).number == 1
    assert paged(range(ROWS + 1), 9).rows == (ROWS,)


def test_an_empty_list_is_one_page_without_rows() -> None:
    nothing: PagedRows[str] = paged([], 1)

    assert (nothing.rows, nothing.first_row, nothing.last_row, nothing.last) == ((), 0, 0, 1)
    assert (nothing.before, nothing.after) == (None, None)
