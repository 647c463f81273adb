"""Dashboards of Grafana; their types are those of `@grafana/schema`.

A dashboard asks for a data source, the jobs of gateways and MCPProxies, and remembers none of the values.
"""

from collections.abc import Iterator
from typing import Any, Final

from ostiary_operator.boards.panels import Board, Panel, PanelKind, PanelQuery, PanelUnit
from ostiary_operator.boards.queries import EVERY_PROXY, filled

_SCHEMA_VERSION: Final = 41
_COLUMNS: Final = 24
_UNITS: Final = {
    PanelUnit.COUNT: "short",
    PanelUnit.SECONDS: "s",
    PanelUnit.SHARE: "percentunit",
    PanelUnit.BYTES: "bytes",
    PanelUnit.CORES: "short",
}
_TYPES: Final = {
    PanelKind.NUMBER: "stat",
    PanelKind.RANKING: "bargauge",
    PanelKind.LINES: "timeseries",
    PanelKind.BARS: "timeseries",
}
#: The rows of a panel.
_HEIGHTS: Final = {PanelKind.NUMBER: 5, PanelKind.RANKING: 9, PanelKind.LINES: 9, PanelKind.BARS: 9}
_DATASOURCE: Final = {"type": "prometheus", "uid": "${datasource}"}


def grafana_dashboard(board: Board) -> dict[str, Any]:
    """Return a dashboard."""
    return {
        "uid": f"ostiary-{board.name}",
        "title": f"Ostiary: {board.title.lower()}",
        "description": board.question,
        "tags": ["ostiary", "mcp"],
        "schemaVersion": _SCHEMA_VERSION,
        "editable": True,
        "graphTooltip": 1,
        "refresh": "1m",
        "time": {"from": "now-6h", "to": "now"},
        "timezone": "browser",
        "links": [_link_to_others()],
        "templating": {"list": [_datasource(), *_variables(board)]},
        "annotations": {"list": []},
        "panels": [_panel(panel, number, place) for number, (panel, place) in enumerate(placed(board), 1)],
    }


def _link_to_others() -> dict[str, Any]:
    return {
        "title": "Ostiary",
        "type": "dashboards",
        "icon": "external link",
        "tooltip": "",
        "tags": ["ostiary"],
        "asDropdown": True,
        "targetBlank": False,
        "includeVars": True,
        "keepTime": True,
    }


def _datasource() -> dict[str, Any]:
    return {"name": "datasource", "label": "Data source", "type": "datasource", "query": "prometheus", "hide": 0}


def _variables(board: Board) -> Iterator[dict[str, Any]]:
    yield _variable("job", "Job", f"label_values({versions_of(board)}, job)")
    if uses_proxies(board):
        proxies = 'label_values(ostiary_http_responses_total{job=~"$job"}, ostiary_proxy)'
        yield _variable("proxy", "MCPProxy", proxies, every=EVERY_PROXY)


def versions_of(board: Board) -> str:
    """Return the metric that every process has of which a board shows series."""
    templates = [query.template for panel in board.panels for query in panel.queries]
    return (
        "ostiary_operator_build_info" if all("ostiary_operator" in each for each in templates) else "ostiary_build_info"
    )


def uses_proxies(board: Board) -> bool:
    """Return whether a board shows series of proxies."""
    return any("$proxies" in query.template for panel in board.panels for query in panel.queries)


def _variable(name: str, label: str, query: str, *, every: str = ".*") -> dict[str, Any]:
    """Return a variable of a dashboard; ``every`` is the regular expression of all its values."""
    return {
        "name": name,
        "label": label,
        "type": "query",
        "datasource": _DATASOURCE,
        "query": {"query": query, "refId": f"variable-{name}"},
        "refresh": 2,
        "sort": 1,
        "multi": True,
        "includeAll": True,
        "allValue": every,
        "current": {"text": "All", "value": "$__all"},
        "hide": 0,
    }


def placed(board: Board) -> Iterator[tuple[Panel, dict[str, int]]]:
    """Yield each panel with its place, in rows of 24 columns."""
    x, y, row_height = 0, 0, 0
    for panel in board.panels:
        width, height = panel.width, _HEIGHTS[panel.kind]
        if x + width > _COLUMNS:
            x, y, row_height = 0, y + row_height, 0
        yield panel, {"x": x, "y": y, "w": width, "h": height}
        x, row_height = x + width, max(row_height, height)


def described(panel: Panel) -> str:
    """Return what a panel says of itself: its question, and the page that explains its figures."""
    return f"{panel.question}\n\nSee {panel.docs} of Ostiary's documentation."


def _panel(panel: Panel, number: int, place: dict[str, int]) -> dict[str, Any]:
    return {
        "id": number,
        "type": _TYPES[panel.kind],
        "title": panel.title,
        "description": described(panel),
        "gridPos": place,
        "datasource": _DATASOURCE,
        "interval": "1m",
        "targets": [_target(panel, query) for query in panel.queries],
        "fieldConfig": {"defaults": _defaults(panel), "overrides": []},
        "options": _options(panel),
    }


def _target(panel: Panel, query: PanelQuery) -> dict[str, Any]:
    over_time = panel.kind.is_over_time
    return {
        "refId": query.name,
        "datasource": _DATASOURCE,
        "expr": grafana_promql(query),
        "legendFormat": query.legend,
        "range": over_time,
        "instant": not over_time,
        "editorMode": "code",
    }


def grafana_promql(query: PanelQuery) -> str:
    """Return a query with Grafana's variables."""
    return filled(
        query.template,
        proxies='job=~"$job",ostiary_proxy=~"$proxy"',
        gateways='job=~"$job"',
        range_="$__range",
        step="$__interval",
    )


def _defaults(panel: Panel) -> dict[str, Any]:
    found: dict[str, Any] = {"unit": _UNITS[panel.unit], "min": 0}
    if panel.unit is PanelUnit.COUNT:
        found["decimals"] = 0
    if panel.kind is PanelKind.BARS:
        found["custom"] = {"drawStyle": "bars", "fillOpacity": 80, "stacking": {"mode": "normal", "group": "A"}}
    if panel.kind is PanelKind.LINES:
        found["custom"] = {"drawStyle": "line", "fillOpacity": 5, "showPoints": "never"}
    return found


def _options(panel: Panel) -> dict[str, Any]:
    if panel.kind.is_over_time:
        legend = {"showLegend": True, "displayMode": "list", "placement": "bottom", "calcs": []}
        return {"legend": legend, "tooltip": {"mode": "multi", "sort": "desc"}}
    reduced: dict[str, Any] = {"reduceOptions": {"calcs": ["lastNotNull"], "values": False, "fields": ""}}
    if panel.kind is PanelKind.RANKING:
        return reduced | {
            "orientation": "horizontal",
            "displayMode": "basic",
            "valueMode": "color",
            "showUnfilled": True,
        }
    return reduced | {"colorMode": "none", "graphMode": "none", "justifyMode": "auto", "textMode": "auto"}
