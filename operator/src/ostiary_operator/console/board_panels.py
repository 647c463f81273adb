"""Panels of a board for a range that gateways do not keep, asked of Prometheus.

The queries are those of the dashboards.
"""

import asyncio
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from ostiary_operator.boards.panels import Panel, PanelKind, PanelQuery, PanelUnit, every_board
from ostiary_operator.boards.queries import BoardSelection
from ostiary_operator.console.plots import charts
from ostiary_operator.console.plots.charts import Chart, ChartKind, PlotSeries
from ostiary_operator.console.sources.protocols import LongRanges, LongSeries
from ostiary_operator.local.quantities import Quantity

_LABEL: Final = re.compile(r"\{\{(\w+)\}\}")
#: Queries that one page asks at the same time.
_TOGETHER: Final = 6
#: Points of a chart, and the shortest step that the records of the rules allow, in seconds.
_POINTS: Final = 90
_SHORTEST_STEP: Final = 60
#: Rows of a ranking.
_MOST_ROWS: Final = 20
_QUANTITIES: Final = {
    PanelUnit.COUNT: Quantity.COUNT,
    PanelUnit.SECONDS: Quantity.SECONDS,
    PanelUnit.SHARE: Quantity.RATIO,
    PanelUnit.BYTES: Quantity.BYTES,
    PanelUnit.CORES: Quantity.COUNT,
}


@dataclass(frozen=True, slots=True)
class PanelValue:
    """One number of a panel, or one row of a ranking.

    The value is None where Prometheus has none.
    """

    name: str
    value: float | None


@dataclass(frozen=True, slots=True)
class PanelTable:
    """A panel of numbers, or a ranking: its name in the board, its title, what it answers."""

    name: str
    title: str
    question: str
    unit: Quantity
    rows: tuple[PanelValue, ...]


@dataclass(frozen=True, slots=True)
class BoardPanels:
    """The panels of a board, and where their numbers come from."""

    source: str
    numbers: tuple[PanelTable, ...]
    rankings: tuple[PanelTable, ...]
    charts: tuple[Chart, ...]

    @property
    def is_empty(self) -> bool:
        """Whether no panel has a value above 0."""
        tables = (*self.numbers, *self.rankings)
        return not any(row.value for table in tables for row in table.rows) and all(
            each.is_empty for each in self.charts
        )


async def board_panels(
    source: LongRanges, board: str, selection: BoardSelection, *, now: int, seconds: int
) -> BoardPanels:
    """Return the panels of a board that can be asked of some proxies.

    ``now`` is in epoch milliseconds.

    Raises:
        SourceUnavailable: Prometheus does not answer.
        ValueError: there is no such board.
    """
    reader = _PanelReader(source, selection, now=now, seconds=seconds)
    panels = [each for each in _panels(board) if all(query.is_of_proxies for query in each.queries)]
    over_time = [each for each in panels if each.kind.is_over_time]
    at_once = [each for each in panels if not each.kind.is_over_time]
    tables, drawn = await asyncio.gather(
        asyncio.gather(*map(reader.table, at_once)), asyncio.gather(*map(reader.chart, over_time))
    )
    kinds = {each.name: each.kind for each in at_once}
    return BoardPanels(
        source.title,
        numbers=tuple(each for each in tables if kinds[each.name] is PanelKind.NUMBER),
        rankings=tuple(each for each in tables if kinds[each.name] is PanelKind.RANKING),
        charts=tuple(drawn),
    )


def _panels(board: str) -> tuple[Panel, ...]:
    found = next((each for each in every_board() if each.name == board), None)
    if found is None:
        raise ValueError(f"there is no board {board!r}")
    return found.panels


class _PanelReader:
    """Asks the queries of panels, a bounded number at once."""

    def __init__(self, source: LongRanges, selection: BoardSelection, *, now: int, seconds: int) -> None:
        self._source = source
        self._selection = selection
        self._now = now - now % (_SHORTEST_STEP * 1000)
        self._seconds = seconds
        self._step = max(_SHORTEST_STEP, seconds // _POINTS // _SHORTEST_STEP * _SHORTEST_STEP)
        self._asking = asyncio.Semaphore(_TOGETHER)

    async def table(self, panel: Panel) -> PanelTable:
        """Return a panel of numbers, or a ranking."""
        rows = [row for query in panel.queries for row in await self._values(panel, query)]
        return PanelTable(panel.name, panel.title, panel.question, _QUANTITIES[panel.unit], tuple(rows[:_MOST_ROWS]))

    async def chart(self, panel: Panel) -> Chart:
        """Return a panel over time."""
        steps = range(self._now - (self._steps - 1) * self._step * 1000, self._now + 1, self._step * 1000)
        series = [each for query in panel.queries for each in await self._series(panel, query, steps)]
        kind = ChartKind.STACKED if panel.kind is PanelKind.BARS else ChartKind.LINES
        kept = charts.strongest(series) if kind is ChartKind.STACKED else tuple(series[: charts.MOST_SERIES])
        # A point sums up, or averages, the step that ends at it.
        start = steps.start - self._step * 1000
        return Chart(panel.title, kind, _QUANTITIES[panel.unit], self._source.title, start, self._step * 1000, kept)

    @property
    def _steps(self) -> int:
        return max(1, self._seconds // self._step)

    def _promql(self, query: PanelQuery) -> str:
        return query.promql(self._selection, seconds=self._seconds, step_seconds=self._step)

    async def _values(self, panel: Panel, query: PanelQuery) -> list[PanelValue]:
        async with self._asking:
            found = await self._source.values(self._promql(query), at=self._now)
        rows = [PanelValue(named(query.legend, each), each.points[-1][1]) for each in found if each.points]
        is_missing = panel.kind is PanelKind.NUMBER and not rows
        return [PanelValue(query.legend, None)] if is_missing else sorted(rows, key=lambda row: -(row.value or 0))

    async def _series(self, panel: Panel, query: PanelQuery, steps: range) -> list[PlotSeries]:
        async with self._asking:
            found = await self._source.series(self._promql(query), begin=steps.start, end=steps[-1], step=self._step)
        known = (
            frozenset(at for each in found for at, _ in each.points) if panel.kind is PanelKind.BARS else frozenset()
        )
        return [PlotSeries(named(query.legend, each), _filled(each, steps, known)) for each in found]


def _filled(found: LongSeries, steps: Iterable[int], known: frozenset[int]) -> tuple[float | None, ...]:
    """Return a value for each step: 0 where only other series have one."""
    points = dict(found.points)
    return tuple(points.get(at, 0.0 if at in known else None) for at in steps)


def named(legend: str, series: LongSeries) -> str:
    """Return the name of a series by a legend, in which ``{{label}}`` stands for a label."""
    text = _LABEL.sub(lambda label: series.labels.get(label[1], ""), legend)
    return " ".join(text.split())
