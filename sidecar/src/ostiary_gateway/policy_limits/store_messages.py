"""What is sent to the script of counters for each key, and what it answers, as plain data.

The name of a counter in the store begins with a hash tag of the policy's namespace. All counters of one namespace are
in one slot of a Cluster, so the script can change them together.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from ostiary_core.limits.compiled_limit import CompiledLimit
from ostiary_core.limits.quota import Quota, window_of
from ostiary_gateway.policy_limits.counter_script import RESULTS

MICROSECONDS = 1_000_000


class Ask(NamedTuple):
    """What is asked for one counter; see :data:`.counter_script.FIELDS`."""

    limit: CompiledLimit
    key: str
    units: int = 0
    waiting: int = 0
    lease: int = 0
    age: float = 0.0
    in_flight: int = -1
    sequence: int = 0
    taken: int = 0

    def fields(self, now: float) -> Iterator[str]:
        """Return the arguments of the script; ``now`` is the store's time in epoch seconds."""
        limit = self.limit
        starts = _starts(limit.quota, now)
        numbers = (
            self.units,
            self.waiting,
            self.lease,
            limit.amount or 0,
            limit.rate.burst if limit.rate is not None else 0,
            _length(limit),
            round(self.age * MICROSECONDS),
            *(round(start * MICROSECONDS) for start in starts),
            limit.concurrency if limit.concurrency is not None else -1,
            self.in_flight,
            self.sequence,
            int(limit.shadow),
            self.taken,
        )
        yield _kind(limit)
        yield from map(str, numbers)


class Answer(NamedTuple):
    """What the script says of one counter; times are the store's, in microseconds.

    ``retry`` is when refused units fit, -1 for never. ``granted`` are units beyond those that were asked for.
    """

    fits: bool
    has_slot: bool
    granted: int
    remaining: int
    used: int
    retry: int
    reset: int


def answers(values: Sequence[int]) -> tuple[int, list[Answer]]:
    """Return the store's time in microseconds, and what it said of each counter.

    Raises:
        ValueError: it is not the answer of the script.
    """
    if not values or (len(values) - 1) % len(RESULTS):
        raise ValueError("not an answer of the script")
    found = [values[start : start + len(RESULTS)] for start in range(1, len(values), len(RESULTS))]
    return values[0], [Answer(bool(each[0]), bool(each[1]), *each[2:]) for each in found]


def store_key(limit: CompiledLimit, key: str) -> str:
    """Return the name of a counter in the store.

    A limit that changes its kind counts from the start.
    """
    kind = "r" if limit.rate is not None else "q" if limit.quota is not None else "n"
    return f"{{ostiary:{limit.namespace}}}:{kind}:{key}"


def _kind(limit: CompiledLimit) -> str:
    if limit.rate is not None:
        return "r"
    if limit.quota is not None:
        return "q" if limit.quota.period is None else "p"
    return "n"


def _length(limit: CompiledLimit) -> int:
    if limit.rate is not None:
        return round(limit.rate.window * MICROSECONDS)
    return round(limit.quota.length * MICROSECONDS) if limit.quota is not None else 0


def _starts(quota: Quota | None, now: float) -> tuple[float, float, float, float]:
    """Return the starts of the period before, of this one and of the two after it.

    The store chooses by its own clock, which may be in the next period or still in the one before.
    """
    if quota is None or quota.period is None:
        return 0.0, 0.0, 0.0, 0.0
    this = window_of(quota, now)
    before = window_of(quota, this.start - 1)
    following = window_of(quota, this.end)
    return before.start, this.start, this.end, following.end
