"""Dashboards of Perses; their types are those of `@perses-dev/core`.

They read the default data source of the project. Variables in queries have the names of Grafana's.
"""

from collections.abc import Iterator
from typing import Any, Final

from ostiary_operator.boards.panels import Board, Panel, PanelKind, PanelQuery, PanelUnit
from ostiary_operator.boards.queries import EVERY_PROXY
from ostiary_tools.generate.boards.grafana import described, grafana_promql, placed, uses_proxies, versions_of

_FORMATS: Final = {
    PanelUnit.COUNT: {"unit": "decimal", "decimalPlaces": 0},
    PanelUnit.SECONDS: {"unit": "seconds"},
    PanelUnit.SHARE: {"unit": "percent-decimal"},
    PanelUnit.BYTES: {"unit": "bytes"},
    PanelUnit.CORES: {"unit": "decimal"},
}


def perses_dashboard(board: Board) -> dict[str, Any]:
    """Return a dashboard of the project `ostiary`."""
    return {
        "kind": "Dashboard",
        "metadata": {"name": f"ostiary-{board.name}", "project": "ostiary"},
        "spec": {
            "display": {"name": f"Ostiary: {board.title.lower()}", "description": board.question},
            "duration": "6h",
            "refreshInterval": "1m",
            "variables": list(_variables(board)),
            "panels": {panel.name: _panel(panel) for panel in board.panels},
            "layouts": [{"kind": "Grid", "spec": {"items": list(_items(board))}}],
        },
    }


def _variables(board: Board) -> Iterator[dict[str, Any]]:
    yield _variable("job", "Job", label="job", series=versions_of(board))
    if uses_proxies(board):
        series = 'ostiary_http_responses_total{job=~"$job"}'
        yield _variable("proxy", "MCPProxy", label="ostiary_proxy", series=series, every=EVERY_PROXY)


def _variable(name: str, title: str, *, label: str, series: str, every: str = ".*") -> dict[str, Any]:
    values = {"kind": "PrometheusLabelValuesVariable", "spec": {"labelName": label, "matchers": [series]}}
    spec = {
        "name": name,
        "display": {"name": title},
        "allowMultiple": True,
        "allowAllValue": True,
        "customAllValue": every,
        "defaultValue": ["$__all"],
        "sort": "alphabetical-asc",
        "plugin": values,
    }
    return {"kind": "ListVariable", "spec": spec}


def _items(board: Board) -> Iterator[dict[str, Any]]:
    for panel, place in placed(board):
        content = {"$ref": f"#/spec/panels/{panel.name}"}
        yield {"x": place["x"], "y": place["y"], "width": place["w"], "height": place["h"], "content": content}


def _panel(panel: Panel) -> dict[str, Any]:
    return {
        "kind": "Panel",
        "spec": {
            "display": {"name": panel.title, "description": described(panel)},
            "plugin": _plugin(panel),
            "queries": [_query(query) for query in panel.queries],
        },
    }


def _plugin(panel: Panel) -> dict[str, Any]:
    number = _FORMATS[panel.unit]
    if panel.kind is PanelKind.NUMBER:
        return {"kind": "StatChart", "spec": {"calculation": "last-number", "format": number}}
    if panel.kind is PanelKind.RANKING:
        return {"kind": "BarChart", "spec": {"calculation": "last-number", "format": number, "sort": "desc"}}
    bars = panel.kind is PanelKind.BARS
    visual = {"display": "bar", "stack": "all"} if bars else {"display": "line", "areaOpacity": 0.05}
    legend, axis = {"position": "bottom", "mode": "list"}, {"format": number, "min": 0}
    return {"kind": "TimeSeriesChart", "spec": {"legend": legend, "yAxis": axis, "visual": visual}}


def _query(query: PanelQuery) -> dict[str, Any]:
    spec = {"query": grafana_promql(query), "seriesNameFormat": query.legend, "minStep": "1m"}
    return {"kind": "TimeSeriesQuery", "spec": {"plugin": {"kind": "PrometheusTimeSeriesQuery", "spec": spec}}}
