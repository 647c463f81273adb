"""The charts of a report of traffic."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from ostiary_core.evidence.recorded_call import CallOutcome
from ostiary_operator.console.plots import charts
from ostiary_operator.console.plots.charts import Chart, ChartKind, PlotSeries, Tone
from ostiary_operator.local.quantities import Quantity
from ostiary_operator.view.traffic_numbers import TimeSeries, TrafficReport

_TONES: Final = {
    CallOutcome.OK.value: Tone.GOOD,
    CallOutcome.TOOL_ERROR.value: Tone.WARN,
    CallOutcome.FAILED.value: Tone.BAD,
}


@dataclass(frozen=True, slots=True)
class TrafficCharts:
    """Calls by outcome and by method, durations, and where the time goes."""

    outcomes: Chart
    methods: Chart
    latency: Chart
    composition: Chart


def traffic_charts(report: TrafficReport, *, source: str) -> TrafficCharts:
    """Return the charts of a report; ``source`` names where its numbers come from."""
    plots = _Charts(report, source)
    return TrafficCharts(
        outcomes=plots.stacked("Calls by outcome", report.outcomes_over_time, Quantity.COUNT),
        methods=plots.stacked("Calls by method", report.methods_over_time, Quantity.COUNT),
        latency=plots.lines("Duration", report.latency, Quantity.SECONDS),
        composition=plots.stacked(
            "Average time in the gateway and at upstream servers", report.composition, Quantity.SECONDS
        ),
    )


class _Charts:
    def __init__(self, report: TrafficReport, source: str) -> None:
        self._report = report
        self._source = source

    def stacked(self, title: str, found: Sequence[TimeSeries], quantity: Quantity) -> Chart:
        return self._chart(title, ChartKind.STACKED, charts.strongest(_series(found)), quantity)

    def lines(self, title: str, found: Sequence[TimeSeries], quantity: Quantity) -> Chart:
        return self._chart(title, ChartKind.LINES, tuple(_series(found)), quantity)

    def _chart(self, title: str, kind: ChartKind, found: tuple[PlotSeries, ...], quantity: Quantity) -> Chart:
        return Chart(title, kind, quantity, self._source, self._report.start, self._report.step, found)


def _series(found: Sequence[TimeSeries]) -> list[PlotSeries]:
    return [PlotSeries(each.name, each.values, _TONES.get(each.name, Tone.PLAIN)) for each in found]
