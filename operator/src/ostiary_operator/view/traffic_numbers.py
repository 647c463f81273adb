"""Numbers of the traffic of a time, for pages and for the command line.

They come from gateways, or from Prometheus. A request counts in the window in which it ended. A call that was denied or
that failed counts as a call, too.
"""

import enum
from dataclasses import dataclass

from ostiary_core.mcp.methods import Primitive


class TrafficRange(enum.StrEnum):
    """How far back a report looks."""

    QUARTER_HOUR = "15m"
    HOUR = "1h"
    SIX_HOURS = "6h"
    DAY = "24h"
    WEEK = "7d"
    MONTH = "30d"

    @property
    def seconds(self) -> int:
        """Its length in seconds."""
        return {"m": 60, "h": 3600, "d": 86_400}[self.value[-1]] * int(self.value[:-1])

    @property
    def is_long(self) -> bool:
        """Whether gateways do not keep it, so that only Prometheus knows it."""
        return self in {TrafficRange.WEEK, TrafficRange.MONTH}


@dataclass(frozen=True, slots=True)
class TrafficNumbers:
    """Totals, and durations in seconds, which are None where they are not known.

    ``errors`` are requests with an ``error.type``, ``denied`` those that access rules refused: a request may be both.
    ``gateway_mean`` is the mean time that the gateway itself took, ``upstream_mean`` that at servers.
    """

    calls: float
    errors: float
    denied: float
    mean: float | None
    slowest: float | None
    p50: float | None
    p90: float | None
    p99: float | None
    upstream_mean: float | None
    gateway_mean: float | None


@dataclass(frozen=True, slots=True)
class Share:
    """How many requests were of a kind, and which part of all they are (0 to 1)."""

    name: str
    calls: float
    share: float


@dataclass(frozen=True, slots=True)
class TimeSeries:
    """One value for each step of the report.

    It is None where nothing was recorded, or where there is no value.
    """

    name: str
    values: tuple[float | None, ...]


@dataclass(frozen=True, slots=True)
class UsedName:
    """How a tool, resource or prompt was used; durations are in seconds."""

    primitive: Primitive
    method: str
    name: str
    calls: float
    errors: float
    denied: float
    mean: float | None
    slowest: float | None


@dataclass(frozen=True, slots=True)
class UsedNames:
    """The most used names of each primitive, since a time in epoch milliseconds.

    ``others`` counts calls of names that are not kept.
    """

    since: int
    tools: tuple[UsedName, ...] = ()
    resources: tuple[UsedName, ...] = ()
    prompts: tuple[UsedName, ...] = ()
    others: float = 0


@dataclass(frozen=True, slots=True)
class TrafficReport:
    """The traffic of a time: from ``start``, in steps of ``step``, both in milliseconds.

    ``since`` is when recording began; steps that ended before are None. ``latency`` has p50, p90, p99 and the mean of
    each step, ``composition`` the mean time in the gateway and at upstream servers. ``buckets`` counts requests by
    duration: the upper bound in seconds (None is the last one, without a bound), and how many.
    """

    start: int
    step: int
    since: int
    numbers: TrafficNumbers
    outcomes: tuple[Share, ...]
    methods: tuple[Share, ...]
    statuses: tuple[Share, ...]
    error_types: tuple[Share, ...]
    outcomes_over_time: tuple[TimeSeries, ...]
    methods_over_time: tuple[TimeSeries, ...]
    latency: tuple[TimeSeries, ...]
    composition: tuple[TimeSeries, ...]
    buckets: tuple[tuple[float | None, float], ...]
    names: UsedNames
