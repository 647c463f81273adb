"""Where an axis ends, and which of its values are written."""

import math
from typing import Final

from ostiary_operator.console.plots.charts import Chart, ChartKind
from ostiary_operator.local.quantities import Quantity, shown, utc_time

#: Ends of an axis that people read easily, as parts of a power of ten.
_ROUND: Final = (1.0, 2.0, 4.0, 5.0, 10.0)
_SMALLEST: Final = 1e-6
#: Intervals between the times that are written.
_INTERVALS: Final = 4
_DAY: Final = 86_400_000
_SECONDS_SHOWN: Final = 300_000


def top(most: float) -> float:
    """Return the end of an axis for values up to ``most``: the next round number.

    It is 1 where there is no value above 0.
    """
    if not math.isfinite(most) or most <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(max(most, _SMALLEST)))
    return next((power * each for each in _ROUND if power * each >= most * (1 - 1e-9)), power * 10)


def top_of(chart: Chart) -> float:
    """Return the end of the vertical axis of a chart."""
    known = [[value for value in column if value is not None] for column in chart.columns]
    if chart.kind is ChartKind.STACKED:
        return _even(top(max(map(sum, known), default=0.0)), chart.unit)
    return _even(top(max((max(column, default=0.0) for column in known), default=0.0)), chart.unit)


def _even(end: float, unit: Quantity) -> float:
    """Return an end whose half is a whole number, too, where numbers are counts."""
    return max(end, 2.0) if unit is Quantity.COUNT else end


def value_labels(chart: Chart) -> tuple[str, str, str]:
    """Return what is written at the vertical axis: its end, its middle and 0."""
    end, unit = top_of(chart), chart.unit
    return shown(end, unit), shown(end / 2, unit), shown(0, unit)


def time_labels(chart: Chart) -> tuple[str, ...]:
    """Return what is written below the horizontal axis: times in UTC, at equal distances."""
    start, length = chart.start, chart.length * chart.step
    return tuple(_time(start + length * number // _INTERVALS, length) for number in range(_INTERVALS + 1))


def _time(at: int, length: int) -> str:
    text = utc_time(at, with_date=True)
    if length > _DAY:
        return text[5:16]
    return text[11:] if length <= _SECONDS_SHOWN else text[11:16]
