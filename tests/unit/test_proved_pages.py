"""The pages about faults and about the hostile wire name tests that exist, and have a test in each of their rows."""

import proved_pages
import pytest

PAGES = {"docs/hostile-wire.md": 60, "docs/faults.md": 40}
ROWS = [row for page in PAGES for row in proved_pages.rows(page)]


@pytest.mark.parametrize("page", PAGES)
def test_a_page_has_rows(page: str) -> None:
    assert len(proved_pages.rows(page)) > PAGES[page]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[2:40])
def test_a_row_of_a_page_is_proved_by_tests_that_exist(row: str) -> None:
    cells, named = proved_pages.cells(row), proved_pages.named(row)

    assert len(cells) == 3
    assert all(cells)
    assert named
    assert [f"{path}::{name}" for path, name in named if not proved_pages.exists(path, name)] == []
    assert [folder for folder in proved_pages.folders(row) if not (proved_pages.ROOT / folder).exists()] == []
