"""Rates: the Generic Cell Rate Algorithm as pure arithmetic.

It is the algorithm's form of a continuous-state leaky bucket (ITU-T I.371, annex A): a key has a level of used units,
which falls by ``amount`` a window and must not exceed ``burst``. The form with a theoretical arrival time decides the
same, but its state is a time: small differences of large numbers, which are wrong for a million units a second, and
meaningless after a change of the limit.

In any time span of one window at most ``burst + amount`` units are admitted. Times are epoch seconds.
"""

import math
from typing import Final, NamedTuple

#: Added to a waiting time, so that rounding never makes a caller come too early. Epoch seconds resolve 0.24 µs.
_ROUNDING: Final = 1e-6


class Rate(NamedTuple):
    """``amount`` units in ``window`` seconds, and at most ``burst`` at once."""

    amount: int
    window: float
    burst: int

    @property
    def per_second(self) -> float:
        """The units by which a level falls in a second."""
        return self.amount / self.window


class RateLevel(NamedTuple):
    """The state of one key: the units that counted as used at a time."""

    used: float = 0.0
    at: float = 0.0


class RateDecision(NamedTuple):
    """Whether units were taken, and the level of the key from now on.

    ``remaining`` are the units that can be taken at once now. ``retry_after`` are the seconds until the refused units
    can be taken: zero if they were, infinite if they are more than a whole burst. ``reset_at`` is the time at which
    nothing counts as used any more.
    """

    allowed: bool
    level: RateLevel
    remaining: int
    retry_after: float
    reset_at: float


def level_at(rate: Rate, level: RateLevel, now: float) -> RateLevel:
    """Return the level of a key at a time.

    Where the clock went back, nothing is given back for the time that passes again. Only after it went back by more
    than a window the level falls from then on, so that one wrong reading does not stop a caller for hours.
    """
    elapsed = now - level.at
    if elapsed >= 0:
        return RateLevel(max(0.0, level.used - elapsed * rate.per_second), now)
    return level if -elapsed <= rate.window else RateLevel(level.used, now)


def take(rate: Rate, level: RateLevel, units: int, now: float) -> RateDecision:
    """Take units, all or none of them; no units at all can always be taken."""
    current = level_at(rate, level, now)
    free = rate.burst - current.used
    if units <= free or units <= 0:
        taken = RateLevel(current.used + max(units, 0), current.at)
        return RateDecision(True, taken, _whole(free - units), 0.0, _empty_at(rate, taken))
    wait = (units - free) / rate.per_second + _ROUNDING if units <= rate.burst else math.inf
    return RateDecision(False, current, _whole(free), wait + current.at - now, _empty_at(rate, current))


def add(rate: Rate, level: RateLevel, units: int, now: float) -> RateLevel:
    """Count units that were used without asking: what a result turned out to cost.

    The level may pass the burst, but by no more than what falls in one window. A server that reports a huge number
    cannot stop its callers for longer.
    """
    current = level_at(rate, level, now)
    return RateLevel(min(current.used + units, max(current.used, float(rate.burst + rate.amount))), current.at)


def give_back(rate: Rate, level: RateLevel, units: int, *, taken_at: float, now: float) -> RateLevel:
    """Return units that were taken for nothing, except for those that count as used no more."""
    current = level_at(rate, level, now)
    left = max(0.0, units - max(0.0, now - taken_at) * rate.per_second)
    return RateLevel(max(0.0, current.used - left), current.at)


def _whole(free: float) -> int:
    return max(0, math.floor(free))


def _empty_at(rate: Rate, level: RateLevel) -> float:
    return level.at + level.used / rate.per_second
