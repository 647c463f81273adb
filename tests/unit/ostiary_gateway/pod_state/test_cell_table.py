"""The table that processes share: bounded, and no one chooses places in it."""

import os

import pytest

from ostiary_gateway.pod_state.cell_table import WINDOW, CellTable, TableLayout

LAYOUT = TableLayout(slots=WINDOW, cell=8, column=4)


@pytest.fixture
def file() -> int:
    found = os.memfd_create("table")
    CellTable.create(found, LAYOUT, workers=2)
    return found


@pytest.fixture
def table(file: int) -> CellTable:
    return CellTable(file, LAYOUT, workers=2)


def never(_: int) -> bool:
    return False


def test_what_one_process_places_another_one_finds(file: int, table: CellTable) -> None:
    slot = table.place(table.digest("key"), is_over=never)
    other = CellTable(file, LAYOUT, workers=2)
    assert slot is not None
    assert other.digest("key") == table.digest("key")
    assert other.find(other.digest("key")) == slot
    assert other.holds(slot, other.digest("key"))
    assert other.keys == 1


def test_tables_have_digests_of_their_own_so_that_no_caller_chooses_a_place(table: CellTable) -> None:
    another = os.memfd_create("table")
    CellTable.create(another, LAYOUT, workers=2)
    assert CellTable(another, LAYOUT, workers=2).digest("key") != table.digest("key")


def test_a_full_table_gives_a_slot_only_where_one_is_over(table: CellTable) -> None:
    placed = [table.place(table.digest(str(each)), is_over=never) for each in range(WINDOW)]
    assert set(placed) == set(range(WINDOW))
    assert table.place(table.digest("one more"), is_over=never) is None
    assert table.keys == WINDOW

    assert table.place(table.digest("one more"), is_over=lambda slot: slot == 7) == 7
    assert table.keys == WINDOW
    assert table.find(table.digest(str(placed.index(7)))) is None


def test_a_removed_key_is_not_found_and_others_stay_where_they_are(table: CellTable) -> None:
    slots = {each: table.place(table.digest(each), is_over=never) for each in "abc"}
    assert slots["b"] is not None
    table.remove(slots["b"])
    assert {each: table.find(table.digest(each)) for each in "abc"} == {**slots, "b": None}


def test_a_sweep_passes_every_key_once_a_round(table: CellTable) -> None:
    slots = {table.place(table.digest(str(each)), is_over=never) for each in range(20)}
    found = [slot for _ in range(WINDOW // 16) for slot in table.swept(16)]
    assert sorted(found) == sorted(slots, key=lambda each: each or 0)


def test_a_worker_that_ends_leaves_the_columns_of_others(table: CellTable) -> None:
    for worker in range(2):
        start = table.column(5, worker)
        table.memory[start : start + 4] = b"\1\1\1\1"
    table.empty_column(0)
    assert table.memory[table.column(5, 0) : table.column(5, 0) + 4] == bytes(4)
    assert table.memory[table.column(5, 1) : table.column(5, 1) + 4] == b"\1\1\1\1"
