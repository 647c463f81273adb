"""Makes the report of a time from what gateways recorded, for pages and the command line."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

from ostiary_core.evidence.latency import BOUNDARIES
from ostiary_core.evidence.name_use import NameUse, NameUses
from ostiary_core.evidence.proxy_traffic import ProxyTraffic, first_start, resolution
from ostiary_core.evidence.recorded_call import CallOutcome
from ostiary_core.evidence.traffic_window import TrafficWindow, total
from ostiary_core.mcp.methods import Primitive
from ostiary_operator.view.traffic_numbers import (
    Share,
    TimeSeries,
    TrafficNumbers,
    TrafficRange,
    TrafficReport,
    UsedName,
    UsedNames,
)

#: Names of each primitive that a report ranks.
MOST_NAMES: Final = 5
#: What is counted without a message: it was refused before the message was read.
NO_MESSAGE: Final = "(no message)"
_PRIMITIVES: Final = {each.value: each for each in Primitive}


def traffic_report(traffic: ProxyTraffic, *, span: TrafficRange, now: int) -> TrafficReport:
    """Return the report of what gateways recorded of a proxy, or of the sum of several.

    ``now`` is in epoch milliseconds. A range that is longer than what gateways keep has only what they keep.
    """
    windows = traffic.windows(now=now, seconds=span.seconds)
    steps = _Steps(start=first_start(now=now, seconds=span.seconds), step=resolution(span.seconds) * 1000, now=now)
    series = steps.filled(windows, since=traffic.since)
    whole = total(windows, at=steps.start)
    return TrafficReport(
        start=steps.start,
        step=steps.step,
        since=traffic.since,
        numbers=_numbers(whole),
        outcomes=_outcomes(whole.outcomes),
        methods=_shares(_named(whole.methods)),
        statuses=_shares(_named(whole.statuses)),
        error_types=_shares(whole.error_types, of=whole.calls),
        outcomes_over_time=_over_time(series, [each.name for each in _outcomes(whole.outcomes)], _of_outcome),
        methods_over_time=_over_time(series, [each.name for each in _shares(_named(whole.methods))], _of_method),
        latency=tuple(TimeSeries(name, _values(series, read)) for name, read in _LATENCY.items()),
        composition=tuple(TimeSeries(name, _values(series, read)) for name, read in _COMPOSITION.items()),
        buckets=tuple(zip((*BOUNDARIES, None), whole.buckets, strict=True)),
        names=_names(traffic, span),
    )


class _Steps:
    """The steps of a report, and which window is which."""

    def __init__(self, *, start: int, step: int, now: int) -> None:
        self.start = start
        self.step = step
        self._count = max(1, (now - start) // step + 1)

    def filled(self, windows: Iterable[TrafficWindow], *, since: int) -> tuple[TrafficWindow | None, ...]:
        """Return a window for each step.

        It is an empty one without requests, and None before recording began.
        """
        last = self.start + (self._count - 1) * self.step
        found: dict[int, TrafficWindow] = {}
        for each in windows:
            at = min(each.at, last)  # a replica answers after `now`, and its clock may be ahead
            found[at] = total((found[at], each), at=at) if at in found else each
        starts = (self.start + number * self.step for number in range(self._count))
        return tuple(found.get(at) or (TrafficWindow(at=at) if at + self.step > since else None) for at in starts)


def _numbers(whole: TrafficWindow) -> TrafficNumbers:
    return TrafficNumbers(
        calls=whole.calls,
        errors=whole.errors,
        denied=whole.denied,
        mean=whole.mean,
        slowest=whole.slowest if whole.calls else None,
        p50=whole.quantile(0.5),
        p90=whole.quantile(0.9),
        p99=whole.quantile(0.99),
        upstream_mean=whole.upstream_mean,
        gateway_mean=_gateway_mean(whole),
    )


def _gateway_mean(window: TrafficWindow) -> float | None:
    """Return the mean time that the gateway itself took.

    It is never negative: servers that are asked at once may take more than the whole.
    """
    return max(0.0, window.seconds - window.upstream_seconds) / window.calls if window.calls else None


_Read = Callable[[TrafficWindow], float | None]
_LATENCY: Final[Mapping[str, _Read]] = {
    "p50": lambda window: window.quantile(0.5),
    "p90": lambda window: window.quantile(0.9),
    "p99": lambda window: window.quantile(0.99),
    "average": lambda window: window.mean,
}
_COMPOSITION: Final[Mapping[str, _Read]] = {
    "upstream": lambda window: window.upstream_mean,
    "gateway": _gateway_mean,
}


def _values(series: Sequence[TrafficWindow | None], read: _Read) -> tuple[float | None, ...]:
    return tuple(read(window) if window is not None else None for window in series)


def _over_time(
    series: Sequence[TrafficWindow | None], names: Sequence[str], read: Callable[[TrafficWindow, str], int]
) -> tuple[TimeSeries, ...]:
    return tuple(
        TimeSeries(name, tuple(read(window, name) if window is not None else None for window in series))
        for name in names
    )


def _of_method(window: TrafficWindow, name: str) -> int:
    return window.methods.get("" if name == NO_MESSAGE else name, 0)


def _of_outcome(window: TrafficWindow, name: str) -> int:
    return window.outcomes.get(name, 0)


def _named(counts: Mapping[str, int]) -> dict[str, int]:
    return {name or NO_MESSAGE: count for name, count in counts.items()}


def _outcomes(counts: Mapping[str, int]) -> tuple[Share, ...]:
    """Return the outcomes in their own order, and then those of another version."""
    order = [each.value for each in CallOutcome]
    found = sorted(_shares(counts), key=lambda each: order.index(each.name) if each.name in order else len(order))
    return tuple(found)


def _shares(counts: Mapping[str, float], *, of: float | None = None) -> tuple[Share, ...]:
    """Return counts, the largest first; those of nothing are left out."""
    whole = of if of is not None else sum(counts.values())
    ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return tuple(Share(name, calls, calls / whole if whole else 0.0) for name, calls in ranked if calls)


def _names(traffic: ProxyTraffic, span: TrafficRange) -> UsedNames:
    uses = traffic.recent_names if span is TrafficRange.QUARTER_HOUR else traffic.names
    if uses is None:
        return UsedNames(since=traffic.since)
    return used_names(uses, most=MOST_NAMES)


def used_names(uses: NameUses, *, most: int) -> UsedNames:
    """Return the ``most`` used names of each primitive."""
    ranked = [each for each in map(_used, uses.names) if each is not None]
    tools, resources, prompts = (
        tuple([each for each in ranked if each.primitive is primitive][:most]) for primitive in _PRIMITIVES.values()
    )
    return UsedNames(uses.since, tools, resources, prompts, others=uses.others.calls)


def _used(use: NameUse) -> UsedName | None:
    primitive = _PRIMITIVES.get(use.method.partition("/")[0])
    if primitive is None:
        return None
    mean = use.seconds / use.calls if use.calls else None
    return UsedName(primitive, use.method, use.name, use.calls, use.errors, use.denied, mean, use.slowest)
