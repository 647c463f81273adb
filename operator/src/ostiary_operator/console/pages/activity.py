"""``/activity``: what each MCP server was used for, by tool, resource and prompt."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from ostiary_core.evidence.proxy_traffic import ProxyTraffic
from ostiary_core.mcp.methods import Primitive
from ostiary_operator.console.evidence_scope import EvidenceScope
from ostiary_operator.console.evidence_source import evidence_source, why_empty
from ostiary_operator.console.page import Page, PageContext, PageView
from ostiary_operator.console.paging import ROWS, PagedRows, paged
from ostiary_operator.console.plots.charts import Chart, ChartKind, PlotSeries
from ostiary_operator.console.range_page import RangePage, range_page, sum_query, sum_report
from ostiary_operator.local.quantities import Quantity
from ostiary_operator.view.activity_report import (
    NAMING,
    ActivityReport,
    NamelessUse,
    PrimitiveUse,
    ProxyActivity,
    activity_report,
)
from ostiary_operator.view.evidence.gathered import Gathered
from ostiary_operator.view.evidence.proxy_scope import ProxyScope, TrafficPart, TrafficQuery
from ostiary_operator.view.traffic_numbers import TrafficRange, TrafficReport

_MOST_USED: Final = 10
_OTHER: Final = "other methods"


@dataclass(frozen=True, slots=True)
class ActivityContent:
    """What was used, of the proxies on this page of the list.

    ``more_primitives`` rows are left out.
    """

    over_time: Chart
    proxies: PagedRows[ProxyActivity]
    primitives: tuple[PrimitiveUse, ...]
    more_primitives: int
    most_used: tuple[PrimitiveUse, ...]
    nameless: tuple[NamelessUse, ...]
    names_since: int


@dataclass(frozen=True, slots=True)
class ActivityModel(RangePage):
    """The page: ``content`` of gateways, or ``panels`` of Prometheus.

    ``empty`` says why there is neither.
    """

    content: ActivityContent | None = None


async def _view(context: PageContext) -> PageView:
    return PageView("activity.html", await range_page(context, ActivityModel, board="activity", recorded=_recorded))


async def _recorded(context: PageContext, scope: EvidenceScope, span: TrafficRange) -> ActivityModel:
    # Together: a replica that hangs is waited for once.
    totals, summed = await asyncio.gather(_totals(context, scope, span), _summed(context, scope, span))
    ranked = activity_report(_of_proxies(totals.value), span=span).proxies
    used = [each for each in ranked if each.tools or each.resources or each.prompts or each.nameless]
    if not used:
        source = evidence_source(totals.with_problems_of(summed), notice=scope.notice)
        return ActivityModel(scope.choice, span, source, empty=why_empty(totals))
    shown = paged(used, context.query.page)
    named = totals if _fits(scope) else await _named(context, shown, span)
    source = evidence_source(totals.with_problems_of(summed, named), notice=scope.notice)
    report = activity_report([each for each in _of_proxies(named.value) if each.proxy in _shown(shown)], span=span)
    over_time = sum_report(context, summed, span)
    chart = Chart(
        "Uses by primitive",
        ChartKind.STACKED,
        Quantity.COUNT,
        source.short,
        over_time.start,
        over_time.step,
        _by_primitive(over_time),
    )
    return ActivityModel(scope.choice, span, source, content=_content(shown, report, chart))


async def _ask(
    context: PageContext, scope: ProxyScope, span: TrafficRange, *parts: TrafficPart
) -> Gathered[dict[str, ProxyTraffic]]:
    return await context.sources.evidence.traffic(TrafficQuery(scope, span.seconds, parts=parts))


def _fits(scope: EvidenceScope) -> bool:
    """Return whether all proxies are on one page of the list."""
    return len(scope.proxies) <= ROWS


async def _totals(context: PageContext, scope: EvidenceScope, span: TrafficRange) -> Gathered[dict[str, ProxyTraffic]]:
    """Return the traffic of all proxies: with names, where they are few."""
    names = [TrafficPart.NAMES] if _fits(scope) else []
    return await _ask(context, scope.scope, span, TrafficPart.TOTAL, *names)


async def _named(
    context: PageContext, shown: PagedRows[ProxyActivity], span: TrafficRange
) -> Gathered[dict[str, ProxyTraffic]]:
    """Return the traffic of the proxies of one page of the list, with names."""
    return await _ask(context, ProxyScope.of(_shown(shown)), span, TrafficPart.TOTAL, TrafficPart.NAMES)


def _shown(page: PagedRows[ProxyActivity]) -> frozenset[str]:
    return frozenset(each.proxy for each in page.rows)


def _of_proxies(found: Mapping[str, ProxyTraffic]) -> list[ProxyTraffic]:
    """Return the traffic of proxies: what no proxy serves is no one's activity."""
    return [each for each in found.values() if each.proxy]


async def _summed(context: PageContext, scope: EvidenceScope, span: TrafficRange) -> Gathered[dict[str, ProxyTraffic]]:
    return await context.sources.evidence.traffic(sum_query(scope, span))


def _by_primitive(report: TrafficReport) -> tuple[PlotSeries, ...]:
    """Return a series for each primitive, and one for the methods that name none."""
    names = [*(each.value for each in Primitive), _OTHER]
    sums: dict[str, list[float | None]] = {}
    for each in report.methods_over_time:
        primitive = NAMING.get(each.name)
        name = primitive.value if primitive is not None else _OTHER
        known = sums.setdefault(name, [None] * len(each.values))
        sums[name] = [_plus(one, other) for one, other in zip(known, each.values, strict=True)]
    return tuple(PlotSeries(name, tuple(sums[name])) for name in names if name in sums)


def _plus(one: float | None, other: float | None) -> float | None:
    return other if one is None else one + (other or 0)


def _content(shown: PagedRows[ProxyActivity], report: ActivityReport, over_time: Chart) -> ActivityContent:
    by_proxy = {each.proxy: each for each in report.proxies}
    rows = tuple(by_proxy.get(each.proxy, each) for each in shown.rows)
    most = ROWS if len(rows) > 1 else len(report.primitives)
    return ActivityContent(
        over_time=over_time,
        proxies=PagedRows(rows, shown.number, shown.last, shown.total),
        primitives=report.primitives[:most],
        more_primitives=max(0, len(report.primitives) - most),
        most_used=report.primitives[:_MOST_USED],
        nameless=report.nameless[:ROWS],
        names_since=report.names_since,
    )


ACTIVITY = Page("/activity", "Activity", _view)
