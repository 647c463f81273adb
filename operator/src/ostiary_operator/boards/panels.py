"""Panels: a question about traffic or health, and the queries that answer it."""

import functools
import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from importlib import resources
from typing import Any

from ostiary_operator.boards.queries import BoardSelection, selected


class PanelKind(StrEnum):
    """How a panel is drawn.

    A number and a ranking are one value, or one value a series, at the end of the range: ask with an instant query.
    Lines and bars are drawn over the range: ask with a range query, whose step is at least a minute. The bars of a
    step add up to the number of the range.
    """

    NUMBER = "Number"
    RANKING = "Ranking"
    LINES = "Lines"
    BARS = "Bars"

    @property
    def is_over_time(self) -> bool:
        """Whether it needs a range query."""
        return self in {PanelKind.LINES, PanelKind.BARS}


class PanelUnit(StrEnum):
    """What the values of a panel are."""

    COUNT = "count"
    SECONDS = "s"
    SHARE = "share"
    BYTES = "By"
    CORES = "cores"


@dataclass(frozen=True, slots=True)
class PanelQuery:
    """One query of a panel.

    Attributes:
        name: unique in the panel; what its values are, such as `p99`.
        template: PromQL with placeholders, see :mod:`ostiary_operator.boards.queries`.
        legend: how a series is named, with `{{label}}` for its labels.
    """

    name: str
    template: str
    legend: str

    @property
    def is_of_proxies(self) -> bool:
        """Whether it reads series of proxies alone; others are of whole gateways."""
        return "$proxies" in self.template and "$gateways" not in self.template

    def promql(self, selection: BoardSelection, *, seconds: int, step_seconds: int) -> str:
        """Return the query for these series, a range and the step of a chart, in seconds.

        Raises:
            ValueError: a duration is not positive, or only some proxies are selected, and the query cannot tell them.
        """
        if selection.proxies is not None and not self.is_of_proxies:
            raise ValueError(f"{self.name!r} is of whole gateways: it would show more than the selected proxies")
        return selected(self.template, selection, seconds=seconds, step_seconds=step_seconds)


@dataclass(frozen=True, slots=True)
class Panel:
    """One question, answered.

    Attributes:
        name: unique in its board, in links and code.
        title: a few words above it.
        question: what it answers, in one sentence.
        docs: the page that explains its figures, within the documentation.
        width: its columns, of 24.
    """

    name: str
    title: str
    question: str
    kind: PanelKind
    unit: PanelUnit
    docs: str
    width: int
    queries: tuple[PanelQuery, ...]


@dataclass(frozen=True, slots=True)
class Board:
    """Panels that are looked at together."""

    name: str
    title: str
    question: str
    panels: tuple[Panel, ...]


def read_board(values: Mapping[str, Any]) -> Board:
    """Return a board from its document.

    Raises:
        KeyError, TypeError, ValueError: the document has other members, or other values.
    """
    return Board(**{**values, "panels": tuple(map(_read_panel, values["panels"]))})


def _read_panel(values: Mapping[str, Any]) -> Panel:
    queries = tuple(PanelQuery(**each) for each in values["queries"])
    kind, unit = PanelKind(values["kind"]), PanelUnit(values["unit"])
    return Panel(**{**values, "kind": kind, "unit": unit, "queries": queries})


@functools.cache
def every_board() -> tuple[Board, ...]:
    """Return all boards."""
    text = resources.files("ostiary_operator.boards").joinpath("panels.json").read_text()
    return tuple(map(read_board, json.loads(text)))


def find_panel(board: str, name: str) -> Panel:
    """Return a panel.

    Raises:
        KeyError: there is none of that name.
    """
    return _panels()[board, name]


@functools.cache
def _panels() -> dict[tuple[str, str], Panel]:
    return {(board.name, panel.name): panel for board in every_board() for panel in board.panels}
