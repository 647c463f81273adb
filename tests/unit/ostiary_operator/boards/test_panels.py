"""Panels as the console reads them."""

import pytest

from ostiary_operator.boards import EVERYTHING, BoardSelection, PanelKind, every_board, find_panel


def test_a_panel_is_found_by_its_board_and_name() -> None:
    panel = find_panel("traffic", "messages")
    assert panel.kind is PanelKind.NUMBER
    assert panel.question == "How many requests and notifications did callers send?"


def test_a_panel_that_does_not_exist_is_an_error() -> None:
    with pytest.raises(KeyError):
        find_panel("traffic", "nothing")


def test_every_query_can_be_asked() -> None:
    queries = [query for board in every_board() for panel in board.panels for query in panel.queries]
    assert queries
    for query in queries:
        assert "$" not in query.promql(EVERYTHING, seconds=3600, step_seconds=60)


def test_only_what_is_drawn_over_time_has_a_step() -> None:
    for board in every_board():
        for panel in board.panels:
            stepped = [query.name for query in panel.queries if "$step" in query.template]
            ranged = [query.name for query in panel.queries if "$range" in query.template]
            assert not (ranged if panel.kind.is_over_time else stepped), f"{board.name}/{panel.name}"


def test_what_is_of_whole_gateways_is_not_asked_for_some_proxies() -> None:
    limits = find_panel("governance", "limits").queries[0]
    assert not limits.is_of_proxies
    with pytest.raises(ValueError, match="whole gateways"):
        limits.promql(BoardSelection(proxies=("sales/crm",)), seconds=60, step_seconds=60)
    assert "default/" not in limits.promql(EVERYTHING, seconds=60, step_seconds=60)


def test_a_query_of_proxies_selects_them_in_every_series_that_it_reads() -> None:
    for board in every_board():
        for query in (query for panel in board.panels for query in panel.queries):
            if query.is_of_proxies:
                assert query.template.count("$proxies") == query.template.count("{"), query.template
