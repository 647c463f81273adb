"""What one replica counts of one proxy: slots, quarters of an hour, and names.

A request is counted in the slot that goes on. When a slot ends it is added to its quarter, so a request costs the same
however many windows there are. Nothing runs while no request comes: windows end with the next request, or when a reader
asks.
"""

from bisect import bisect_left
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Final

from ostiary_core.evidence.latency import BOUNDARIES
from ostiary_core.evidence.traffic_window import QUARTER_SECONDS, QUARTERS, SLOT_SECONDS, SLOTS
from ostiary_gateway.evidence.call_ring import PlainCall
from ostiary_gateway.evidence.live_window import LiveWindow, PackedWindows, absorb_packed
from ostiary_gateway.evidence.name_table import NameTable

SLOT_MS: Final = SLOT_SECONDS * 1000
_QUARTER_SLOTS: Final = QUARTER_SECONDS // SLOT_SECONDS
#: Quarters of half a day.
_HALF_QUARTERS: Final = QUARTERS // 2
#: A clock that is set back by less does not end a slot.
_BACKWARDS: Final = 6


class ProxyEvidence:
    """Counts the requests of one proxy.

    ``slot`` is the number of the slot that goes on: milliseconds since the epoch, divided by its length. ``since`` is
    when the proxy was first seen, in epoch milliseconds.
    """

    __slots__ = ("_quarter", "_quarters", "_slots", "identity", "names", "namespace", "since", "slot", "window")

    def __init__(self, identity: str, *, now: int) -> None:
        self.identity = identity
        self.namespace = identity.partition("/")[0]
        self.since = now
        self.slot = now // SLOT_MS
        self.window = LiveWindow()
        self.names: NameTable | None = None
        self._quarter = LiveWindow()
        self._slots = PackedWindows()
        self._quarters = PackedWindows()

    def add(self, slot: int, kind: int, call: PlainCall) -> None:
        """Count one request of a kind that ended in the slot with this number."""
        if slot != self.slot:
            self.move(slot)
        seconds, window = call[1], self.window
        window.buckets[bisect_left(BOUNDARIES, seconds)] += 1
        kinds = window.kinds
        kinds[kind] = kinds.get(kind, 0) + 1
        window.seconds += seconds
        window.upstream_seconds += call[2]
        window.slowest = max(window.slowest, seconds)
        labels = call[3]
        if name := labels[2] or labels[3] or labels[4]:
            if self.names is None:
                self.names = NameTable()
            self.names.add(labels[0], name, call)

    def move(self, slot: int) -> None:
        """End the slot, and what ends with it, where time has gone on."""
        if self.slot - _BACKWARDS <= slot <= self.slot:
            return
        if self.window.kinds:
            self._slots.append(self.slot, self.window)
            self._quarter.absorb(self.window)
            self.window.clear()
        before, self.slot = self.slot // _QUARTER_SLOTS, slot
        if slot // _QUARTER_SLOTS != before:
            self._end_quarter(before, slot // _QUARTER_SLOTS)
        self._slots.keep(first=slot - SLOTS, most=SLOTS)

    def _end_quarter(self, before: int, now: int) -> None:
        if self._quarter.kinds:
            self._quarters.append(before, self._quarter)
            self._quarter.clear()
        self._quarters.keep(first=now - QUARTERS, most=QUARTERS)
        if self.names is not None:
            self.names.end_quarter(passed=abs(now - before))
            halves = now // _HALF_QUARTERS, before // _HALF_QUARTERS
            if halves[0] != halves[1]:
                self.names.end_half(passed=abs(halves[0] - halves[1]))

    def copy(self, wanted: Collection[str]) -> "ProxyCopy":
        """Return what another thread may read, of the ``wanted`` parts.

        :meth:`move` has been called.
        """
        live = LiveWindow()
        live.absorb(self.window)
        quarter = LiveWindow()
        quarter.absorb(self._quarter)
        quarter.absorb(self.window)
        return ProxyCopy(
            identity=self.identity,
            since=self.since,
            slot=self.slot,
            slots=self._slots.copy() if "slots" in wanted else b"",
            quarters=self._quarters.copy() if "quarters" in wanted else b"",
            live=live,
            quarter=quarter,
            names=self.names.copy() if self.names is not None and "names" in wanted else None,
        )


@dataclass(frozen=True, slots=True)
class ProxyCopy:
    """The counts of one proxy at one moment.

    ``live`` is the slot that goes on, ``quarter`` the quarter.
    """

    identity: str
    since: int
    slot: int
    slots: bytes
    quarters: bytes
    live: LiveWindow
    quarter: LiveWindow
    names: NameTable | None

    def absorb_slots(self, *, first: int, into: Callable[[int], LiveWindow]) -> None:
        """Add the slots from a number on to the windows that ``into`` returns for their numbers."""
        absorb_packed(self.slots, first=first, into=into)
        if self.live.kinds and self.slot >= first:
            into(self.slot).absorb(self.live)

    def absorb_quarters(self, *, first: int, into: Callable[[int], LiveWindow]) -> None:
        """Do the same with quarters."""
        absorb_packed(self.quarters, first=first, into=into)
        if self.quarter.kinds and self.slot // _QUARTER_SLOTS >= first:
            into(self.slot // _QUARTER_SLOTS).absorb(self.quarter)

    @property
    def names_since(self) -> tuple[int, int]:
        """The beginning of the last half day and of the last quarter, in epoch milliseconds."""
        quarter = self.slot // _QUARTER_SLOTS
        half = (quarter // _HALF_QUARTERS - 1) * _HALF_QUARTERS
        length = QUARTER_SECONDS * 1000
        return max(self.since, half * length), max(self.since, (quarter - 1) * length)
