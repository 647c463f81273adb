"""What queries read, compared with what processes declare.

A board that asks for a name that nothing exports stays empty for ever.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

import ostiary_gateway.metrics
import ostiary_operator.controller.metrics
from ostiary_core.metric_family import MetricFamily, MetricKind
from ostiary_tools.generate.boards.boards_file import ROOT, BoardsFile
from ostiary_tools.generate.boards.rules import TARGET_LABELS
from ostiary_tools.generate.metrics_page import OF_THE_PROCESS, families

_KEYWORDS: Final = frozenset({"and", "or", "unless", "on", "by", "without", "bool", "offset", "ignoring"})
_OF_TARGETS: Final = frozenset({*TARGET_LABELS, "instance"})
_STRINGS: Final = re.compile(r'"(?:\\.|[^"\\])*"')
_SELECTORS: Final = re.compile(r"([a-zA-Z_:][\w:]*)\s*\{([^}]*)\}")
_GROUPINGS: Final = re.compile(r"\b(?:by|on|without|ignoring)\s*\(([^)]*)\)")
_BARE: Final = re.compile(r"(?<![\w$:])([a-zA-Z_:][\w:]*)(?!\s*\(|[\w:])")
_IN_LEGEND: Final = re.compile(r"\{\{\s*(?:\$labels\.)?(\w+)\s*\}\}")


@dataclass(frozen=True, slots=True)
class QueriedNames:
    """The names in a query.

    Attributes:
        metrics: metrics and records, each with the labels in its matchers.
        labels: labels by which it groups or joins.
    """

    metrics: tuple[tuple[str, frozenset[str]], ...]
    labels: frozenset[str]


def names_in(promql: str) -> QueriedNames:
    """Return the names of metrics and labels in a query."""
    plain = re.sub(r"\[[^\]]*\]", "", _STRINGS.sub('""', promql))
    found = [(name, frozenset(re.findall(r"(\w+)\s*[=!]", inner))) for name, inner in _SELECTORS.findall(plain)]
    rest = _SELECTORS.sub("", plain)
    labels = {label.strip() for inner in _GROUPINGS.findall(rest) for label in inner.split(",") if label.strip()}
    rest = re.sub(r"\boffset\s+\w+", "", _GROUPINGS.sub("", rest))
    bare = [(name, frozenset[str]()) for name in _BARE.findall(rest) if name not in _KEYWORDS]
    return QueriedNames((*found, *bare), frozenset(labels))


def labels_of_metrics(file: BoardsFile) -> dict[str, frozenset[str]]:
    """Return the labels of every metric and record, by the names by which queries find them."""
    declared = [
        *families(ostiary_gateway.metrics),
        *families(ostiary_operator.controller.metrics),
        *OF_THE_PROCESS,
    ]
    found = {name: labels for family in declared for name, labels in _exposed(family)}
    return found | {rule.record: frozenset(rule.by) for rule in file.increases}


def _exposed(family: MetricFamily) -> Iterator[tuple[str, frozenset[str]]]:
    labels = frozenset(family.labels)
    if family.kind is not MetricKind.HISTOGRAM:
        yield family.exposed_name, labels
        return
    yield f"{family.name}_bucket", labels | {"le"}
    yield from ((f"{family.name}{end}", labels) for end in ("_count", "_sum"))


def problems(file: BoardsFile) -> list[str]:
    """Return what is wrong with a file.

    Unknown metrics and labels, names that occur twice, pages that do not exist, records that nothing reads.
    """
    known = labels_of_metrics(file)
    return [*_of_increases(file, known), *_of_boards(file, known), *_of_alerts(file, known), *_unused(file)]


def _of_increases(file: BoardsFile, known: Mapping[str, frozenset[str]]) -> Iterator[str]:
    for rule in file.increases:
        if rule.metric not in known:
            yield f"increases: nothing exports {rule.metric}"
        elif unknown := set(rule.by) - known[rule.metric]:
            yield f"increases: {rule.metric} has no label {', '.join(sorted(unknown))}"
    yield from _twice("increases", (rule.metric for rule in file.increases))


def _of_boards(file: BoardsFile, known: Mapping[str, frozenset[str]]) -> Iterator[str]:
    yield from _twice("boards", (board.name for board in file.boards))
    for board in file.boards:
        yield from _twice(board.name, (panel.name for panel in board.panels))
        for panel in board.panels:
            where = f"{board.name}/{panel.name}"
            yield from _twice(where, (query.name for query in panel.queries))
            if not (ROOT / panel.docs).is_file():
                yield f"{where}: there is no page {panel.docs}"
            for query in panel.queries:
                yield from _of_query(f"{where}/{query.name}", query.template, query.legend, known)


def _of_alerts(file: BoardsFile, known: Mapping[str, frozenset[str]]) -> Iterator[str]:
    yield from _twice("alerts", (alert.name for alert in file.alerts))
    for alert in file.alerts:
        yield from _of_query(alert.name, alert.expr, alert.summary, known)


def _of_query(where: str, promql: str, legend: str, known: Mapping[str, frozenset[str]]) -> Iterator[str]:
    read = names_in(promql)
    if "grown(" in promql:
        yield f"{where}: write grown(metric{{matchers}})"
    unknown = [name for name, _ in read.metrics if name not in known]
    yield from (f"{where}: nothing exports or records {name}" for name in unknown)
    labels = frozenset[str]().union(*(known.get(name, frozenset()) for name, _ in read.metrics)) | _OF_TARGETS
    for name, matched in read.metrics:
        if name in known and (wrong := matched - known[name] - _OF_TARGETS):
            yield f"{where}: {name} has no label {', '.join(sorted(wrong))}"
    shown = frozenset(_IN_LEGEND.findall(legend)) - {"value"}
    if wrong := (read.labels | shown) - labels:
        yield f"{where}: no series has the label {', '.join(sorted(wrong))}"
    if lost := shown - read.labels:
        yield f"{where}: the query does not keep the label {', '.join(sorted(lost))} that its text shows"


def _unused(file: BoardsFile) -> Iterator[str]:
    templates = [query.template for board in file.boards for panel in board.panels for query in panel.queries]
    read = {name for promql in (*templates, *(a.expr for a in file.alerts)) for name, _ in names_in(promql).metrics}
    yield from (f"increases: nothing reads {rule.metric}" for rule in file.increases if rule.record not in read)


def _twice(where: str, names: Iterable[str]) -> Iterator[str]:
    yield from (f"{where}: {name} is there {count} times" for name, count in Counter(names).items() if count > 1)
