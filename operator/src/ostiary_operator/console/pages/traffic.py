"""``/traffic``: how much goes through proxies, how fast, and what fails."""

from dataclasses import dataclass

from ostiary_operator.console.evidence_scope import EvidenceScope
from ostiary_operator.console.evidence_source import evidence_source, why_empty
from ostiary_operator.console.page import Page, PageContext, PageView
from ostiary_operator.console.plots.traffic_charts import TrafficCharts, traffic_charts
from ostiary_operator.console.range_page import RangePage, range_page, sum_query, sum_report
from ostiary_operator.view.traffic_numbers import Share, TrafficNumbers, TrafficRange, TrafficReport, UsedNames


@dataclass(frozen=True, slots=True)
class DurationBucket:
    """How many requests took at most so many seconds; None is the last bucket, without a bound."""

    at_most: float | None
    calls: float


@dataclass(frozen=True, slots=True)
class TrafficContent:
    """What was counted: the same numbers as charts, as mixes and as rankings."""

    numbers: TrafficNumbers
    charts: TrafficCharts
    outcomes: tuple[Share, ...]
    methods: tuple[Share, ...]
    statuses: tuple[Share, ...]
    error_types: tuple[Share, ...]
    buckets: tuple[DurationBucket, ...]
    names: UsedNames


@dataclass(frozen=True, slots=True)
class TrafficModel(RangePage):
    """The page: ``content`` of gateways, or ``panels`` of Prometheus.

    ``empty`` says why there is neither.
    """

    content: TrafficContent | None = None


async def _view(context: PageContext) -> PageView:
    return PageView("traffic.html", await range_page(context, TrafficModel, board="traffic", recorded=_recorded))


async def _recorded(context: PageContext, scope: EvidenceScope, span: TrafficRange) -> TrafficModel:
    """Return the page of what gateways recorded."""
    gathered = await context.sources.evidence.traffic(sum_query(scope, span))
    source = evidence_source(gathered, notice=scope.notice)
    report = sum_report(context, gathered, span)
    if not report.numbers.calls:
        return TrafficModel(scope.choice, span, source, empty=why_empty(gathered))
    return TrafficModel(scope.choice, span, source, content=_content(report, source=source.short))


def _content(report: TrafficReport, *, source: str) -> TrafficContent:
    """Return what a page shows of a report; ``source`` names where its numbers come from."""
    return TrafficContent(
        numbers=report.numbers,
        charts=traffic_charts(report, source=source),
        outcomes=report.outcomes,
        methods=report.methods,
        statuses=report.statuses,
        error_types=report.error_types,
        buckets=_buckets(report),
        names=report.names,
    )


def _buckets(report: TrafficReport) -> tuple[DurationBucket, ...]:
    """Return the buckets from the first to the last one that has a request."""
    used = [number for number, (_, calls) in enumerate(report.buckets) if calls]
    shown = report.buckets[used[0] : used[-1] + 1] if used else ()
    return tuple(DurationBucket(bound, calls) for bound, calls in shown)


TRAFFIC = Page("/traffic", "Traffic", _view)
