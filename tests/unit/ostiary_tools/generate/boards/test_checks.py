"""A board that asks for a metric or label that nothing exports is refused."""

import dataclasses
from collections.abc import Callable

import pytest

from ostiary_operator.boards import PanelQuery
from ostiary_tools.generate.boards.boards_file import BoardsFile, IncreaseRule, expanded, read_boards_file
from ostiary_tools.generate.boards.checks import QueriedNames, names_in, problems


@pytest.fixture(scope="module")
def file() -> BoardsFile:
    return read_boards_file()


def test_every_metric_label_and_page_of_the_boards_exists(file: BoardsFile) -> None:
    assert problems(file) == []


def with_query(file: BoardsFile, promql: str, legend: str = "") -> BoardsFile:
    board, *others = file.boards
    query = PanelQuery("extra", expanded(promql, "$range"), legend)
    panel = dataclasses.replace(board.panels[0], name="extra", queries=(query,))
    return dataclasses.replace(file, boards=(dataclasses.replace(board, panels=(*board.panels, panel)), *others))


@pytest.mark.parametrize(
    ("promql", "legend", "problem"),
    [
        ("sum(ostiary_nothing{$proxies})", "", "nothing exports or records ostiary_nothing"),
        ("ostiary_nothing", "", "nothing exports or records ostiary_nothing"),
        (
            "grown(ostiary_config_loads_total{$gateways})",
            "",
            "nothing exports or records ostiary:config_loads:increase1m",
        ),
        ('grown(ostiary_loops_total{tool="x"})', "", "ostiary:loops:increase1m has no label tool"),
        ("sum by (tool) (ostiary_upstream_up{$proxies})", "", "no series has the label tool"),
        ("ostiary_upstream_up and on (job, tool) ostiary_build_info", "", "no series has the label tool"),
        ("sum by (job) (ostiary_upstream_up{$proxies})", "{{ostiary_proxy}}", "does not keep the label ostiary_proxy"),
        ("sum(grown(ostiary_loops_total))", "", "write grown(metric{matchers})"),
    ],
)
def test_a_query_for_what_does_not_exist_is_named(file: BoardsFile, promql: str, legend: str, problem: str) -> None:
    found = [each for each in problems(with_query(file, promql, legend)) if each.startswith("traffic/extra")]
    assert any(problem in each for each in found), found


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (
            lambda file: dataclasses.replace(file, boards=(*file.boards, file.boards[0])),
            "boards: traffic is there 2 times",
        ),
        (
            lambda file: dataclasses.replace(file, increases=(*file.increases, IncreaseRule("x_total", ()))),
            "increases: nothing exports x_total",
        ),
        (
            lambda file: dataclasses.replace(
                file, increases=(*file.increases, IncreaseRule("ostiary_config_loads_total", ("tool",)))
            ),
            "increases: ostiary_config_loads_total has no label tool",
        ),
        (
            lambda file: dataclasses.replace(
                file, increases=(*file.increases, IncreaseRule("ostiary_config_loads_total", ()))
            ),
            "increases: nothing reads ostiary_config_loads_total",
        ),
    ],
)
def test_what_is_wrong_elsewhere_is_named(
    file: BoardsFile, change: Callable[[BoardsFile], BoardsFile], problem: str
) -> None:
    assert problem in problems(change(file))


def test_a_page_that_does_not_exist_is_named(file: BoardsFile) -> None:
    board, *others = file.boards
    panel = dataclasses.replace(board.panels[0], docs="docs/nothing.md")
    changed = dataclasses.replace(board, panels=(panel, *board.panels[1:]))
    found = problems(dataclasses.replace(file, boards=(changed, *others)))
    assert found == ["traffic/messages: there is no page docs/nothing.md"]


def test_names_are_found_in_a_query_whatever_its_texts_say() -> None:
    read = names_in('topk(3, sum by (a, le) (rate(x_total{b=~"y{c=1}|sum(z)",$proxies}[5m]) and on (job) w) > 0.5)')
    assert read == QueriedNames((("x_total", frozenset({"b"})), ("w", frozenset())), frozenset({"a", "le", "job"}))


def test_growth_is_read_from_the_records() -> None:
    assert expanded('sum(grown(x_total{a="}"}))', "$range") == 'sum(sum_over_time(ostiary:x:increase1m{a="}"}[$range]))'
    assert expanded("grown(x_total{}[7m])", "$range") == "sum_over_time(ostiary:x:increase1m{}[7m])"
