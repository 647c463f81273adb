"""The counters of one key: what it has used, and its requests in flight.

A counter is changed in one event loop only. Times are epoch seconds.
"""

from math import isfinite

from ostiary_core.limits.charge import Charge
from ostiary_core.limits.compiled_limit import CompiledLimit
from ostiary_core.limits.quota import Quota, QuotaCount, QuotaWindow, count_at, window_of
from ostiary_core.limits.quota import take as quota_take
from ostiary_core.limits.rate import Rate, RateLevel, level_at
from ostiary_core.limits.rate import add as rate_add
from ostiary_core.limits.rate import give_back as rate_give_back
from ostiary_core.limits.rate import take as rate_take
from ostiary_gateway.policy_limits.store import Exhaustion, KeyUsage, Unit


class KeyCounter:
    """A key of a limit that counts requests in flight alone; the other counters add to it."""

    __slots__ = ("in_flight", "limit", "slots")

    def __init__(self, limit: CompiledLimit) -> None:
        self.in_flight = 0
        self.limit = limit
        #: How many requests of this key may be in flight; None for any number.
        self.slots = limit.concurrency

    def adopt(self, limit: CompiledLimit) -> None:
        """Count for a changed limit of the same kind from now on: what was used stays used."""
        self.limit = limit
        self.slots = limit.concurrency

    def take(self, units: int, now: float) -> bool:  # noqa: ARG002  other counters use them
        """Take the units and a slot; return False where there are too few, and then take nothing."""
        return self.slots is None or self._take_slot(self.slots)

    def _take_slot(self, slots: int) -> bool:
        if self.in_flight >= slots:
            return False
        self.in_flight += 1
        return True

    def release(self) -> bool:
        """Give back a slot; return False where none is taken."""
        if self.in_flight:
            self.in_flight -= 1
            return True
        return self.slots is None

    def give_back(self, units: int, taken_at: float, now: float) -> None:
        """Give back units, as far as they still count."""

    def add(self, units: int, now: float) -> None:
        """Take units whether or not they are there."""

    def is_idle(self, now: float) -> bool:  # noqa: ARG002  other counters use it
        """Return whether a new counter in its place would decide the same."""
        return not self.in_flight

    def exhaustion(self, charge: Charge, now: float) -> Exhaustion | None:  # noqa: ARG002  other counters use them
        """Return that there are too few units for a charge; None where there are enough."""
        return None

    def busy(self, charge: Charge) -> Exhaustion:
        """Return that every slot is taken."""
        return Exhaustion(charge, Unit.CONCURRENCY, self.slots or 0, 0, None, None)

    def usage(self, key: str, now: float) -> KeyUsage:  # noqa: ARG002  other counters use it
        """Return what the key has used."""
        return KeyUsage(self.limit, key, 0, None, None, self.in_flight)


class RateCounter(KeyCounter):
    """A key of a rate: a level of used units that falls steadily.

    See :mod:`ostiary_core.limits.rate`.
    """

    __slots__ = ("at", "burst", "per_second", "rate", "used")

    def __init__(self, limit: CompiledLimit, rate: Rate) -> None:
        super().__init__(limit)
        self._use(rate)
        #: The units that counted as used at a time.
        self.used = self.at = 0.0

    def _use(self, rate: Rate) -> None:
        self.rate = rate
        self.burst = float(rate.burst)
        self.per_second = rate.per_second

    def adopt(self, limit: CompiledLimit) -> None:
        """Count for a changed limit from now on: the used units stay used."""
        super().adopt(limit)
        if limit.rate is not None:
            self._use(limit.rate)

    @property
    def _level(self) -> RateLevel:
        return RateLevel(self.used, self.at)

    def _set(self, level: RateLevel) -> None:
        self.used, self.at = level

    def take(self, units: int, now: float) -> bool:
        """Take the units and a slot, as :func:`.rate.take` does.

        It is written out, since every call comes here.
        """
        elapsed = now - self.at
        if elapsed < 0:
            return self._take_in_the_past(units, now)
        used = self.used - elapsed * self.per_second
        used = units + used if used > 0.0 else float(units)
        if (used > self.burst and units) or (self.slots is not None and not self._take_slot(self.slots)):
            return False
        self.used = used
        self.at = now
        return True

    def _take_in_the_past(self, units: int, now: float) -> bool:
        """Take units where the clock went back."""
        decision = rate_take(self.rate, self._level, units, now)
        if not decision.allowed or (self.slots is not None and not self._take_slot(self.slots)):
            return False
        self._set(decision.level)
        return True

    def give_back(self, units: int, taken_at: float, now: float) -> None:
        """Give back units, except for those that count as used no more."""
        self._set(rate_give_back(self.rate, self._level, units, taken_at=taken_at, now=now))

    def add(self, units: int, now: float) -> None:
        """Take units whether or not they are there."""
        self._set(rate_add(self.rate, self._level, units, now))

    def is_idle(self, now: float) -> bool:
        """Return whether the whole burst is there."""
        return not self.in_flight and level_at(self.rate, self._level, now).used <= 0.0

    def exhaustion(self, charge: Charge, now: float) -> Exhaustion | None:
        """Return that there are too few units for a charge; None where there are enough."""
        decision = rate_take(self.rate, self._level, charge.units, now)
        if decision.allowed:
            return None
        retry_at = now + decision.retry_after if isfinite(decision.retry_after) else None
        unit = unit_of(self.limit)
        return Exhaustion(charge, unit, self.rate.amount, decision.remaining, retry_at, decision.reset_at)

    def usage(self, key: str, now: float) -> KeyUsage:
        """Return what the key has used of its burst."""
        decision = rate_take(self.rate, self._level, 0, now)
        used = max(0, self.rate.burst - decision.remaining)
        return KeyUsage(self.limit, key, used, decision.remaining, decision.reset_at, self.in_flight)


