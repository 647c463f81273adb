"""What a template shows of one chart: drawing, labels, legend and table."""

from dataclasses import dataclass

from markupsafe import Markup

from ostiary_operator.console.plots import axes, charts, svg
from ostiary_operator.console.plots.charts import Chart, PlotSeries
from ostiary_operator.local.quantities import Quantity, shown


@dataclass(frozen=True, slots=True)
class LegendItem:
    """One series: its name and the class of its colour.

    ``value`` is its sum where sums mean something, else its latest value.
    """

    name: str
    css_class: str
    value: str


@dataclass(frozen=True, slots=True)
class Figure:
    """A chart as it is shown.

    ``header`` and ``rows`` are its table, for readers that do not see the drawing.
    """

    title: str
    source: str
    drawing: Markup
    value_labels: tuple[str, ...]
    time_labels: tuple[str, ...]
    legend: tuple[LegendItem, ...]
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    is_empty: bool


def figure(chart: Chart) -> Figure:
    """Return a chart as it is shown."""
    return Figure(
        title=chart.title,
        source=chart.source,
        drawing=svg.plot(chart),
        value_labels=axes.value_labels(chart),
        time_labels=axes.time_labels(chart),
        legend=tuple(_legend(chart)),
        header=("Time (UTC)", *(each.name for each in chart.series)),
        rows=tuple(charts.table_rows(chart)),
        is_empty=chart.is_empty,
    )


def _legend(chart: Chart) -> list[LegendItem]:
    return [
        LegendItem(
            name=each.name,
            css_class=colour,
            value=_value(each, chart.unit),
        )
        for each, colour in zip(chart.series, svg.colours(chart), strict=True)
    ]


def _value(each: PlotSeries, unit: Quantity) -> str:
    if unit is Quantity.COUNT:
        return shown(each.total, unit)
    known = [value for value in each.values if value is not None]
    return shown(known[-1], unit) if known else ""
