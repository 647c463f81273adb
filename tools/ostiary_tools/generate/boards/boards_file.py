"""The file of which boards, rules and alerts are made, checked."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from ostiary_operator.boards.panels import Board, PanelKind, read_board
from ostiary_tools.common.errors import ToolError

ROOT: Final = Path(__file__).parents[4]
FOLDER: Final = ROOT / "helm" / "ostiary" / "observability"
SOURCE: Final = FOLDER / "boards.yaml"
#: The columns of a panel that names none, of 24.
_WIDTHS: Final = {PanelKind.NUMBER: 6, PanelKind.RANKING: 12, PanelKind.LINES: 12, PanelKind.BARS: 12}
#: The page of a panel that names none.
_DOCS: Final = "docs/reference/metrics.md"
#: `grown(metric{matchers})` or `grown(metric{matchers}[range])`; text in quotes may hold what it likes.
_GROWN: Final = re.compile(r"grown\((\w+)(\{(?:[^\"}]|\"(?:\\.|[^\"\\])*\")*\})(?:\[(\w+)\])?\)")


@dataclass(frozen=True, slots=True)
class IncreaseRule:
    """A counter whose increase is recorded every minute.

    Attributes:
        metric: the name by which queries find it.
        by: the labels that the record keeps, besides those of the target.
    """

    metric: str
    by: tuple[str, ...]

    @property
    def record(self) -> str:
        """The name of the record."""
        return record_of(self.metric)


@dataclass(frozen=True, slots=True)
class AlertRule:
    """An alert, and what to do when it fires.

    Attributes:
        name: in CamelCase, beginning with the product's name.
        expr: PromQL without placeholders; a result is an alert.
        hold: for how long there must be one before it fires, such as `5m`.
        severity: `critical` where agents are refused or evidence is lost, `warning` where that is near, else `info`.
        summary: one line, with `{{ $labels.x }}`.
        meaning: what has happened; the page begins with it.
        impact: what agents, owners or auditors notice.
        check: what to look at, each a step.
        remedy: what ends it, each a step.
    """

    name: str
    expr: str
    hold: str
    severity: str
    summary: str
    meaning: str
    impact: str
    check: tuple[str, ...]
    remedy: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class BoardsFile:
    """The whole file."""

    increases: tuple[IncreaseRule, ...]
    boards: tuple[Board, ...]
    alerts: tuple[AlertRule, ...]


def record_of(metric: str) -> str:
    """Return the name of the record that says how much a counter grew."""
    return f"ostiary:{metric.removeprefix('ostiary_').removesuffix('_total')}:increase1m"


def expanded(promql: str, time: str) -> str:
    """Return a query in which `grown` is written out, over a time unless it has its own."""

    def written_out(found: re.Match[str]) -> str:
        return f"sum_over_time({record_of(found[1])}{found[2]}[{found[3] or time}])"

    return _GROWN.sub(written_out, promql)


def read_boards_file(path: Path = SOURCE) -> BoardsFile:
    """Return the file.

    Raises:
        ToolError: it is no YAML, or a member is missing, unknown, or has a value that does not exist.
    """
    try:
        document = yaml.safe_load(path.read_text())
        return BoardsFile(
            increases=tuple(IncreaseRule(each["metric"], tuple(each["by"])) for each in document["increases"]),
            boards=tuple(map(_board, document["boards"])),
            alerts=tuple(map(_alert, document["alerts"])),
        )
    except (yaml.YAMLError, KeyError, TypeError, ValueError) as error:
        raise ToolError(f"{path.name}: {error}") from error


def _board(values: Mapping[str, Any]) -> Board:
    return read_board({**values, "panels": [_panel(each) for each in values["panels"]]})


def _panel(values: Mapping[str, Any]) -> dict[str, Any]:
    time = "$step" if PanelKind(values["kind"]).is_over_time else "$range"
    queries = [{**each, "template": expanded(each["template"], time)} for each in values["queries"]]
    return {"docs": _DOCS, "width": _WIDTHS[PanelKind(values["kind"])], **values, "queries": queries}


def _alert(values: Mapping[str, Any]) -> AlertRule:
    lists = {"check": tuple(values["check"]), "remedy": tuple(values["remedy"])}
    return AlertRule(**{**values, **lists, "expr": expanded(values["expr"], "5m")})
