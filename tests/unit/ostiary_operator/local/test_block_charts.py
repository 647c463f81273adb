from hypothesis import given
from hypothesis import strategies as st

from ostiary_operator.local import block_charts
from ostiary_operator.local.quantities import Quantity

COUNTS = st.lists(st.none() | st.integers(0, 10**9))


def test_a_value_is_as_high_as_its_part_of_the_highest() -> None:
    assert block_charts.spark([None, 0, 1, 4, 8]) == "·▁▂▅█"


def test_a_single_call_among_millions_is_higher_than_none() -> None:
    assert block_charts.spark([0, 1, 10_000_000]) == "▁▂█"


def test_nothing_but_zeros_is_a_flat_line() -> None:
    assert block_charts.spark([0, 0]) == "▁▁"


def test_a_bar_is_as_long_as_its_part() -> None:
    assert block_charts.bar(10, 10, width=4) == "████"
    assert block_charts.bar(5, 10, width=4) == "██"
    assert block_charts.bar(1, 1000, width=4) == "▏"
    assert block_charts.bar(0, 10, width=4) == ""
    assert block_charts.bar(3, 0, width=4) == ""


@given(COUNTS, st.integers(1, 80))
def test_a_chart_that_is_made_narrower_counts_the_same(values: list[float | None], width: int) -> None:
    drawn = block_charts.summed(values, width=width)

    assert len(drawn) <= width
    assert sum(value or 0 for value in drawn) == sum(value or 0 for value in values)


def test_what_was_not_recorded_stays_unrecorded() -> None:
    assert block_charts.summed([None, None, None, 1], width=2) == (None, 1)


def test_a_timeline_names_the_highest_value() -> None:
    assert block_charts.timeline("calls", [0, 2, 4], Quantity.COUNT, label_width=8) == "calls    ▁▅█  most 4"
    assert block_charts.timeline("calls", [], Quantity.COUNT, label_width=8) == "calls      most -"


def test_durations_that_are_drawn_narrower_keep_the_highest() -> None:
    assert block_charts.highest([None, 1, 5, None, None, None], width=3) == (1, 5, None)
