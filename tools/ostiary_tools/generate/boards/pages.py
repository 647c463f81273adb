"""The pages of boards and of runbooks."""

from collections.abc import Iterator
from typing import Final

from ostiary_operator.boards.panels import Board, Panel
from ostiary_tools.generate.boards.boards_file import AlertRule, BoardsFile

_DO_NOT_EDIT: Final = "<!-- Generated from helm/ostiary/observability/boards.yaml by `make generate`. Do not edit. -->"
_BOARDS: Final = f"""\
{_DO_NOT_EDIT}

# Boards

What is asked of a platform of agents, as panels: each is defined once, and drawn by Grafana, by Perses and by the
console. A number is the same in all three, because the query is.

- **Grafana**: `observability.dashboards.grafana.enabled=true` makes a ConfigMap for each board, which the sidecar of
  Grafana's chart loads by its label. Without it, import the files of `helm/ostiary/observability/grafana/`.
- **Perses**: `observability.dashboards.perses.enabled=true`, or the files of `helm/ostiary/observability/perses/`;
  they are dashboards of the project `ostiary`, and read its default data source.
- **Rules**: `observability.rules.enabled=true` makes a PrometheusRule with the recorded increases that the boards
  read, and with the alerts. Without the Prometheus operator, name `helm/ostiary/observability/rules.yaml` in
  `rule_files`. Without these rules most panels are empty.
- **Where numbers come from**: every minute a rule records how much each counter grew (`ostiary:…:increase1m`).
  Numbers are sums of those: whole, with the first call of every tool, which `increase()` of Prometheus would lose,
  and also of replicas that have ended. They are at most a minute and a scrape old. Missing is what
  a replica counted while Prometheus did not reach it for more than 15 minutes, or in a minute in which Prometheus was
  too busy to evaluate its rules (`prometheus_rule_group_iterations_missed_total`).
- **Labels**: `cluster`, `namespace` and `job` of targets are kept where they exist, so that one Prometheus can serve
  several installations.
- **A maximum** is the upper bound of the histogram's bucket that holds it: Prometheus knows no more. The console
  knows the longest duration exactly, for as long as gateways remember.
"""
_RUNBOOKS: Final = f"""\
{_DO_NOT_EDIT}

# Runbooks

One section for each alert of the chart (`observability.rules.enabled`): what has happened, what it means for agents,
what to look at, and what ends it. `critical`: agents are refused or evidence is lost now. `warning`: that is near, or
so for a part. `info`: to be known, not at night. `observability.rules.omit` leaves alerts out by name,
`observability.rules.alertLabels` adds labels by which your Alertmanager routes them, and with `observability.docsURL`
each alert links to its section.
"""


def boards_page(file: BoardsFile) -> str:
    """Return the page that lists every panel, with its question."""
    return "\n".join([_BOARDS, *(line for board in file.boards for line in _board(board))]) + "\n"


def _board(board: Board) -> Iterator[str]:
    yield f"## {board.title}"
    yield ""
    yield board.question
    yield ""
    yield "| Panel | Question | Unit | More |"
    yield "|---|---|---|---|"
    yield from map(_row, board.panels)
    yield ""


def _row(panel: Panel) -> str:
    page = panel.docs.rpartition("/")[2].removesuffix(".md")
    return f"| {panel.title} | {panel.question} | {panel.unit} | [{page}](../../{panel.docs}) |"


def runbooks_page(file: BoardsFile) -> str:
    """Return the page of runbooks."""
    return "\n".join([_RUNBOOKS, *(line for alert in file.alerts for line in _runbook(alert))])


def _runbook(alert: AlertRule) -> Iterator[str]:
    yield f"## {alert.name}"
    yield ""
    when = "at once" if alert.hold == "0s" else f"after {alert.hold}"
    yield f"`{alert.severity}`, {when}. {alert.meaning}"
    yield ""
    yield f"**What it means.** {alert.impact}"
    yield ""
    yield "**What to look at:**"
    yield ""
    yield from (f"- {step}" for step in alert.check)
    yield ""
    yield "**What to do:**"
    yield ""
    yield from (f"- {step}" for step in alert.remedy)
    yield ""
    yield "```promql"
    yield alert.expr
    yield "```"
    yield ""
