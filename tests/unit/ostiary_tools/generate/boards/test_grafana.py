"""Dashboards of Grafana have the types that Grafana publishes, and ask what the boards ask."""

import copy
from pathlib import Path
from typing import Any

import pytest
from dashboard_types import faults

from ostiary_operator.boards import every_board
from ostiary_tools.generate.boards.grafana import grafana_dashboard, placed

BOARDS = every_board()
DASHBOARDS = [grafana_dashboard(board) for board in BOARDS]


def test_every_dashboard_has_the_types_that_grafana_publishes(tmp_path: Path) -> None:
    assert faults(tmp_path, {"GrafanaBoard": DASHBOARDS}) == ""


def test_a_dashboard_with_a_wrong_name_or_value_has_a_fault(tmp_path: Path) -> None:
    value, name, number = (copy.deepcopy(DASHBOARDS[0]) for _ in range(3))
    value["panels"][0]["options"]["colorMode"] = "colourful"
    name["panels"][0]["gridPosition"] = {}
    number["templating"]["list"][1]["refresh"] = 17
    found = faults(tmp_path, {"GrafanaBoard": [value, name, number]})
    assert '"colourful"' in found
    assert "gridPosition" in found
    assert "'17'" in found


@pytest.mark.parametrize("board", BOARDS, ids=lambda board: board.name)
def test_panels_stand_side_by_side_and_never_on_each_other(board: Any) -> None:
    cells = [
        (x, y)
        for _, place in placed(board)
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]
    assert len(cells) == len(set(cells))
    assert max(x for x, _ in cells) < 24


def test_a_dashboard_asks_with_its_variables_and_remembers_no_data_source() -> None:
    for dashboard in DASHBOARDS:
        names = {variable["name"] for variable in dashboard["templating"]["list"]}
        for panel in dashboard["panels"]:
            assert panel["datasource"]["uid"] == "${datasource}"
            for target in panel["targets"]:
                assert ("$proxy" in target["expr"]) <= ("proxy" in names)
                assert ("$__range" in target["expr"]) <= target["instant"]
                assert ("$__interval" in target["expr"]) <= target["range"]
