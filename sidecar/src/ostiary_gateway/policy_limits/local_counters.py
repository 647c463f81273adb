"""Counters in the memory of this process: each replica counts by itself.

The number of keys is bounded. Beyond it, counters that hold nothing make room; if there are none, the keys that come
then share one counter of their limit. They get less than they might, never more, and a metric counts them.
"""

from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from heapq import nsmallest
from operator import itemgetter
from typing import Final

from ostiary_core.limits.charge import Charge, limit_of
from ostiary_core.limits.compiled_limit import CompiledLimit
from ostiary_gateway.policy_limits.key_counter import KeyCounter
from ostiary_gateway.policy_limits.key_counters import QuotaCounter, RateCounter, new_counter
from ostiary_gateway.policy_limits.store import Exhaustion, KeyUsage, Taken
from ostiary_gateway.threads import in_background

#: The most keys of one process: about 40 MiB.
MOST_KEYS: Final = 100_000
#: How many counters are looked at with each new key, to find some that hold nothing.
_SWEPT_EACH: Final = 4
_SWEPT_WHEN_FULL: Final = 32
#: What stands in place of the dimensions in the key of a shared counter.
OVERFLOW: Final = "*"


class LocalCounters:
    """A :class:`~.store.CounterStore` in memory.

    ``overflows`` counts charges to shared counters.
    """

    def __init__(self, *, most_keys: int = MOST_KEYS) -> None:
        self.overflows = 0
        self._most_keys = most_keys
        self._counters: dict[str, KeyCounter] = {}
        self._shared: dict[str, KeyCounter] = {}
        self._swept: Iterator[str] = iter(())

    @property
    def keys(self) -> int:
        """How many keys have a counter."""
        return len(self._counters) + len(self._shared)

    @property
    def is_shared(self) -> bool:
        """Never: each process has its own (:attr:`.CounterStore.is_shared`)."""
        return False

    def take(self, charges: Sequence[Charge], now: float) -> Taken:
        """Take the units and the slots of all charges, or of none (:meth:`.CounterStore.take`)."""
        counters = self._counters
        for charge in charges:
            limit, key, units = charge
            counter = counters.get(key)
            if counter is None or counter.limit is not limit:
                counter = self._counter(limit, key, now)
            if not counter.take(units, now):
                return self._refused(charges, charge, now)
        return ()

    def _refused(self, charges: Sequence[Charge], first: Charge, now: float) -> Taken:
        """Undo what was taken before the ``first`` charge that does not fit.

        Return all that do not fit.
        """
        position = next(index for index, charge in enumerate(charges) if charge is first)
        self._undo(charges[:position], now)
        refused = [found for charge in charges if (found := self._exhaustion(charge, now)) is not None]
        if all(found.charge.limit.shadow for found in refused):
            self._take_others(charges, refused, now)
        return tuple(refused)

    def _undo(self, charges: Sequence[Charge], now: float) -> None:
        self.give_back(charges, now, now)
        self.release(charges)

    def _exhaustion(self, charge: Charge, now: float) -> Exhaustion | None:
        counter = self._present(charge, now)
        found = counter.exhaustion(charge, now)
        if found is None and counter.slots is not None and counter.in_flight >= counter.slots:
            return counter.busy(charge)
        return found

    def _take_others(self, charges: Sequence[Charge], refused: Sequence[Exhaustion], now: float) -> None:
        skipped = {id(found.charge) for found in refused}
        for charge in charges:
            if id(charge) not in skipped:
                self._counter(charge.limit, charge.key, now).take(charge.units, now)

    def peek(self, charges: Sequence[Charge], now: float) -> Taken:
        """Return which units are exhausted; take nothing."""
        looked = (self._present(charge, now).exhaustion(charge, now) for charge in charges)
        return tuple(found for found in looked if found is not None)

    def add(self, charges: Sequence[Charge], now: float) -> None:
        """Take units whether or not they are there."""
        for charge in charges:
            self._counter(charge.limit, charge.key, now).add(charge.units, now)

    def give_back(self, charges: Sequence[Charge], taken_at: float, now: float) -> None:
        """Give back the units of charges."""
        for charge in charges:
            counter = self._find(charge)
            if counter is not None:
                counter.give_back(charge.units, taken_at, now)

    def release(self, charges: Sequence[Charge]) -> None:
        """Give back the concurrency slots of charges."""
        for charge in charges:
            if charge.limit.concurrency is None:
                continue
            counter = self._held(charge.limit, charge.key)
            if counter is None or not counter.release():  # it was taken of the shared counter, when there was no room
                shared = self._held_overflow(charge.limit)
                if shared is not None:
                    shared.release()

    async def usage(
        self, now: float, *, limits: Mapping[str, CompiledLimit], after: str, most: int
    ) -> Sequence[KeyUsage]:
        """Return keys that count something (:meth:`.CounterStore.usage`)."""
        every = [*self._counters.items(), *self._shared.items()]
        return await in_background(used_of, every, now, limits=limits, after=after, most=most)  # it takes a while

    def _find(self, charge: Charge) -> KeyCounter | None:
        """Return the counter that a charge was taken of."""
        return self._held(charge.limit, charge.key) or self._held_overflow(charge.limit)

    def _present(self, charge: Charge, now: float) -> KeyCounter:
        """Return the counter that a charge would be taken of; an empty one where it would be new."""
        limit, key, _ = charge
        found = self._kept(limit, key)
        if found is not None:
            return found
        shared = self._overflow(limit)
        is_shared = shared is not None and (self._is_full or not shared.is_idle(now))
        return shared if shared is not None and is_shared else new_counter(limit)

    def _counter(self, limit: CompiledLimit, key: str, now: float) -> KeyCounter:
        """Return the counter of a key.

        It may be a new one, or the one that all further keys of its limit share.
        """
        return self._kept(limit, key) or self._new(limit, key, now)

    def _new(self, limit: CompiledLimit, key: str, now: float) -> KeyCounter:
        self._sweep(now)
        shared = self._overflow(limit)
        # A key that left the shared counter would start again, and get more than its limit allows.
        if not self._is_full and (shared is None or shared.is_idle(now)):
            return self._add(limit, key, now)
        self.overflows += 1
        return shared if shared is not None else self._add_overflow(limit, now)

    # Where counters are kept

    @property
    def _is_full(self) -> bool:
        return len(self._counters) >= self._most_keys

    def _kept(self, limit: CompiledLimit, key: str) -> KeyCounter | None:
        """Return the counter of a key, which counts for this limit from now on; None without one."""
        counter = self._held(limit, key)
        if counter is None or counter.limit is limit:
            return counter
        return counter if _adopts(counter, limit) else self._renewed(limit, key, counter)

    def _overflow(self, limit: CompiledLimit) -> KeyCounter | None:
        """Return the counter that keys of a limit share, and that counts for it; None without one."""
        shared = self._held_overflow(limit)
        return shared if shared is not None and _adopts(shared, limit) else None

    def _held(self, limit: CompiledLimit, key: str) -> KeyCounter | None:  # noqa: ARG002  other places use it
        """Return the counter of a key as it is, perhaps of an earlier version of the limit."""
        return self._counters.get(key)

    def _held_overflow(self, limit: CompiledLimit) -> KeyCounter | None:
        """Return the counter that keys of a limit share as it is."""
        return self._shared.get(overflow_key(limit)) if self._shared else None

    def _renewed(self, limit: CompiledLimit, key: str, counter: KeyCounter) -> KeyCounter:
        """Return a new counter in place of one of another kind; requests in flight stay counted."""
        fresh = self._counters[key] = new_counter(limit)
        fresh.in_flight = counter.in_flight
        return fresh

    def _add(self, limit: CompiledLimit, key: str, now: float) -> KeyCounter:  # noqa: ARG002  other places use it
        """Return a new counter of a key, for which there is room."""
        counter = self._counters[key] = new_counter(limit)
        return counter

    def _add_overflow(self, limit: CompiledLimit, now: float) -> KeyCounter:  # noqa: ARG002  other places use it
        """Return a new counter that keys of a limit share."""
        shared = self._shared[overflow_key(limit)] = new_counter(limit)
        return shared

    def _sweep(self, now: float) -> None:
        """Drop counters that hold nothing, of the next few in turn."""
        for _ in range(_SWEPT_WHEN_FULL if self._is_full else _SWEPT_EACH):
            key = next(self._swept, None)
            if key is None:
                self._swept = iter(list(self._counters))
                self._shared = {key: each for key, each in self._shared.items() if not each.is_idle(now)}
                return
            counter = self._counters.get(key)
            if counter is not None and counter.is_idle(now):
                del self._counters[key]


def used_of(
    counters: Iterable[tuple[str, KeyCounter]], now: float, *, limits: Container[str], after: str, most: int
) -> list[KeyUsage]:
    """Return what is used of counters, while they may change: each figure is of some moment."""
    asked = ((key, each) for key, each in counters if key > after and limit_of(key) in limits)
    found = ((key, each) for key, each in asked if not each.is_idle(now))
    return [counter.usage(key, now) for key, counter in nsmallest(most, found, key=itemgetter(0))]


def _adopts(counter: KeyCounter, limit: CompiledLimit) -> bool:
    """Have a counter count for a limit from now on; return whether it is of its kind."""
    if counter.limit is limit:
        return True
    is_same_kind = (isinstance(counter, RateCounter), isinstance(counter, QuotaCounter)) == (
        limit.rate is not None,
        limit.quota is not None,
    )
    if is_same_kind:
        counter.adopt(limit)
    return is_same_kind


def overflow_key(limit: CompiledLimit) -> str:
    """Return the key of the counter that keys of a limit share."""
    return f"{limit.uid}/{limit.name}/{OVERFLOW}"
