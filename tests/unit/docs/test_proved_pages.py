"""The pages about faults and about the hostile wire name tests that exist, and have a test in each of their rows."""

import proof_tables
import pytest

PAGES = {"docs/hostile-wire.md": 60, "docs/faults.md": 40}
ROWS = [row for page in PAGES for row in proof_tables.rows(page)]


@pytest.mark.parametrize("page", PAGES)
def test_a_page_has_rows(page: str) -> None:
    assert len(proof_tables.rows(page)) > PAGES[page]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[2:40])
def test_a_row_of_a_page_is_proved_by_tests_that_exist(row: str) -> None:
    cells, named = proof_tables.cells(row), proof_tables.named(row)

    assert len(cells) == 3
    assert all(cells)
    assert named
    assert [f"{path}::{name}" for path, name in named if not proof_tables.exists(path, name)] == []
    assert [folder for folder in proof_tables.folders(row) if not (proof_tables.ROOT / folder).exists()] == []
