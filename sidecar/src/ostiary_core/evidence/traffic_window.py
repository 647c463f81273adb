"""What was counted of one proxy in one window of time, and the sum of windows.

Windows begin at multiples of their length since the epoch, so that those of several replicas can be joined by when they
begin. A request is in the window in which it ended, as it is in Prometheus.
"""

from collections.abc import Iterable, Mapping
from typing import Annotated, Final, TypeAlias

from pydantic import Field, field_validator

from ostiary_core.evidence.document import EpochMilliseconds, EvidencePart, Number, Seconds, Word
from ostiary_core.evidence.latency import BUCKETS, quantile

#: Seconds of a slot, and the number of slots that are kept: fifteen minutes.
SLOT_SECONDS: Final = 10
SLOTS: Final = 90
#: Seconds of a quarter of an hour, and the number of quarters that are kept: a day.
QUARTER_SECONDS: Final = 900
QUARTERS: Final = 96
#: Different methods, statuses and kinds of errors of one window.
MOST_KINDS: Final = 128

Counts: TypeAlias = Annotated[dict[Word, Number], Field(max_length=MOST_KINDS)]


class TrafficWindow(EvidencePart):
    """The requests that ended in one window, which begins ``at``.

    ``errors`` are those with an ``error.type``, as ``mcp_server_operation_duration_seconds`` counts them; ``denied``
    those that access rules refused, as ``ostiary_access_decisions_total`` with ``decision="deny"``. ``seconds`` is the
    sum of their durations, of which ``upstreamSeconds`` were spent waiting for servers; ``slowest`` is the longest one.
    ``buckets`` are counts by :data:`.latency.BOUNDARIES`. ``methods`` are counts by MCP method (by HTTP method where a
    request holds no message, and under "" where it was refused before its message was read), ``statuses`` by HTTP
    status, ``errorTypes`` by ``error.type`` and ``outcomes`` by :class:`.CallOutcome`.
    """

    at: EpochMilliseconds
    calls: Number = 0
    errors: Number = 0
    denied: Number = 0
    seconds: Seconds = 0.0
    upstream_seconds: Seconds = 0.0
    slowest: Seconds = 0.0
    buckets: Annotated[tuple[Number, ...], Field(min_length=BUCKETS, max_length=BUCKETS, strict=False)] = (0,) * BUCKETS
    methods: Counts = Field(default_factory=dict)
    statuses: Counts = Field(default_factory=dict)
    error_types: Counts = Field(default_factory=dict)
    outcomes: Counts = Field(default_factory=dict)

    @field_validator("buckets", mode="before")
    @classmethod
    def _tuple(cls, value: object) -> object:
        return tuple(value) if isinstance(value, list) else value

    @property
    def mean(self) -> float | None:
        """The mean duration in seconds; None without requests."""
        return self.seconds / self.calls if self.calls else None

    @property
    def upstream_mean(self) -> float | None:
        """The mean time spent waiting for servers, in seconds; None without requests."""
        return self.upstream_seconds / self.calls if self.calls else None

    def quantile(self, rank: float) -> float | None:
        """Return a quantile of the durations in seconds; None without requests."""
        return quantile(rank, self.buckets)

    def joined(self, other: "TrafficWindow") -> "TrafficWindow":
        """Return the requests of both, from the earlier begin."""
        return TrafficWindow.model_construct(
            at=min(self.at, other.at),
            calls=self.calls + other.calls,
            errors=self.errors + other.errors,
            denied=self.denied + other.denied,
            seconds=self.seconds + other.seconds,
            upstream_seconds=self.upstream_seconds + other.upstream_seconds,
            slowest=max(self.slowest, other.slowest),
            buckets=tuple(map(sum, zip(self.buckets, other.buckets, strict=True))),
            methods=_sums(self.methods, other.methods),
            statuses=_sums(self.statuses, other.statuses),
            error_types=_sums(self.error_types, other.error_types),
            outcomes=_sums(self.outcomes, other.outcomes),
        )


def _sums(one: Mapping[str, int], other: Mapping[str, int]) -> dict[str, int]:
    return {key: one.get(key, 0) + other.get(key, 0) for key in one.keys() | other.keys()}


def window_start(at: int, seconds: int) -> int:
    """Return when the window begins that holds an instant, both in epoch milliseconds."""
    return at - at % (seconds * 1000)


def total(windows: Iterable[TrafficWindow], *, at: int) -> TrafficWindow:
    """Return the sum of windows, as one that begins ``at`` (epoch milliseconds)."""
    found = TrafficWindow(at=at)
    for window in windows:
        found = found.joined(window)
    return found.model_copy(update={"at": at})


def joined_by_start(windows: Iterable[TrafficWindow]) -> tuple[TrafficWindow, ...]:
    """Return windows, of which those with the same begin are summed, oldest first."""
    found: dict[int, TrafficWindow] = {}
    for window in windows:
        earlier = found.get(window.at)
        found[window.at] = window if earlier is None else earlier.joined(window)
    return tuple(found[at] for at in sorted(found))
