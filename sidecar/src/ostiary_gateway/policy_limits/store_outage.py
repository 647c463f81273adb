"""What limits do while the shared store fails: each what its ``onStoreFailure`` says.

``Allow`` admits, ``Deny`` refuses, and with ``Local`` this replica counts alone, with the whole limit. What was counted
alone is not told to the store when it answers again.
"""

from collections.abc import Sequence
from dataclasses import replace
from math import inf
from typing import Final

from ostiary_core.limits.charge import Charge
from ostiary_core.limits.compiled_limit import CompiledLimit, OnStoreFailure
from ostiary_gateway.policy_limits.local_counters import LocalCounters
from ostiary_gateway.policy_limits.shared_keys import SharedKeys
from ostiary_gateway.policy_limits.store import Exhaustion, Taken, Unit

#: Seconds after which a refused call is worth another try.
_RETRY_SECONDS: Final = 1.0
#: Limits whose form without concurrency is remembered.
_MOST_LIMITS: Final = 10_000


class StoreOutage:
    """Judges calls without the store. ``calls`` counts charges by what their limits did."""

    def __init__(self, local: LocalCounters, keys: SharedKeys) -> None:
        self.calls: dict[OnStoreFailure, int] = {}
        self._local = local
        self._keys = keys
        self._began = self._ended = inf
        self._without_slots: dict[CompiledLimit, CompiledLimit] = {}

    def take(self, charges: Sequence[Charge], now: float) -> Taken:
        """Take the units and slots of all charges, or of none."""
        self._note(charges, now)
        found = [
            Exhaustion(charge, _unit(charge), charge.limit.amount or 0, 0, now + _RETRY_SECONDS, None, True)
            for charge in charges
            if charge.limit.on_store_failure is OnStoreFailure.DENY
        ]
        alone = self.alone(charges)
        found += [each for charge in alone if (each := self._busy(charge)) is not None]
        if _refuses(found):
            return tuple(found)
        found += self._local.take(self._slotless(alone), now)
        if not _refuses(found):
            for charge in charges:
                if charge.limit.concurrency is not None:
                    self._keys.take(charge, now).in_flight += 1
        return tuple(found)

    def peek(self, charges: Sequence[Charge], now: float) -> Taken:
        """Return what this replica, counting alone, finds exhausted."""
        return self._local.peek(self._slotless(self.alone(charges)), now)

    def add(self, charges: Sequence[Charge], now: float) -> None:
        """Add units that became known with the response."""
        self._local.add(self._slotless(self.alone(charges)), now)

    def give_back(self, charges: Sequence[Charge], taken_at: float, now: float) -> None:
        """Give back units that were taken here."""
        self._local.give_back(self._slotless(self.alone(charges)), taken_at, now)

    def contains(self, taken_at: float) -> bool:
        """Return whether units were taken here and not in the store."""
        return self._began <= taken_at <= self._ended

    def end(self, now: float) -> None:
        """Note that the store answers again."""
        if self._ended == inf:
            self._ended = now

    @staticmethod
    def alone(charges: Sequence[Charge]) -> list[Charge]:
        """Return the charges that this replica counts alone."""
        return [charge for charge in charges if charge.limit.on_store_failure is OnStoreFailure.LOCAL]

    def _note(self, charges: Sequence[Charge], now: float) -> None:
        if self._ended < now or self._began == inf:
            self._began, self._ended = now, inf
        for charge in charges:
            way = charge.limit.on_store_failure
            self.calls[way] = self.calls.get(way, 0) + 1

    def _busy(self, charge: Charge) -> Exhaustion | None:
        """Return that every slot is taken by requests of this replica."""
        slots, key = charge.limit.concurrency, self._keys.find(charge.key)
        if slots is None or key is None or key.in_flight < slots:
            return None
        return Exhaustion(charge, Unit.CONCURRENCY, slots, 0, None, None)

    def _slotless(self, charges: Sequence[Charge]) -> list[Charge]:
        """Return charges of units for the local counters, which count no requests in flight here."""
        counted = [charge for charge in charges if charge.limit.amount is not None]
        return [charge._replace(limit=self._without_slot(charge.limit)) for charge in counted]

    def _without_slot(self, limit: CompiledLimit) -> CompiledLimit:
        if limit.concurrency is None:
            return limit
        found = self._without_slots.get(limit)
        if found is None:
            if len(self._without_slots) >= _MOST_LIMITS:
                self._without_slots.clear()
            found = self._without_slots[limit] = replace(limit, concurrency=None)
        return found


def _refuses(found: Sequence[Exhaustion]) -> bool:
    return any(not each.charge.limit.shadow for each in found)


def _unit(charge: Charge) -> Unit:
    if charge.limit.amount is None:
        return Unit.CONCURRENCY
    return Unit.COST if charge.limit.counts_cost else Unit.REQUESTS
