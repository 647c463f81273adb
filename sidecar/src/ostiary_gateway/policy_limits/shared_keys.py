"""What one replica knows of a key in the store, and the units that it took in advance.

A lease is units that the store counts as used already, so no replica can use them too: there is never an overshoot.
The cost is that other replicas see them as used for as long as they are held. They go back after a second without use,
and after one and a half in any case.

Units of a rate that are used later than they were taken could make more than the limit permits in one window. So they
are used within ``lease_age`` seconds, and the store grants them only where as much of the burst is in use as falls in
that time.
"""

from collections.abc import Container, Iterator
from heapq import nsmallest
from typing import TYPE_CHECKING, Final

from ostiary_core.limits.charge import Charge, limit_of
from ostiary_core.limits.compiled_limit import CompiledLimit
from ostiary_gateway.policy_limits.store import Exhaustion, KeyUsage, Taken, Unit

if TYPE_CHECKING:
    import asyncio

#: The most units of a lease.
MOST_LEASED: Final = 1000
#: Calls within a second from which on a key is in frequent use, so that a lease pays.
_FREQUENT: Final = 3
#: Seconds without use, and seconds in all, after which a lease goes back.
_IDLE: Final = 1.0
_LONGEST_LEASE: Final = 1.5
#: The part of a rate's window for which a lease is valid, within the seconds above.
_PART_OF_WINDOW: Final = 8
#: Seconds without use after which nothing is remembered of a key.
_FORGOTTEN: Final = 60.0
#: The most keys that are remembered, and how many are looked at with each new one.
_MOST_KEYS: Final = 100_000
_SWEPT_EACH: Final = 4
_SWEPT_WHEN_FULL: Final = 64


class SharedKey:
    """One key, as one replica knows it.

    Times are epoch seconds of this replica's clock, but ``leased_at`` is the store's, in microseconds.
    """

    __slots__ = (
        "calls", "calls_before", "flight", "in_flight", "key", "lease_end", "lease_start", "leased", "leased_at",
        "limit", "refused_until", "remaining", "reset_at", "retry_at", "second", "seen", "sequence", "taken_at", "used",
        "waiting", "window_since",
    )  # fmt: skip

    def __init__(self, limit: CompiledLimit, key: str) -> None:
        self.limit = limit
        self.key = key
        #: Requests of this replica in flight, and the number of the last message about them.
        self.in_flight = 0
        self.sequence = 0
        #: The store's time, in microseconds, at which it last counted a call.
        self.taken_at = 0
        #: Calls that wait for the message that is on its way.
        self.waiting = 0
        self.flight: asyncio.Task[Taken] | None = None
        self.leased = 0
        self.leased_at = 0
        self.lease_start = self.lease_end = 0.0
        #: What the store said last.
        self.used = 0
        self.remaining: int | None = None
        self.retry_at: float | None = 0.0
        self.reset_at: float | None = None
        #: When this replica first took of the window that it knows.
        self.window_since = 0.0
        self.refused_until = 0.0
        self.calls = self.calls_before = 0
        self.second = 0.0
        self.seen = 0.0

    @property
    def lease_age(self) -> float:
        """Seconds for which a lease may be used."""
        rate = self.limit.rate
        return _LONGEST_LEASE if rate is None else min(_IDLE, rate.window / _PART_OF_WINDOW)

    def note_call(self, now: float) -> None:
        """Count a call, for the size of the next lease."""
        self.seen = now
        if not 0 <= now - self.second < 1.0:
            self.calls_before = self.calls if 0 <= now - self.second < 2.0 else 0
            self.calls, self.second = 0, now
        self.calls += 1

    def note_answer(self, *, remaining: int, used: int, reset_at: float, called_at: float) -> None:
        """Remember what the store said after a call."""
        self.remaining, self.used = remaining, used
        if self.reset_at != reset_at:
            self.reset_at, self.window_since = reset_at, called_at
        self.window_since = min(self.window_since, called_at)

    def grant(self, units: int, *, now: float, ends: float, taken_at: int) -> None:
        """Hold units that the store counts as used.

        ``ends`` is the end of their window by this replica's clock.
        """
        end = min(now + self.lease_age, ends)
        if self.leased:
            self.lease_end = min(self.lease_end, end)
        else:
            self.lease_start, self.lease_end, self.leased_at = now, end, taken_at
        self.leased += units

    def wanted(self) -> int:
        """Return the units to take in advance: as many as a second needs, none in rare use."""
        recent = max(self.calls, self.calls_before)
        return min(recent, MOST_LEASED) if recent >= _FREQUENT else 0

    def available(self, now: float) -> int:
        """Return the units of the lease that can be used now."""
        return self.leased if self.lease_start <= now < self.lease_end else 0

    def must_return(self, now: float) -> bool:
        """Return whether the lease has to go back."""
        return self.leased > 0 and (now - self.seen >= _IDLE or not self.lease_start <= now < self.lease_end)

    def is_refused(self, units: int, now: float) -> bool:
        """Return whether the store refused so many units a moment ago."""
        return now < self.refused_until and units > self.available(now) + (self.remaining or 0)

    def lacks(self, units: int, now: float) -> bool:
        """Return whether so many units are not there now, as far as this replica knows."""
        if self.remaining is None or units <= self.available(now) + self.remaining:
            return False
        until = self.reset_at if self.limit.quota is not None else self.retry_at
        return until is None or now < until

    def exhaustion(self, charge: Charge) -> Exhaustion:
        """Return that the units of a charge are not there, as the store said last."""
        unit = Unit.COST if self.limit.counts_cost else Unit.REQUESTS
        remaining = (self.remaining or 0) + self.leased
        fits = charge.units <= (self.limit.largest_take or 0)
        retry_at = self.reset_at if self.limit.quota is not None else self.retry_at
        return Exhaustion(charge, unit, self.limit.amount or 0, remaining, retry_at if fits else None, self.reset_at)

    def usage(self) -> KeyUsage:
        """Return what the store said last; units of the lease are not used yet."""
        remaining = None if self.remaining is None else self.remaining + self.leased
        used = max(0, self.used - self.leased)
        return KeyUsage(self.limit, self.key, used, remaining, self.reset_at, self.in_flight)

    def is_idle(self, now: float) -> bool:
        """Return whether nothing is lost if this key is forgotten."""
        return not (self.leased or self.in_flight or self.flight) and now - self.seen > _FORGOTTEN

    @property
    def is_free(self) -> bool:
        """Whether it can be forgotten where there is no room: the store knows it better."""
        return not (self.leased or self.in_flight or self.flight)


