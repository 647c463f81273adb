"""What a chart over time shows: plain data.

The drawing, its table and the `.json` twin of a page are made of the same.
"""

import enum
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from ostiary_operator.local.quantities import Quantity, shown, utc_time

#: Series of one chart; what is beyond is summed up as the last one.
MOST_SERIES: Final = 8
OTHER: Final = "other"
_DAY: Final = 86_400_000


class ChartKind(enum.StrEnum):
    """How values are drawn: each series for itself, or all on top of each other."""

    LINES = "lines"
    STACKED = "stacked"


class Tone(enum.StrEnum):
    """What the colour of a series says: nothing but which one it is, or how good it is."""

    PLAIN = "plain"
    GOOD = "good"
    WARN = "warn"
    BAD = "bad"


@dataclass(frozen=True, slots=True)
class PlotSeries:
    """One series. ``values`` has one value for each step; None was not recorded."""

    name: str
    values: tuple[float | None, ...]
    tone: Tone = Tone.PLAIN

    @property
    def total(self) -> float:
        """The sum of what was recorded."""
        return sum(value for value in self.values if value is not None)


@dataclass(frozen=True, slots=True)
class Chart:
    """A chart over time: from ``start``, in steps of ``step`` (both in milliseconds).

    All series have as many values. ``source`` names where the numbers come from.
    """

    title: str
    kind: ChartKind
    unit: Quantity
    source: str
    start: int
    step: int
    series: tuple[PlotSeries, ...]

    @property
    def length(self) -> int:
        """The number of steps."""
        return max((len(each.values) for each in self.series), default=0)

    @property
    def is_empty(self) -> bool:
        """Whether no series has a value above 0."""
        return not any(value for each in self.series for value in each.values)

    @property
    def columns(self) -> Iterator[tuple[float | None, ...]]:
        """The values of all series, step by step."""
        return zip(*(each.values for each in self.series), strict=True)


def strongest(found: Sequence[PlotSeries], *, most: int = MOST_SERIES) -> tuple[PlotSeries, ...]:
    """Return the series with the largest sums, at most ``most``.

    The last one is the sum of all that are left.
    """
    ranked = sorted(found, key=lambda each: (-each.total, each.name))
    if len(ranked) <= most:
        return tuple(ranked)
    kept, rest = ranked[: most - 1], ranked[most - 1 :]
    return (*kept, PlotSeries(OTHER, tuple(map(_sum, zip(*(each.values for each in rest), strict=True)))))


def table_rows(chart: Chart) -> Iterator[tuple[str, ...]]:
    """Yield the rows of the chart's table, the newest first.

    A row is a time, and the value of each series. Steps in which nothing happened have no row.
    """
    with_date = chart.length * chart.step > _DAY
    for number, values in reversed(list(enumerate(chart.columns))):
        if any(values):
            at = utc_time(chart.start + number * chart.step, with_date=with_date)
            yield at, *(shown(value, chart.unit) for value in values)


def _sum(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) if known else None
