import pytest
from prometheus_answers import NOW, AnsweringPrometheus, series

from ostiary_operator.boards.queries import BoardSelection
from ostiary_operator.console.board_panels import BoardPanels, PanelTable, board_panels, named
from ostiary_operator.console.plots.charts import ChartKind
from ostiary_operator.local.quantities import Quantity

WEEK = 7 * 86_400
MINE = BoardSelection(("team/tickets",))


async def panels(source: AnsweringPrometheus, *, board: str = "traffic", seconds: int = WEEK) -> BoardPanels:
    return await board_panels(source, board, MINE, now=NOW + 12_345, seconds=seconds)


def table(found: tuple[PanelTable, ...], name: str) -> PanelTable:
    return next(each for each in found if each.name == name)


async def test_each_panel_of_the_board_is_asked_by_its_own_query() -> None:
    source = AnsweringPrometheus(values=lambda _: [series(7.0)])

    found = await panels(source)

    assert table(found.numbers, "messages").rows[0].value == 7.0
    assert table(found.numbers, "duration-average").unit is Quantity.SECONDS
    assert found.source == "Prometheus"
    assert all('ostiary_proxy=~"team/tickets"' in query for query in source.asked)
    assert any("[604800s]" in query for query in source.asked)


async def test_what_can_only_be_asked_of_whole_gateways_is_left_out() -> None:
    source = AnsweringPrometheus()

    found = await panels(source, board="governance")

    names = {each.name for each in found.rankings}
    assert "denials" in names
    assert "loops" not in names


async def test_a_ranking_has_a_row_for_each_series_the_largest_first() -> None:
    source = AnsweringPrometheus(
        values=lambda query: (
            [series(1.0, gen_ai_tool_name="a"), series(5.0, gen_ai_tool_name="b")] if "topk" in query else []
        )
    )

    found = await panels(source)

    assert [(row.name, row.value) for row in table(found.rankings, "top-tools").rows] == [("b", 5.0), ("a", 1.0)]


async def test_a_number_that_prometheus_does_not_have_is_unknown_and_not_zero() -> None:
    found = await panels(AnsweringPrometheus())

    assert [row.value for row in table(found.numbers, "messages").rows] == [None]
    assert found.is_empty


async def test_bars_are_zero_where_others_have_a_value_and_unknown_where_none_has() -> None:
    step = 7200 * 1000 - 7200 * 1000 % 60_000
    last = NOW - NOW % 60_000
    source = AnsweringPrometheus(
        series=lambda query: (
            [
                series((last - 2 * step, 3.0), (last, 1.0), mcp_method_name="tools/call"),
                series((last, 2.0), mcp_method_name="initialize"),
            ]
            if "mcp_method_name" in query
            else []
        )
    )

    chart = next(each for each in (await panels(source, seconds=7200 * 90)).charts if "ethod" in each.title)

    values = {each.name: each.values[-3:] for each in chart.series}
    assert chart.kind is ChartKind.STACKED
    assert chart.step == step
    assert values == {"tools/call": (3.0, None, 1.0), "initialize": (0.0, None, 2.0)}
    assert chart.start + chart.length * chart.step == last


async def test_a_board_that_does_not_exist_is_a_mistake_of_ours() -> None:
    with pytest.raises(ValueError, match="no board"):
        await panels(AnsweringPrometheus(), board="nothing")


def test_a_legend_shows_the_labels_and_nothing_for_those_that_are_missing() -> None:
    assert named("{{tool}} of {{proxy}}", series(1.0, tool="get", proxy="a/b")) == "get of a/b"
    assert named("{{tool}} {{proxy}}", series(1.0, tool="{{proxy}}")) == "{{proxy}}"