class QuotaCounter(KeyCounter):
    """A key of a quota, counted in windows (:mod:`ostiary_core.limits.quota`)."""

    __slots__ = ("amount", "end", "quota", "start", "used")

    def __init__(self, limit: CompiledLimit, quota: Quota) -> None:
        super().__init__(limit)
        self.quota = quota
        self.amount = quota.amount
        self.used = 0
        #: The window that is counted, in epoch seconds: none before the first request.
        self.start = self.end = 0.0

    def adopt(self, limit: CompiledLimit) -> None:
        """Count for a changed limit from now on.

        Its window is the one that the present one began in.
        """
        super().adopt(limit)
        if limit.quota is not None:
            self.quota = limit.quota
            self.amount = limit.quota.amount
            if self.end:
                self.start, self.end = window_of(limit.quota, self.start, self.start)

    @property
    def _count(self) -> QuotaCount | None:
        return QuotaCount(self.used, QuotaWindow(self.start, self.end)) if self.end else None

    def _move_to(self, now: float) -> None:
        self.used, (self.start, self.end) = count_at(self.quota, self._count, now)

    def take(self, units: int, now: float) -> bool:
        """Take the units and a slot, as :func:`.quota.take` does.

        Return False where there are too few.
        """
        if not self.start <= now < self.end:
            self._move_to(now)
        used = self.used + units
        if (used > self.amount and units) or (self.slots is not None and not self._take_slot(self.slots)):
            return False
        self.used = used
        return True

    def give_back(self, units: int, taken_at: float, now: float) -> None:  # noqa: ARG002  rates use it
        """Give back units, unless their window has ended."""
        if taken_at >= self.start:
            self.used = max(0, self.used - units)

    def add(self, units: int, now: float) -> None:
        """Take units whether or not they are there."""
        self._move_to(now)
        self.used += units

    def is_idle(self, now: float) -> bool:
        """Return whether nothing is used of the window, or it is over."""
        return (now >= self.end or not self.used) and not self.in_flight

    def exhaustion(self, charge: Charge, now: float) -> Exhaustion | None:
        """Return that there are too few units for a charge; None where there are enough."""
        decision = quota_take(self.quota, self._count, charge.units, now)
        if decision.allowed:
            return None
        retry_at = decision.reset_at if isfinite(decision.retry_after) else None
        unit = unit_of(self.limit)
        return Exhaustion(charge, unit, self.amount, decision.remaining, retry_at, decision.reset_at)

    def usage(self, key: str, now: float) -> KeyUsage:
        """Return what the key has used of its window."""
        count = count_at(self.quota, self._count, now)
        remaining = max(0, self.amount - count.used)
        return KeyUsage(self.limit, key, count.used, remaining, count.window.end, self.in_flight)


def unit_of(limit: CompiledLimit) -> Unit:
    """Return what the units of a limit are."""
    return Unit.COST if limit.counts_cost else Unit.REQUESTS


def new_counter(limit: CompiledLimit) -> KeyCounter:
    """Return an empty counter for a key of a limit."""
    if limit.rate is not None:
        return RateCounter(limit, limit.rate)
    return QuotaCounter(limit, limit.quota) if limit.quota is not None else KeyCounter(limit)


def is_counted_by(counter: KeyCounter, limit: CompiledLimit) -> bool:
    """Return whether a counter can go on for a changed limit: it is of the same kind."""
    return (isinstance(counter, RateCounter), isinstance(counter, QuotaCounter)) == (
        limit.rate is not None,
        limit.quota is not None,
    )
