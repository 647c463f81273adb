"""Counters that all workers of one pod share: a :class:`~.store.CounterStore`.

They are exact over all of them. Each operation takes the lock of the table, reads the counters that it needs, decides
as :class:`~.local_counters` do, and writes them back: some microseconds. Requests in flight lie in the column of the
worker that has them, so they end with it. A worker that is killed in the middle of an operation leaves at most the
charges of one call uncounted.
"""

import logging
from collections.abc import Mapping, Sequence
from itertools import chain
from types import TracebackType
from typing import Final

from ostiary_core.limits.charge import Charge
from ostiary_core.limits.compiled_limit import CompiledLimit
from ostiary_gateway.pod_state.cell_table import CellTable
from ostiary_gateway.policy_limits.counter_cell import (
    CounterCell,
    add_in_flight,
    in_flight,
    name_of,
    owner_of,
    read_cell,
    restore,
    stored_counters,
    write_cell,
    write_name,
    write_state,
)
from ostiary_gateway.policy_limits.key_counter import KeyCounter
from ostiary_gateway.policy_limits.key_counters import new_counter
from ostiary_gateway.policy_limits.local_counters import MOST_KEYS, LocalCounters, overflow_key, used_of
from ostiary_gateway.policy_limits.store import KeyUsage, Taken
from ostiary_gateway.telemetry.throttled_warning import WarningLimiter
from ostiary_gateway.threads import in_background

_log: Final = logging.getLogger(__name__)
_OVERDUE: Final = (
    "another worker is stopped while it counts limits: this one counts without waiting for it, so a call may be "
    "counted twice or not at all until that worker goes on or ends"
)
#: How many keys, and how many slots, are looked at with each new key, to find some that hold nothing.
_SWEPT: Final = 4
_SWEPT_WHEN_FULL: Final = 32


