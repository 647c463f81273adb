"""Draws charts as SVG.

A drawing has shapes only, so that it stretches to any width; words are HTML next to it. Colours are classes of the
stylesheet, because pages allow no style of an element. Text is escaped, though no text of a caller should get here.
"""

from collections.abc import Iterator, Sequence
from typing import Final
from xml.sax.saxutils import escape

from markupsafe import Markup

from ostiary_operator.console.plots import axes
from ostiary_operator.console.plots.charts import Chart, ChartKind, PlotSeries, Tone

#: The size of the drawing in its own units; the stylesheet decides how large it is on a page.
WIDTH: Final = 600
HEIGHT: Final = 160
_GAP: Final = 0.12


def plot(chart: Chart) -> Markup:
    """Return a chart as an SVG element, with its title for readers that do not see it."""
    top = axes.top_of(chart)
    shapes = [_unrecorded(chart), _grid(), *_series(chart, top)]
    title = escape(f"{chart.title}: {', '.join(each.name for each in chart.series)}")
    return Markup(  # noqa: S704  numbers, classes of our own, and the escaped title
        f'<svg class="plot" role="img" viewBox="0 0 {WIDTH} {HEIGHT}" preserveAspectRatio="none">'
        f"<title>{title}</title>{''.join(shapes)}</svg>"
    )


def bar(value: float | None, most: float | None) -> Markup:
    """Return a bar whose length is the share of ``value`` in ``most``.

    The number itself is written next to it.
    """
    part = min(1.0, value / most) if value and most and value > 0 and most > 0 else 0.0
    length = max(0.5, 100 * part) if part else 0.0
    return Markup(  # noqa: S704  numbers only
        '<svg class="bar" aria-hidden="true" viewBox="0 0 100 8" preserveAspectRatio="none">'
        f'<rect class="bar-part" width="{_number(length)}" height="8"/></svg>'
    )


def series_class(number: int, tone: Tone) -> str:
    """Return the class with the colour of a series: by what it says, else by its place.

    ``number`` is its place among those that say nothing.
    """
    return f"series-{number + 1}" if tone is Tone.PLAIN else f"tone-{tone}"


def colours(chart: Chart) -> list[str]:
    """Return the class with the colour of each series."""
    plain = 0
    found = []
    for each in chart.series:
        found.append(series_class(plain, each.tone))
        plain += each.tone is Tone.PLAIN
    return found


def _series(chart: Chart, top: float) -> Iterator[str]:
    count = chart.length
    below = [0.0] * count
    for each, colour in zip(chart.series, colours(chart), strict=True):
        if chart.kind is ChartKind.STACKED:
            yield f'<path class="plot-area {colour}" d="{_columns(each, below, top)}"/>'
        else:
            yield f'<path class="plot-line {colour}" d="{_line(each.values, top)}"/>'


def _columns(each: PlotSeries, below: list[float], top: float) -> str:
    """Return the columns of a series, each on top of those ``below``, which grow by it."""
    step = WIDTH / max(1, len(below))
    parts = []
    for number, value in enumerate(each.values):
        if not value or value < 0:
            continue
        floor, below[number] = below[number], below[number] + value
        height = HEIGHT * value / top
        corner = f"M{_number((number + _GAP / 2) * step)} {_number(_y(floor, top))}"
        parts.append(f"{corner}v{_number(-height)}h{_number(step * (1 - _GAP))}v{_number(height)}z")
    return "".join(parts)


def _line(values: Sequence[float | None], top: float) -> str:
    """Return the line through the values, broken where nothing was recorded.

    A lone value is a short dash.
    """
    step = WIDTH / max(1, len(values))
    parts, is_down = [], False
    for number, value in enumerate(values):
        if value is None:
            is_down = False
            continue
        at, height = (number + 0.5) * step, _number(_y(value, top))
        parts.append(
            f"L{_number(at)} {height}" if is_down else f"M{_number(at - step / 4)} {height}h{_number(step / 4)}"
        )
        is_down = True
    return "".join(parts)


def _unrecorded(chart: Chart) -> str:
    """Return the area before the first recorded step."""
    count = chart.length
    first = next((number for number, column in enumerate(chart.columns) if any(v is not None for v in column)), count)
    if not first:
        return ""
    return f'<rect class="plot-unrecorded" width="{_number(WIDTH * first / count)}" height="{HEIGHT}"/>'


def _grid() -> str:
    lines = "".join(f"M0 {_number(HEIGHT * part)}H{WIDTH}" for part in (0, 0.5, 1))
    return f'<path class="plot-grid" d="{lines}"/>'


def _y(value: float, top: float) -> float:
    return HEIGHT * (1 - min(value, top) / top)


def _number(value: float) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".") if value else "0"
