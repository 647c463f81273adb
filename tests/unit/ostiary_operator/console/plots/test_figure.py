from ostiary_operator.console.plots.charts import Chart, ChartKind, PlotSeries, Tone
from ostiary_operator.console.plots.figure import LegendItem, figure
from ostiary_operator.local.quantities import Quantity


def chart(unit: Quantity, *series: PlotSeries) -> Chart:
    return Chart("Calls", ChartKind.LINES, unit, "3 replicas", 1_700_000_000_000, 10_000, series)


def test_a_chart_comes_with_its_legend_and_its_table() -> None:
    shown = figure(chart(Quantity.COUNT, PlotSeries("ok", (1.0, 2.0), Tone.GOOD), PlotSeries("errors", (0.0, 1.0))))

    assert shown.legend == (LegendItem("ok", "tone-good", "3"), LegendItem("errors", "series-1", "1"))
    assert shown.header == ("Time (UTC)", "ok", "errors")
    assert shown.rows == (("22:13:30", "2", "1"), ("22:13:20", "1", "0"))
    assert shown.source == "3 replicas"
    assert not shown.is_empty


def test_the_legend_of_durations_has_the_latest_value_since_their_sum_means_nothing() -> None:
    (item,) = figure(chart(Quantity.SECONDS, PlotSeries("p50", (0.004, 0.002, None)))).legend

    assert item.value == "2 ms"


def test_a_chart_without_a_value_is_empty() -> None:
    assert figure(chart(Quantity.COUNT)).is_empty