class PodCounters(LocalCounters):
    """The counters of a pod, as its worker ``worker`` uses them.

    ``table`` has cells of :data:`.LIMIT_LAYOUT`. ``overflows`` counts charges of this worker to shared counters.
    """

    def __init__(self, table: CellTable, *, worker: int, most_keys: int = MOST_KEYS) -> None:
        super().__init__(most_keys=most_keys)
        self._table = table
        self._worker = worker
        warner = WarningLimiter(_log)
        table.lock.on_overdue = lambda: warner.warn(_OVERDUE)
        self._cells: dict[str, CounterCell] = {}
        self._read: list[CounterCell] = []
        self._depth = 0

    @property
    def keys(self) -> int:
        """How many keys of all workers have a counter."""
        return self._table.keys

    @property
    def overdue(self) -> int:
        """How many operations did not wait longer for a worker that was stopped in its own."""
        return self._table.lock.overdue

    # Each operation as one turn

    def __enter__(self) -> None:
        """Begin an operation: no other worker changes anything meanwhile."""
        if not self._depth:
            self._table.lock.__enter__()
        self._depth += 1

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """End it: others see what it changed."""
        self._depth -= 1
        if not self._depth:
            self._write_back()
            self._table.lock.__exit__(kind, error, traceback)

    def _write_back(self) -> None:
        for cell in self._read:
            self._write(cell)
        self._read.clear()

    def take(self, charges: Sequence[Charge], now: float) -> Taken:
        """Take the units and the slots of all charges, or of none (:meth:`.CounterStore.take`)."""
        lock = self._table.lock
        result = lock.take()
        is_owner = result == 0 or lock.take_later(result)
        try:
            return () if self._takes_all(charges, now) else self._takes_any(charges, now)
        finally:
            if is_owner:
                lock.release()

    def _takes_any(self, charges: Sequence[Charge], now: float) -> Taken:
        """Take the units of charges of any kind, in the turn that has begun."""
        self._depth += 1
        try:
            return super().take(charges, now)
        finally:
            self._depth -= 1
            self._write_back()

    def _takes_all(self, charges: Sequence[Charge], now: float) -> bool:
        """Take the units of charges whose cells are known; else take nothing.

        Nearly every call comes here. It does what the longer way does, without what that needs for limits that changed
        or refuse.
        """
        memory, cells = self._table.memory, self._cells
        written: list[tuple[int, tuple[float, float, float, float, int]]] = []
        for limit, key, units in charges:
            cell = cells.get(key)
            if cell is None or cell.in_flight:
                break
            counter, at = cell.counter, cell.at
            before = used, start, end, _, owner = read_cell(memory, at)
            if owner != cell.owner or counter.limit is not limit or counter.slots is not None:
                break
            after = counter.taken_of(used, start, end, units, now)
            if after is None:
                break
            write_state(memory, at, *after)
            written.append((at, before))
        else:
            return True
        for place, before in reversed(written):
            write_cell(memory, place, *before)
        return False

    def peek(self, charges: Sequence[Charge], now: float) -> Taken:
        """Return which units are exhausted; take nothing."""
        with self:
            return super().peek(charges, now)

    def add(self, charges: Sequence[Charge], now: float) -> None:
        """Take units whether or not they are there."""
        with self:
            super().add(charges, now)

    def give_back(self, charges: Sequence[Charge], taken_at: float, now: float) -> None:
        """Give back the units of charges."""
        with self:
            super().give_back(charges, taken_at, now)

    def release(self, charges: Sequence[Charge]) -> None:
        """Give back the concurrency slots of charges."""
        with self:
            super().release(charges)

    async def usage(
        self, now: float, *, limits: Mapping[str, CompiledLimit], after: str, most: int
    ) -> Sequence[KeyUsage]:
        """Return what all workers have used, those that have ended too.

        Where there are more keys than their names have room for, those with the oldest names are told by the workers
        that counted them.
        """
        known = {cell.slot: cell.key for cell in self._cells.values()}
        own = list(self._shared.items())
        stored = stored_counters(self._table, known=known, limits=limits, after=after)
        # A generator: it runs in the thread, and does not take the lock, which is the loop's.
        return await in_background(used_of, chain(own, stored), now, limits=limits, after=after, most=most)

    # Where counters are kept

    @property
    def _is_full(self) -> bool:
        return self._table.keys >= self._most_keys

    def _held(self, limit: CompiledLimit, key: str) -> KeyCounter | None:
        cell = self._cells.get(key)
        if cell is None or not self._table.holds(cell.slot, cell.digest):
            cell = self._found(limit, key)
            if cell is None:
                return None
        if not cell.is_read:
            self._begin(cell)
        return cell.counter

    def _found(self, limit: CompiledLimit, key: str) -> CounterCell | None:
        """Return the cell of a key that is new to this worker; None where it is new to all."""
        digest = self._table.digest(key)
        slot = self._table.find(digest)
        if slot is None:
            return None
        cell = self._remember(CounterCell(key, slot, digest, new_counter(limit), self._table))
        if name_of(self._table, slot) != key:  # it is so old that others have overwritten it
            write_name(self._table, cell)
        return cell

    def _held_overflow(self, limit: CompiledLimit) -> KeyCounter | None:
        return self._shared.get(key := overflow_key(limit)) or self._held(limit, key)

    def _renewed(self, limit: CompiledLimit, key: str, counter: KeyCounter) -> KeyCounter:
        cell = self._cells[key]
        cell.counter = new_counter(limit)
        cell.owner = owner_of(cell.digest, cell.counter)
        restore(self._table, cell.slot, cell.counter)  # another worker may have the changed limit already
        cell.counter.in_flight = counter.in_flight
        return cell.counter

    def _add(self, limit: CompiledLimit, key: str, now: float) -> KeyCounter:
        return self._placed(limit, key, now) or self._local_overflow(limit)

    def _add_overflow(self, limit: CompiledLimit, now: float) -> KeyCounter:
        return self._placed(limit, overflow_key(limit), now) or self._local_overflow(limit)

    def _placed(self, limit: CompiledLimit, key: str, now: float) -> KeyCounter | None:
        digest = self._table.digest(key)
        slot = self._table.place(digest, is_over=lambda each: self._is_over(each, now))
        if slot is None:
            return None
        cell = self._remember(CounterCell(key, slot, digest, new_counter(limit), self._table))
        write_name(self._table, cell)
        cell.is_read = True  # what the slot held before is over
        self._read.append(cell)
        return cell.counter

    def _local_overflow(self, limit: CompiledLimit) -> KeyCounter:
        """Return a counter of this worker alone.

        All near slots are taken, which does not happen by chance.
        """
        self.overflows += 1
        counter = self._shared[overflow_key(limit)] = new_counter(limit)
        return counter

    def _remember(self, cell: CounterCell) -> CounterCell:
        self._cells[cell.key] = cell
        return cell

    def _sweep(self, now: float) -> None:
        """Drop what counts nothing: of the next few keys that are known here, and of slots."""
        count = _SWEPT_WHEN_FULL if self._is_full else _SWEPT
        for _ in range(count):
            key = next(self._swept, None)
            if key is None:
                self._swept = iter(list(self._cells))
                break
            cell = self._cells.get(key)
            if cell is not None and (not self._table.holds(cell.slot, cell.digest) or self._drops(cell.slot, now)):
                del self._cells[key]
        for slot in self._table.swept(count):  # keys of workers that have ended
            self._drops(slot, now)

    def _drops(self, slot: int, now: float) -> bool:
        is_over = self._is_over(slot, now)
        if is_over:
            self._table.remove(slot)
        return is_over

    # The bytes of a cell

    def _is_over(self, slot: int, now: float) -> bool:
        """Return whether what a slot holds counts no more, and no operation is about to write it."""
        until = read_cell(self._table.memory, self._table.cell(slot))[3]
        is_idle = until <= now and not in_flight(self._table, slot)
        return is_idle and all(cell.slot != slot for cell in self._read)

    def _begin(self, cell: CounterCell) -> None:
        """Read a cell of the table into its counter."""
        counter = cell.counter
        restore(self._table, cell.slot, counter)
        if counter.slots is not None or cell.in_flight:
            cell.in_flight = counter.in_flight = in_flight(self._table, cell.slot)
        cell.is_read = True
        self._read.append(cell)

    def _write(self, cell: CounterCell) -> None:
        """Write a counter back to the table."""
        table, counter = self._table, cell.counter
        cell.is_read = False
        write_cell(table.memory, cell.at, *counter.state, counter.counts_until, cell.owner)
        if counter.in_flight != cell.in_flight:
            change = counter.in_flight - cell.in_flight
            add_in_flight(table, cell.slot, worker=self._worker, change=change)
            cell.in_flight = counter.in_flight
