"""What boards show, for pages that look further back than gateways remember.

    panels      every panel of every board: its question, unit and queries
    queries     the PromQL of a panel for some proxies and a range

The panels are written in ``helm/ostiary/observability/boards.yaml``, once for Grafana, Perses and the console:
``make generate`` writes ``panels.json`` here. Nothing here asks a server.

Example::

    panel = find_panel("traffic", "messages")
    promql = panel.queries[0].promql(BoardSelection(proxies=("sales/crm",)), seconds=86_400, step_seconds=900)
"""

from ostiary_operator.boards.panels import Board, Panel, PanelKind, PanelQuery, PanelUnit, every_board, find_panel
from ostiary_operator.boards.queries import EVERYTHING, BoardSelection

__all__ = [
    "EVERYTHING",
    "Board",
    "BoardSelection",
    "Panel",
    "PanelKind",
    "PanelQuery",
    "PanelUnit",
    "every_board",
    "find_panel",
]
