"""What a worker may use of the bounds of its pod, beyond the part that it has in any case.

Each worker may use a small part of every bound without asking, so that nearly all requests ask for nothing. For more it
takes a *grant* out of what is left in the pod, in shared memory, and gives it back when less is in use. What all
workers may use together never passes the bound.
"""

import struct
from collections.abc import Hashable
from typing import Final

from ostiary_gateway.limits.counters import UNLIMITED, Bound, Counters, ScopeLimits
from ostiary_gateway.pod_state.cell_table import CellTable

#: The part of a bound that each worker has without a grant, and that it takes or gives back at a time.
_PART: Final = 64
#: Smaller bounds are granted one by one.
_SMALL: Final = 512
_NUMBER: Final = struct.Struct("=q")
#: The place of each bound in a worker's column.
_FIELDS: Final = {bound: place * _NUMBER.size for place, bound in enumerate(Bound)}


class Grants:
    """The grants of all workers, as one of them sees them.

    ``table`` has columns of :data:`.BOUND_LAYOUT`.
    """

    def __init__(self, table: CellTable, *, worker: int) -> None:
        self.workers: Final = table.workers
        #: Counters that were given a grant since this was last cleared.
        self.extended: list[Counters] = []
        self._table = table
        self._worker = worker

    def place(self, key: str) -> int | None:
        """Return the slot of a key; None where there is no room for it."""
        table = self._table
        digest = table.digest(key)
        with table.lock:
            found = table.find(digest)
            return found if found is not None else table.place(digest, is_over=self._is_over)

    def take(self, slot: int, bound: Bound, *, least: int, wanted: int, most: int) -> int:
        """Take the wanted units, or fewer but the ``least``, and return them.

        It is 0 where all workers together would pass ``most``.
        """
        if wanted < least:
            return 0
        with self._table.lock:
            left = most - sum(self._granted(slot, worker, bound) for worker in range(self.workers))
            taken = min(wanted, left) if left >= least else 0
            if taken:
                self._write(slot, bound, self._granted(slot, self._worker, bound) + taken)
        return taken

    def give_back(self, slot: int, bound: Bound, units: int) -> None:
        """Give units back. It needs no lock: no other worker writes this place."""
        self._write(slot, bound, self._granted(slot, self._worker, bound) - units)

    def _granted(self, slot: int, worker: int, bound: Bound) -> int:
        place = self._table.column(slot, worker) + _FIELDS[bound]
        found: int = _NUMBER.unpack_from(self._table.memory, place)[0]
        return found

    def _write(self, slot: int, bound: Bound, units: int) -> None:
        place = self._table.column(slot, self._worker) + _FIELDS[bound]
        _NUMBER.pack_into(self._table.memory, place, max(0, units))

    def _is_over(self, slot: int) -> bool:
        return not any(self._granted(slot, worker, bound) for worker in range(self.workers) for bound in Bound)


class PodScope(ScopeLimits):
    """What a worker may use of the bounds of a pod without a grant, for each key of a scope.

    ``most_here`` is how many connections this process can carry.
    """

    __slots__ = ("allowances", "grants", "most_here", "whole")

    def __init__(self, scope: str, words: str, *, grants: Grants) -> None:
        super().__init__(scope, words)
        self.grants = grants
        self.most_here = UNLIMITED
        #: The bounds of the whole pod.
        self.whole: dict[Bound, int] = dict.fromkeys(Bound, UNLIMITED)
        #: The keys that have a grant.
        self.allowances: set[KeyAllowance] = set()

    def divide(self) -> None:
        """Take the limits that were set as those of the pod.

        Each key has the part that needs no grant.
        """
        numbers = (self.connections, self.requests, self.streams, self.bytes)
        self.whole = dict(zip(Bound, numbers, strict=True))
        self.connections, self.requests, self.streams, self.bytes = map(self.part, Bound)
        self.large = self.bytes - self.bytes // 4
        for each in self.allowances:
            each.refresh()

    def part(self, bound: Bound) -> int:
        """Return what each worker may use without a grant; nothing of a small bound."""
        whole = self.whole[bound]
        if whole == UNLIMITED:
            return whole
        return whole // max(_PART, 2 * self.grants.workers) if whole >= _SMALL else 0

    def extends(self, counters: Counters, bound: Bound, units: int, *, is_large: bool = False) -> bool:
        """Give a key a grant, so that it may use more units; return whether it may."""
        allowance = KeyAllowance(self, counters.key)
        if not allowance.extends(counters, bound, units, is_large=is_large):
            return False
        self.allowances.add(allowance)
        counters.limits = allowance
        return True


class KeyAllowance(ScopeLimits):
    """What this worker may use for one key, which has a grant."""

    __slots__ = ("_for_small", "_granted", "_slot", "of")

    def __init__(self, scope: PodScope, key: Hashable) -> None:
        super().__init__(scope.scope, scope.words)
        self.of = scope
        self.refused = scope.refused
        self._slot = scope.grants.place(f"{scope.scope}\n{key!r}")
        self._granted = dict.fromkeys(Bound, 0)
        #: The bytes of it that large messages must leave.
        self._for_small = 0
        self.refresh()

    def refresh(self) -> None:
        """Take new limits of the scope; a grant stays until less is in use."""
        scope, granted = self.of, self._granted
        self.connections = scope.connections + granted[Bound.CONNECTIONS]
        self.requests = scope.requests + granted[Bound.REQUESTS]
        self.streams = scope.streams + granted[Bound.STREAMS]
        self.bytes = scope.bytes + granted[Bound.BYTES]
        self.large = scope.large + granted[Bound.BYTES] - self._for_small

    def extends(self, counters: Counters, bound: Bound, units: int, *, is_large: bool = False) -> bool:
        """Take a grant for more units; return whether there is one."""
        scope, used = self.of, counters.in_use(bound)
        whole, part = scope.whole[bound], scope.part(bound)
        if self._slot is None:
            return False
        most = (whole - whole // 4 if is_large else whole) - scope.grants.workers * part
        least = max(1, used + units - (self.large if is_large else part + self._granted[bound]))
        wanted = max(least, part)
        if bound is Bound.CONNECTIONS:
            wanted = min(wanted, scope.most_here - part - self._granted[bound])
        taken = scope.grants.take(self._slot, bound, least=least, wanted=wanted, most=most)
        if taken:
            self._granted[bound] += taken
            self._for_small += taken if bound is Bound.BYTES and not is_large else 0
            self.refresh()
            scope.grants.extended.append(counters)
        return taken > 0

    def trim(self, counters: Counters) -> None:
        """Give back what is not in use, and not likely to be soon."""
        scope = self.of
        for bound, granted in self._granted.items():
            spare = granted - max(0, counters.in_use(bound))
            if granted and self._slot is not None and (spare > scope.part(bound) or spare == granted):
                scope.grants.give_back(self._slot, bound, spare)
                self._granted[bound] -= spare
        self._for_small = min(self._for_small, self._granted[Bound.BYTES])
        self.refresh()
        if not any(self._granted.values()):
            scope.allowances.discard(self)
            counters.limits = scope
