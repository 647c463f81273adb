import pytest
from hypothesis import given
from hypothesis import strategies as st

from ostiary_operator.console.plots import axes
from ostiary_operator.console.plots.charts import Chart, ChartKind, PlotSeries
from ostiary_operator.local.quantities import Quantity


def chart(*values: tuple[float | None, ...], kind: ChartKind = ChartKind.LINES, step: int = 10_000) -> Chart:
    series = tuple(PlotSeries(f"s{number}", each) for number, each in enumerate(values))
    return Chart("Calls", kind, Quantity.COUNT, "a test", 1_700_000_000_000, step, series)


@pytest.mark.parametrize(("most", "top"), [(0, 1), (1, 1), (1.1, 2), (3, 4), (4.5, 5), (51, 100), (0.003, 0.004)])
def test_an_axis_ends_at_the_next_round_number(most: float, top: float) -> None:
    assert axes.top(most) == pytest.approx(top)


@given(st.floats(1e-5, 1e15))
def test_no_value_is_beyond_the_end_of_its_axis(most: float) -> None:
    assert axes.top(most) >= most * (1 - 1e-9)


def test_series_on_top_of_each_other_need_room_for_their_sum() -> None:
    assert axes.top_of(chart((3.0, None), (4.0, 1.0))) == 4
    assert axes.top_of(chart((3.0, None), (4.0, 1.0), kind=ChartKind.STACKED)) == 10
    assert axes.top_of(chart()) == 2


def test_the_axis_of_values_names_its_end_its_middle_and_zero() -> None:
    assert axes.value_labels(chart((100.0,))) == ("100", "50", "0")


@pytest.mark.parametrize(
    ("step", "labels"),
    [
        (10_000, ("22:13:20", "22:13:30", "22:13:40", "22:13:50", "22:14:00")),
        (900_000, ("22:13", "22:28", "22:43", "22:58", "23:13")),
        (86_400_000, ("11-14 22:13", "11-15 22:13", "11-16 22:13", "11-17 22:13", "11-18 22:13")),
    ],
)
def test_times_are_written_as_exactly_as_the_chart_is_long(step: int, labels: tuple[str, ...]) -> None:
    assert axes.time_labels(chart((1.0, 1.0, 1.0, 1.0), step=step)) == labels
