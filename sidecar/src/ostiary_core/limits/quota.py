"""Quotas: units counted in windows, as pure arithmetic.

The window of a quota begins with the first request of its key and has a fixed length, or it is a period of the
calendar in a time zone. In one window exactly ``amount`` units are admitted. Times are epoch seconds.
"""

import enum
import math
from datetime import datetime, timedelta, tzinfo
from typing import Final, NamedTuple

_HOUR: Final = 3600.0


class Period(enum.StrEnum):
    """A period of the calendar. A week begins on Monday (ISO 8601)."""

    HOUR = "Hour"
    DAY = "Day"
    WEEK = "Week"
    MONTH = "Month"


class Quota(NamedTuple):
    """``amount`` units in each window: of ``length`` seconds, or each ``period`` in ``zone``."""

    amount: int
    length: float = 0.0
    period: Period | None = None
    zone: tzinfo | None = None


class QuotaWindow(NamedTuple):
    """One window, from ``start`` to before ``end``."""

    start: float
    end: float


class QuotaCount(NamedTuple):
    """The state of one key: the units used in its window."""

    used: int
    window: QuotaWindow


class QuotaDecision(NamedTuple):
    """Whether units were taken, and the count of the key from now on.

    ``retry_after`` are the seconds until the refused units can be taken: zero if they were, infinite if they are more
    than the whole quota. ``reset_at`` is the end of the window.
    """

    allowed: bool
    counted: QuotaCount
    remaining: int
    retry_after: float
    reset_at: float


def window_of(quota: Quota, now: float, started: float | None = None) -> QuotaWindow:
    """Return the window that a time is in.

    ``started`` is the start of the key's last window, None without one. A window without a period goes on where the
    clock went back, unless it went back by more than its length.
    """
    if quota.period is not None and quota.zone is not None:
        return _calendar_window(quota.period, quota.zone, now)
    if started is None or not started - quota.length <= now < started + quota.length:
        started = now
    return QuotaWindow(started, started + quota.length)


def count_at(quota: Quota, count: QuotaCount | None, now: float) -> QuotaCount:
    """Return the count of a key at a time; None is a key without one.

    Where the clock went back into the period before, the later period stays, so that nothing is admitted twice. It
    does so for as long as a period at most.
    """
    window = window_of(quota, now, count.window.start if count is not None else None)
    if count is None:
        return QuotaCount(0, window)
    if window.start <= count.window.start < window.end:
        return QuotaCount(count.used, window)  # the same window, or a part of what a changed limit counts in
    went_back = window.start < count.window.start <= window.end
    return count if went_back else QuotaCount(0, window)


def take(quota: Quota, count: QuotaCount | None, units: int, now: float) -> QuotaDecision:
    """Take units, all or none of them; no units at all can always be taken."""
    current = count_at(quota, count, now)
    free = quota.amount - current.used
    end = current.window.end
    if units <= free or units <= 0:
        taken = QuotaCount(current.used + max(units, 0), current.window)
        return QuotaDecision(True, taken, max(0, free - units), 0.0, end)
    wait = end - now if units <= quota.amount else math.inf
    return QuotaDecision(False, current, max(0, free), wait, end)


def add(quota: Quota, count: QuotaCount | None, units: int, now: float) -> QuotaCount:
    """Count units that were used without asking: what a result turned out to cost.

    The count may pass the amount; the window's end resets it like any other.
    """
    current = count_at(quota, count, now)
    return QuotaCount(current.used + units, current.window)


def give_back(count: QuotaCount, units: int, *, taken_at: float) -> QuotaCount:
    """Return units that were taken for nothing, unless they were taken in an earlier window."""
    if taken_at < count.window.start:
        return count
    return QuotaCount(max(0, count.used - units), count.window)


def _calendar_window(period: Period, zone: tzinfo, now: float) -> QuotaWindow:
    now = math.floor(now)  # datetime rounds to microseconds, perhaps into the next window
    if period is Period.HOUR:
        return _hour(zone, now)
    today = datetime.fromtimestamp(now, zone).replace(hour=0, minute=0, second=0, microsecond=0, fold=0, tzinfo=None)
    if period is Period.DAY:
        first, following = today, today + timedelta(days=1)
    elif period is Period.WEEK:
        first = today - timedelta(days=today.weekday())
        following = first + timedelta(days=7)
    else:
        first = today.replace(day=1)
        following = (first + timedelta(days=31)).replace(day=1)
    return QuotaWindow(_instant(first, zone), _instant(following, zone))


def _hour(zone: tzinfo, now: float) -> QuotaWindow:
    """Return the hour of the wall clock.

    Of the two hours with one name in autumn, each is a window of its own.
    """
    offset = datetime.fromtimestamp(now, zone).utcoffset() or timedelta()
    start = now - (now + offset.total_seconds()) % _HOUR
    return QuotaWindow(start, start + _HOUR)


def _instant(wall: datetime, zone: tzinfo) -> float:
    """Return when a wall clock shows a time first.

    A time that it skips is the moment of the change.
    """
    return wall.replace(tzinfo=zone).timestamp()
