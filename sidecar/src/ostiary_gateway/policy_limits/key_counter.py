"""The counter of one key: its requests in flight.

Rates and quotas add to it (:mod:`.key_counters`).

A counter is changed in one event loop only. Times are epoch seconds. Its state is three numbers, so that it may lie
where other processes have it (:mod:`.pod_counters`).
"""

from typing import ClassVar, TypeAlias

from ostiary_core.limits.charge import Charge
from ostiary_core.limits.compiled_limit import CompiledLimit
from ostiary_gateway.policy_limits.store import Exhaustion, KeyUsage, Unit

StoredState: TypeAlias = tuple[float, float, float, float]
"""The state of a counter, and until when it counts."""


class KeyCounter:
    """A key of a limit that counts requests in flight alone; the other counters add to it.

    ``kind`` names the class where a counter's state is kept.
    """

    kind: ClassVar = 1
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

    @property
    def state(self) -> tuple[float, float, float]:
        """Units, when they began to count, and the end of their window."""
        return 0.0, 0.0, 0.0

    def restore(self, used: float, start: float, end: float) -> None:
        """Go on from a state, perhaps of another version of the limit."""

    @property
    def counts_until(self) -> float:
        """When a new counter in its place would decide the same, if no request is in flight then."""
        return 0.0

    def taken_of(self, used: float, start: float, end: float, units: int, now: float) -> StoredState | None:
        """Take units of a state that lies elsewhere.

        It does what :meth:`restore` and :meth:`take` do for a limit without slots.

        Return what that becomes, and until when it counts; None where there are too few units.
        """
        self.restore(used, start, end)
        return (*self.state, self.counts_until) if self.take(units, now) else None

    def exhaustion(self, charge: Charge, now: float) -> Exhaustion | None:  # noqa: ARG002  other counters use them
        """Return that there are too few units for a charge; None where there are enough."""
        return None

    def busy(self, charge: Charge) -> Exhaustion:
        """Return that every slot is taken."""
        return Exhaustion(charge, Unit.CONCURRENCY, self.slots or 0, 0, None, None)

    def usage(self, key: str, now: float) -> KeyUsage:  # noqa: ARG002  other counters use it
        """Return what the key has used."""
        return KeyUsage(self.limit, key, 0, None, None, self.in_flight)
