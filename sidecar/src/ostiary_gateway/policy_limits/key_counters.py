"""The counters of keys of rates and of quotas."""

from math import isfinite
from typing import ClassVar

from ostiary_core.limits.charge import Charge
from ostiary_core.limits.compiled_limit import CompiledLimit
from ostiary_core.limits.quota import Quota, QuotaCount, QuotaWindow, count_at, window_of
from ostiary_core.limits.quota import take as quota_take
from ostiary_core.limits.rate import Rate, RateLevel, level_at
from ostiary_core.limits.rate import add as rate_add
from ostiary_core.limits.rate import give_back as rate_give_back
from ostiary_core.limits.rate import take as rate_take
from ostiary_gateway.policy_limits.key_counter import KeyCounter, StoredState
from ostiary_gateway.policy_limits.store import Exhaustion, KeyUsage, Unit


class RateCounter(KeyCounter):
    """A key of a rate: a level of used units that falls steadily.

    See :mod:`ostiary_core.limits.rate`.
    """

    kind: ClassVar = 2
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

    @property
    def state(self) -> tuple[float, float, float]:
        """Its level, and when that was."""
        return self.used, self.at, 0.0

    def restore(self, used: float, start: float, end: float) -> None:  # noqa: ARG002  quotas use it
        """Go on from a level."""
        self.used = used
        self.at = start

    @property
    def counts_until(self) -> float:
        """When the whole burst is there."""
        return self.at + self.used / self.per_second

    def taken_of(self, used: float, start: float, end: float, units: int, now: float) -> StoredState | None:
        """Take units of a level that lies elsewhere (:meth:`.KeyCounter.taken_of`).

        It is written out, as :meth:`take` is.
        """
        elapsed = now - start
        if elapsed < 0:
            return super().taken_of(used, start, end, units, now)
        used -= elapsed * self.per_second
        used = units + used if used > 0.0 else float(units)
        if used > self.burst and units:
            return None
        return used, now, 0.0, now + used / self.per_second

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

    kind: ClassVar = 3
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
            self._use_window(self.start, self.end)

    def _use_window(self, start: float, end: float) -> None:
        self.start, self.end = window_of(self.quota, start, start) if end else (start, end)

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

    @property
    def state(self) -> tuple[float, float, float]:
        """What is used, and of which window."""
        return self.used, self.start, self.end

    def restore(self, used: float, start: float, end: float) -> None:
        """Go on in a window; one of another length is made the own one that begins then."""
        self.used = int(used)
        if start != self.start or end != self.end:
            self._use_window(start, end)

    @property
    def counts_until(self) -> float:
        """The end of the window, if anything is used of it."""
        return self.end if self.used else 0.0

    def taken_of(self, used: float, start: float, end: float, units: int, now: float) -> StoredState | None:
        """Take units of a window that lies elsewhere (:meth:`.KeyCounter.taken_of`).

        Usually it is the known one.
        """
        if start != self.start or end != self.end or not start <= now < end:
            return super().taken_of(used, start, end, units, now)
        used += units
        if used > self.amount and units:
            return None
        return used, start, end, end if used else 0.0

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
