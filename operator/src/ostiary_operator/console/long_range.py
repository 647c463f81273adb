"""What a page shows of a range that gateways do not keep: panels, or why there are none."""

import asyncio

from ostiary_operator.boards.queries import BoardSelection
from ostiary_operator.console import board_panels
from ostiary_operator.console.board_panels import BoardPanels
from ostiary_operator.console.empty_states import EmptyReason, EmptyState, empty
from ostiary_operator.console.evidence_scope import EvidenceScope
from ostiary_operator.console.page import PageContext
from ostiary_operator.console.sources.protocols import LongRanges, SourceUnavailable
from ostiary_operator.view.traffic_numbers import TrafficRange


async def long_range(
    context: PageContext, scope: EvidenceScope, span: TrafficRange, *, board: str
) -> BoardPanels | EmptyState:
    """Return the panels of a board for the proxies of a scope, or why there are none.

    Raises:
        ValueError: there is no such board.
    """
    source = context.sources.long_ranges
    if source is None:
        return empty(
            EmptyReason.NOT_RECORDED,
            words="Gateways keep the traffic of a day.",
            remedy="Longer ranges come from Prometheus: give the console its URL (--prometheus-url).",
        )
    proxies = None if scope.scope.named is None else tuple(sorted(scope.scope.named))
    now = int(context.now * 1000)
    try:
        found = await board_panels.board_panels(source, board, BoardSelection(proxies), now=now, seconds=span.seconds)
        if not found.is_empty:
            return found
        return _no_traffic() if await _records_rules(source, now=now) else _no_rules(source.title)
    except SourceUnavailable as error:
        return empty(EmptyReason.UNAVAILABLE, words=str(error))


def _no_traffic() -> EmptyState:
    return empty(EmptyReason.NO_TRAFFIC)


def _no_rules(title: str) -> EmptyState:
    return empty(
        EmptyReason.NOT_RECORDED,
        words=f"{title} knows gateways, but not the records of the chart's rules.",
        remedy="Enable `observability.rules` of the chart: the panels read what these rules record.",
    )


async def _records_rules(source: LongRanges, *, now: int) -> bool:
    """Return whether Prometheus records what the panels read.

    It does not where it knows gateways, and no request has ever been recorded.
    """
    gateways, records = await asyncio.gather(
        source.values("count(ostiary_build_info)", at=now),
        source.values("count(ostiary:mcp_server_operation_duration_seconds_count:increase1m)", at=now),
    )
    return bool(records) or not gateways