class SharedKeys:
    """The keys that a replica has used lately; their number is bounded."""

    def __init__(self, *, most_keys: int = _MOST_KEYS) -> None:
        self._most_keys = most_keys
        self._keys: dict[str, SharedKey] = {}
        self._swept: Iterator[str] = iter(())

    def __len__(self) -> int:
        return len(self._keys)

    def find(self, key: str) -> SharedKey | None:
        """Return a key that is known."""
        return self._keys.get(key)

    def every(self) -> list[SharedKey]:
        """Return all keys."""
        return list(self._keys.values())

    def chosen(self, limits: Container[str], *, after: str, most: int) -> list[SharedKey]:
        """Return the first keys after a text that begin like one of ``limits``, sorted."""
        found = (known for key, known in self._keys.items() if key > after and limit_of(key) in limits)
        return nsmallest(most, found, key=lambda known: known.key)

    def take(self, charge: Charge, now: float) -> SharedKey:
        """Return the key of a charge, a new one where it is not known."""
        limit, key, _ = charge
        found = self._keys.get(key)
        if found is None:
            self._make_room(now)
            found = self._keys[key] = SharedKey(limit, key)
        elif found.limit is not limit:
            if (found.limit.rate is None, found.limit.quota is None) != (limit.rate is None, limit.quota is None):
                found.leased = 0  # it is counted under another name from now on
            found.limit = limit
            found.refused_until = 0.0
        return found

    def next_count(self, key: str) -> tuple[int, int]:
        """Return how many requests of a key are in flight, and the number of the message."""
        found = self._keys.get(key)
        if found is None:
            return 0, 1 << 52  # newer than every other: nothing is in flight any more
        found.sequence += 1
        return found.in_flight, found.sequence

    def _make_room(self, now: float) -> None:
        is_full = len(self._keys) >= self._most_keys
        for _ in range(_SWEPT_WHEN_FULL if is_full else _SWEPT_EACH):
            key = next(self._swept, None)
            if key is None:
                self._swept = iter(list(self._keys))
                return
            known = self._keys.get(key)
            if known is not None and (known.is_idle(now) or (is_full and known.is_free)):
                del self._keys[key]
