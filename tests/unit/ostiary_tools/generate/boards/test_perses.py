"""Dashboards of Perses have the types that Perses publishes, and show the panels of the boards."""

import copy
from pathlib import Path
from typing import Any

from dashboard_types import faults

from ostiary_operator.boards import every_board
from ostiary_tools.generate.boards.grafana import grafana_dashboard
from ostiary_tools.generate.boards.perses import perses_dashboard

BOARDS = every_board()
DASHBOARDS = [perses_dashboard(board) for board in BOARDS]


def test_every_dashboard_has_the_types_that_perses_publishes(tmp_path: Path) -> None:
    assert faults(tmp_path, {"PersesBoard": DASHBOARDS}) == ""


def test_a_dashboard_with_a_wrong_value_has_a_fault(tmp_path: Path) -> None:
    wrong: list[dict[str, Any]] = copy.deepcopy(DASHBOARDS[:1])
    wrong[0]["spec"]["panels"]["messages"]["spec"]["plugin"]["spec"]["calculation"] = "newest"
    assert "newest" in faults(tmp_path, {"PersesBoard": wrong})


def test_grafana_and_perses_ask_the_same() -> None:
    for board, dashboard in zip(BOARDS, DASHBOARDS, strict=True):
        of_perses = [
            query["spec"]["plugin"]["spec"]["query"]
            for panel in dashboard["spec"]["panels"].values()
            for query in panel["spec"]["queries"]
        ]
        of_grafana = [target["expr"] for panel in grafana_dashboard(board)["panels"] for target in panel["targets"]]
        assert of_perses == of_grafana


def test_every_panel_has_its_place() -> None:
    for dashboard in DASHBOARDS:
        (grid,) = dashboard["spec"]["layouts"]
        placed = [item["content"]["$ref"].rpartition("/")[2] for item in grid["spec"]["items"]]
        assert placed == list(dashboard["spec"]["panels"])
