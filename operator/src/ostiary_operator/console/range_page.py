"""What pages of a range of time have in common: filters, and where numbers come from.

Gateways keep a day; longer ranges are panels of Prometheus.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from ostiary_core.evidence.proxy_traffic import ProxyTraffic
from ostiary_operator.console.board_panels import BoardPanels
from ostiary_operator.console.empty_states import EmptyState
from ostiary_operator.console.evidence_scope import EvidenceScope, ProxyChoice, evidence_scope
from ostiary_operator.console.evidence_source import EvidenceSource
from ostiary_operator.console.long_range import long_range
from ostiary_operator.console.page import PageContext
from ostiary_operator.view.evidence.gathered import Gathered
from ostiary_operator.view.evidence.proxy_scope import TrafficPart, TrafficQuery
from ostiary_operator.view.traffic_numbers import TrafficRange, TrafficReport
from ostiary_operator.view.traffic_report import traffic_report


@dataclass(frozen=True, slots=True)
class RangePage:
    """A page of a range, without what gateways recorded: ``panels`` are those of Prometheus.

    ``empty`` says why there is neither.
    """

    choice: ProxyChoice
    range: TrafficRange
    source: EvidenceSource | None = None
    panels: BoardPanels | None = None
    empty: EmptyState | None = None


P = TypeVar("P", bound=RangePage)


async def range_page(
    context: PageContext,
    model: type[P],
    *,
    board: str,
    recorded: Callable[[PageContext, EvidenceScope, TrafficRange], Awaitable[P]],
) -> P:
    """Return the model of a page: what gateways ``recorded``, or the panels of a board.

    Raises:
        BadQuery: a filter is not valid.
    """
    span = context.query.choice("range", TrafficRange, TrafficRange.QUARTER_HOUR)
    scope = await evidence_scope(context)
    if scope.empty is not None:
        return model(scope.choice, span, empty=scope.empty)
    if not span.is_long:
        return await recorded(context, scope, span)
    found = await long_range(context, scope, span, board=board)
    if isinstance(found, EmptyState):
        return model(scope.choice, span, empty=found)
    return model(scope.choice, span, panels=found)


def sum_query(scope: EvidenceScope, span: TrafficRange) -> TrafficQuery:
    """Return the question for the sum of all traffic in a range, with its windows."""
    windows = TrafficPart.SLOTS if span is TrafficRange.QUARTER_HOUR else TrafficPart.QUARTERS
    return TrafficQuery(scope.scope, span.seconds, parts=(windows, TrafficPart.NAMES), is_sum=True)


def sum_report(context: PageContext, summed: Gathered[dict[str, ProxyTraffic]], span: TrafficRange) -> TrafficReport:
    """Return the report of what :func:`sum_query` found.

    It has no request where replicas told nothing.
    """
    whole = summed.value.get("", ProxyTraffic(proxy="", since=summed.since))
    return traffic_report(whole, span=span, now=int(context.now * 1000))
