"""A report of traffic as text for a terminal, with charts of block characters."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from ostiary_operator.local import block_charts
from ostiary_operator.local.console import Style, printable
from ostiary_operator.local.quantities import Quantity, shown, utc_time
from ostiary_operator.view import tables
from ostiary_operator.view.tables import Paint
from ostiary_operator.view.traffic_numbers import Share, TimeSeries, TrafficNumbers, TrafficReport, UsedName

_NAME: Final = 60
_BAR: Final = 20
#: Characters of a series over time.
_WIDTH: Final = 60
_NAMES: Final = ("NAME", "METHOD", "CALLS", "ERRORS", "DENIED", "AVERAGE", "MAX")


def render(report: TrafficReport, *, paint: Paint = tables.plain) -> str:
    """Return the report for people: totals, series over time, and what was used most."""
    return "\n".join(block for block in _blocks(report, paint) if block)


def _blocks(report: TrafficReport, paint: Paint) -> Iterator[str]:
    yield _totals(report.numbers)
    begin, until = utc_time(report.start), utc_time(report.start + report.step * _steps(report))
    yield _over_time(f"calls from {begin} to {until} UTC", report.outcomes_over_time, Quantity.COUNT, paint)
    yield _over_time("methods", report.methods_over_time, Quantity.COUNT, paint)
    yield _over_time("duration", report.latency, Quantity.SECONDS, paint)
    yield _over_time("where the time goes", report.composition, Quantity.SECONDS, paint)
    for title, names in (
        ("tools", report.names.tools),
        ("resources", report.names.resources),
        ("prompts", report.names.prompts),
    ):
        yield _ranking(f"most used {title} since {utc_time(report.names.since, with_date=True)} UTC", names, paint)
    yield _mix("methods", report.methods, paint)
    yield _mix("outcomes", report.outcomes, paint)
    yield _mix("errors", report.error_types, paint)
    yield _mix("HTTP statuses", report.statuses, paint)


def _steps(report: TrafficReport) -> int:
    return max((len(each.values) for each in report.latency), default=0)


def _totals(numbers: TrafficNumbers) -> str:
    """Return the totals: what they are called, and below it how much they are."""
    durations = (numbers.mean, numbers.slowest, numbers.p50, numbers.p90, numbers.p99, numbers.gateway_mean)
    header = ("CALLS", "ERRORS", "DENIED", "AVERAGE", "MAX", "P50", "P90", "P99", "GATEWAY", "UPSTREAM")
    row = [shown(each, Quantity.COUNT) for each in (numbers.calls, numbers.errors, numbers.denied)]
    row += [shown(each, Quantity.SECONDS) for each in (*durations, numbers.upstream_mean)]
    return tables.render(header, [row])


def _over_time(title: str, series: Sequence[TimeSeries], quantity: Quantity, paint: Paint) -> str:
    drawn = [each for each in series if any(each.values)]
    if not drawn:
        return ""
    width = max(len(printable(each.name, limit=_NAME)) for each in drawn)
    lines = (
        block_charts.timeline(
            printable(each.name, limit=_NAME),
            block_charts.highest(each.values, width=_WIDTH) if quantity is Quantity.SECONDS else each.values,
            quantity,
            label_width=width,
            width=_WIDTH,
        )
        for each in drawn
    )
    return _titled(title, (f"{line}\n" for line in lines), paint)


def _ranking(title: str, names: Sequence[UsedName], paint: Paint) -> str:
    if not names:
        return ""
    most = names[0].calls
    rows = [(*_named(each), block_charts.bar(each.calls, most, width=_BAR)) for each in names]
    return _titled(title, [tables.render((*_NAMES, " "), rows)], paint)


def _named(used: UsedName) -> tuple[str, ...]:
    counts = (shown(each, Quantity.COUNT) for each in (used.calls, used.errors, used.denied))
    durations = (shown(each, Quantity.SECONDS) for each in (used.mean, used.slowest))
    return printable(used.name, limit=_NAME), printable(used.method, limit=_NAME), *counts, *durations


def _mix(title: str, shares: Sequence[Share], paint: Paint) -> str:
    if not shares:
        return ""
    rows = [
        (
            printable(each.name, limit=_NAME),
            shown(each.calls, Quantity.COUNT),
            shown(each.share, Quantity.RATIO),
            block_charts.bar(each.share, 1.0, width=_BAR),
        )
        for each in shares
    ]
    return _titled(title, [tables.render((title.upper(), "CALLS", "SHARE", " "), rows)], paint)


def _titled(title: str, lines: Iterable[str], paint: Paint) -> str:
    return "".join([paint(title, Style.BOLD), "\n", *lines])
