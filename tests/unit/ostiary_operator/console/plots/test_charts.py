from ostiary_operator.console.plots import charts
from ostiary_operator.console.plots.charts import Chart, ChartKind, PlotSeries
from ostiary_operator.local.quantities import Quantity

MINUTE = 60_000


def chart(*series: PlotSeries, step: int = MINUTE) -> Chart:
    return Chart("Calls", ChartKind.STACKED, Quantity.COUNT, "a test", 1_700_000_000_000, step, series)


def test_of_many_series_the_strongest_are_kept_and_the_others_summed() -> None:
    found = [PlotSeries(f"tool-{number}", (float(number), None)) for number in range(12)]

    kept = charts.strongest(found, most=3)

    assert [each.name for each in kept] == ["tool-11", "tool-10", "other"]
    assert kept[-1].values == (sum(range(10)), None)
    assert sum(each.total for each in kept) == sum(each.total for each in found)


def test_the_table_has_the_newest_first_and_no_row_for_silence() -> None:
    shown = chart(PlotSeries("ok", (None, 3.0, 0.0, 1200.0)), PlotSeries("errors", (None, 1.0, 0.0, 0.0)))

    assert list(charts.table_rows(shown)) == [("22:16:20", "1,200", "0"), ("22:14:20", "3", "1")]


def test_the_times_of_a_long_chart_have_dates() -> None:
    (row,) = charts.table_rows(chart(PlotSeries("ok", (0.0, 0.0, 1.0)), step=12 * 3_600_000))

    assert row == ("2023-11-15 22:13:20", "1")


def test_a_chart_of_zeros_is_empty() -> None:
    assert chart(PlotSeries("ok", (0.0, None))).is_empty
    assert chart().is_empty
    assert not chart(PlotSeries("ok", (0.0, 1.0))).is_empty
