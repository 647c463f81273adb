import math
import re
from xml.etree import ElementTree as ET

from hypothesis import given
from hypothesis import strategies as st

from ostiary_operator.console.plots import svg
from ostiary_operator.console.plots.charts import Chart, ChartKind, PlotSeries, Tone
from ostiary_operator.local.quantities import Quantity

VALUES = st.lists(st.none() | st.floats(0, 1e12), min_size=3, max_size=3)


def chart(*series: PlotSeries, kind: ChartKind = ChartKind.STACKED, title: str = "Calls") -> Chart:
    return Chart(title, kind, Quantity.COUNT, "a test", 1_700_000_000_000, 10_000, series)


def parsed(drawing: str) -> ET.Element:
    return ET.fromstring(drawing)  # noqa: S314  made by the code under test


def paths(drawing: str, css_class: str) -> list[str]:
    return [each.get("d", "") for each in parsed(drawing).iter("path") if css_class in each.get("class", "")]


def test_series_are_columns_on_top_of_each_other() -> None:
    drawn = svg.plot(chart(PlotSeries("ok", (1.0,), Tone.GOOD), PlotSeries("errors", (1.0,), Tone.BAD)))

    assert paths(drawn, "tone-good") == ["M36 160v-80h528v80z"]
    assert paths(drawn, "tone-bad") == ["M36 80v-80h528v80z"]


def test_a_line_is_broken_where_nothing_was_recorded() -> None:
    (line,) = paths(svg.plot(chart(PlotSeries("p50", (2.0, None, 2.0)), kind=ChartKind.LINES)), "plot-line")

    assert line.count("M") == 2


def test_the_time_before_recording_began_is_marked() -> None:
    drawn = svg.plot(chart(PlotSeries("ok", (None, 1.0)), PlotSeries("errors", (None, 0.0))))

    assert 'class="plot-unrecorded" width="300"' in drawn
    assert "plot-unrecorded" not in svg.plot(chart(PlotSeries("ok", (1.0, 1.0))))


def test_text_of_others_is_never_markup() -> None:
    drawn = svg.plot(chart(PlotSeries("</title><script>alert(1)</script>", (1.0,)), title="<b>"))

    assert "<script" not in drawn
    assert [each.tag for each in parsed(drawn)] == ["title", "path", "path"]


@given(VALUES, VALUES, st.sampled_from(ChartKind))
def test_every_shape_stays_within_the_drawing(
    first: list[float | None], second: list[float | None], kind: ChartKind
) -> None:
    drawn = svg.plot(chart(PlotSeries("a", tuple(first)), PlotSeries("b", tuple(second)), kind=kind))

    numbers = [float(each) for path in paths(drawn, "plot-") for each in re.findall(r"-?\d+(?:\.\d+)?", path)]
    assert all(math.isfinite(each) and abs(each) <= svg.WIDTH + 1 for each in numbers)


def test_nothing_in_a_drawing_needs_a_style_of_its_own() -> None:
    assert "style=" not in svg.plot(chart(PlotSeries("ok", (1.0,))))


def test_a_bar_is_as_long_as_its_part_and_never_longer_than_the_whole() -> None:
    assert 'width="50"' in svg.bar(5, 10)
    assert 'width="100"' in svg.bar(50, 10)
    assert 'width="0.5"' in svg.bar(1, 1_000_000)
    assert 'width="0"' in svg.bar(None, None)
    assert 'width="0"' in svg.bar(0, 0)
