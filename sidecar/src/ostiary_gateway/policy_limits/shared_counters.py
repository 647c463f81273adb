"""Counters that all replicas share in a Redis or Valkey: a :class:`~.store.CounterStore`.

A call that needs the store sends one message for all its counters; in a Cluster one for each namespace of its policies,
in order, and what was taken is given back where a later one refuses. Of a key in frequent use the replica holds units
in advance (:mod:`.shared_keys`), and then a call sends no message at all. While one message about a key is on its way,
other calls of the key wait for it, and it takes units for them too.

Where the store fails, each limit does what its ``onStoreFailure`` says (:mod:`.store_outage`).
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final

from ostiary_core.contract.limit_store import LimitStoreConfig
from ostiary_core.limits.charge import Charge
from ostiary_core.limits.compiled_limit import CompiledLimit
from ostiary_gateway.policy_limits.local_counters import LocalCounters
from ostiary_gateway.policy_limits.settlements import Settlements
from ostiary_gateway.policy_limits.shared_keys import SharedKey, SharedKeys
from ostiary_gateway.policy_limits.store import KeyUsage, Taken
from ostiary_gateway.policy_limits.store_client import StoreUnusable
from ostiary_gateway.policy_limits.store_connections import Credential
from ostiary_gateway.policy_limits.store_link import StoreLink
from ostiary_gateway.policy_limits.store_messages import Ask
from ostiary_gateway.policy_limits.store_outage import StoreOutage
from ostiary_gateway.policy_limits.store_takes import StoreTakes

_SWEEP_SECONDS: Final = 0.5
#: Seconds after which requests in flight are renewed in the store: a third of the time that they count there.
_RENEW_SECONDS: Final = 5.0
_CLOSE_SECONDS: Final = 1.0


class SharedCounters:
    """The counters of a gateway: shared where the settings name a store, else in this process.

    ``replica`` names this process to others, ``credential`` returns entries of the gateway's Secret. ``leased_calls``
    counts the calls that needed no message.
    """

    def __init__(
        self,
        local: LocalCounters,
        *,
        replica: str,
        credential: Credential,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.leased_calls = 0
        self.local = local
        self.keys = SharedKeys()
        self.outage = StoreOutage(local, self.keys)
        self.link = StoreLink(credential, self._on_connect)
        self.settlements = Settlements(self.keys, self._settle, lambda: self.link.is_up)
        self.takes = StoreTakes(self.link, self.settlements, replica=replica)
        self._clock = clock
        self._sweeping: asyncio.Task[None] | None = None
        self._renewed_at = 0.0

    def configure(self, config: LimitStoreConfig | None) -> None:
        """Use the store of new settings, or none. Requests in flight go on."""
        if config is None and self.link.config is None:
            return
        self.link.configure(config)
        if self._sweeping is None:
            self._sweeping = asyncio.get_running_loop().create_task(self._sweep())
            self.settlements.start()

    @property
    def is_shared(self) -> bool:
        """Whether the settings name a store and it answers (:attr:`.CounterStore.is_shared`)."""
        return self.link.config is not None and self.link.is_up

    def take(self, charges: Sequence[Charge], now: float) -> Taken | Awaitable[Taken]:
        """Take units and slots of all charges, or of none (:meth:`.CounterStore.take`)."""
        link = self.link
        if link.config is None:
            return self.local.take(charges, now)
        counted = [charge for charge in charges if charge.limit.has_counter]
        if not counted:
            return ()
        if not link.is_up and not link.is_first_attempt:
            return self.outage.take(counted, now)
        keys = [self.keys.take(charge, now) for charge in counted]
        for key in keys:
            key.note_call(now)
        if link.config.leases == "Auto" and (found := self._at_once(counted, keys, now)) is not None:
            return found
        return self._ask(counted, keys, now)

    def _at_once(self, charges: Sequence[Charge], keys: Sequence[SharedKey], now: float) -> Taken | None:
        """Judge a call by what this replica knows and holds; None where only the store can."""
        refused = [
            key.exhaustion(charge)
            for charge, key in zip(charges, keys, strict=True)
            if key.is_refused(charge.units, now)
        ]
        if refused:
            return tuple(refused) if any(not found.charge.limit.shadow for found in refused) else None
        for charge, key in zip(charges, keys, strict=True):
            if charge.limit.concurrency is not None or key.available(now) < charge.units:
                return None
        for charge, key in zip(charges, keys, strict=True):
            key.leased -= charge.units
        self.leased_calls += 1
        return ()

    async def _ask(self, charges: Sequence[Charge], keys: Sequence[SharedKey], now: float) -> Taken:
        """Ask the store, within the timeout of the settings."""
        loop = asyncio.get_running_loop()
        began, deadline = loop.time(), loop.time() + self.link.timeout
        try:
            if not self.link.is_up and not await self.link.connected(deadline - loop.time()):
                return self.outage.take(charges, now)
            while flight := next((key.flight for key in keys if key.flight is not None), None):
                await _wait(flight, keys, deadline - loop.time())
                if (found := self._at_once(charges, keys, now + loop.time() - began)) is not None:
                    return found
            elapsed = loop.time() - began
            return await self._fly(charges, keys, now, elapsed, deadline - loop.time())
        except (StoreUnusable, TimeoutError):
            found = self.outage.take(charges, now)
            if self.link.is_up:  # only this call had to wait too long, or the store answers again already
                self.outage.end(now)
            return found

    async def _fly(
        self, charges: Sequence[Charge], keys: Sequence[SharedKey], now: float, elapsed: float, seconds: float
    ) -> Taken:
        """Send the message in a task of its own: a caller that leaves must not lose what it took."""
        taking = self.takes.take(charges, keys, called_at=now, now=now + elapsed, seconds=seconds)
        flight = asyncio.get_running_loop().create_task(taking)
        if self.takes.has_leases:
            for key in keys:
                key.flight = flight
        flight.add_done_callback(lambda _: _land(flight, keys))
        try:
            return await asyncio.shield(flight)
        except asyncio.CancelledError:
            flight.add_done_callback(lambda _: self._undo(flight, charges, now))
            raise

    def _undo(self, flight: "asyncio.Task[Taken]", charges: Sequence[Charge], now: float) -> None:
        """Give back what a call took whose caller has left."""
        if flight.cancelled() or flight.exception() is not None:
            return
        refused = {id(found.charge) for found in flight.result()}
        if all(found.charge.limit.shadow for found in flight.result()):
            taken = [charge for charge in charges if id(charge) not in refused]
            self.give_back(taken, now, self._clock())
            self.release(taken)

    def peek(self, charges: Sequence[Charge], now: float) -> Taken:
        """Return which units are exhausted, as far as known (:meth:`.CounterStore.peek`)."""
        if self.link.config is None:
            return self.local.peek(charges, now)
        if not self.link.is_up:
            return self.outage.peek(charges, now)
        known = ((charge, self.keys.find(charge.key)) for charge in charges)
        return tuple(key.exhaustion(charge) for charge, key in known if key and key.lacks(charge.units, now))

    def add(self, charges: Sequence[Charge], now: float) -> None:
        """Add units that became known with the response (:meth:`.CounterStore.add`)."""
        if self.link.config is None:
            self.local.add(charges, now)
        elif not self.link.is_up:
            self.outage.add(charges, now)
        else:
            for charge in charges:
                if charge.limit.amount is not None:
                    self.settlements.add(charge.limit, charge.key, charge.units)

    def give_back(self, charges: Sequence[Charge], taken_at: float, now: float) -> None:
        """Give back units of an unsent request (:meth:`.CounterStore.give_back`)."""
        if self.link.config is None:
            self.local.give_back(charges, taken_at, now)
        elif self.outage.contains(taken_at):
            self.outage.give_back(charges, taken_at, now)
        else:
            for charge in charges:
                key = self.keys.find(charge.key)
                if charge.limit.amount is not None and key is not None:
                    key.refused_until = 0.0
                    self.takes.give_back(key, charge.units, taken_at, now)

    def release(self, charges: Sequence[Charge]) -> None:
        """Give back the slots of a request that is over (:meth:`.CounterStore.release`)."""
        for charge in charges:
            key = self.keys.find(charge.key) if charge.limit.concurrency is not None else None
            if key is not None and key.in_flight:
                self.takes.leave(key)
            else:  # it was taken before the settings named a store
                self.local.release((charge,))

    def usage(
        self, now: float, *, limits: Mapping[str, CompiledLimit], after: str, most: int
    ) -> Sequence[KeyUsage] | Awaitable[Sequence[KeyUsage]]:
        """Return keys that this replica has used lately, with what all replicas used of them."""
        if not self.is_shared:
            return self.local.usage(now, limits=limits, after=after, most=most)
        return self.takes.usage(self.keys.chosen(limits, after=after, most=most), now)

    async def _settle(self, asks: Sequence[Ask]) -> None:
        await self.takes.settle(asks, self._clock())

    def _on_connect(self, is_same: bool) -> None:
        """Tell a store that is new, or was lost, what is in flight here."""
        self.outage.end(self._clock())
        for key in self.keys.every():
            key.refused_until = 0.0
            if not is_same:
                key.leased = 0
            if key.in_flight:
                self.settlements.count(key.limit, key.key)
        if not is_same:
            self.settlements.forget_units()

    async def _sweep(self) -> None:
        """Give back leases that are not used, and renew requests in flight, until cancelled."""
        while True:
            await asyncio.sleep(_SWEEP_SECONDS)
            self.sweep(self._clock())

    def sweep(self, now: float) -> None:
        """Give back leases that are due at a time, and renew requests in flight that are due."""
        is_renewal = not 0 <= now - self._renewed_at < _RENEW_SECONDS
        if is_renewal:
            self._renewed_at = now
        for key in self.takes.holders():
            if key.must_return(now):
                self.takes.return_lease(key)
            if is_renewal and key.in_flight:
                self.settlements.count(key.limit, key.key)

    async def close(self) -> None:
        """Give everything back that this replica holds, within a second, and close the connections."""
        if self._sweeping is not None:
            self._sweeping.cancel()
            await asyncio.gather(self._sweeping, return_exceptions=True)
        for key in self.takes.holders():
            self.takes.return_lease(key)
            if key.in_flight:
                key.in_flight = 0
                self.settlements.count(key.limit, key.key)
        try:
            async with asyncio.timeout(_CLOSE_SECONDS):
                await self.settlements.close()
        except TimeoutError:
            pass
        await self.link.close()


async def _wait(flight: "asyncio.Task[Taken]", keys: Sequence[SharedKey], seconds: float) -> None:
    """Wait for the message of another call; it asks for units for all that wait."""
    for key in keys:
        key.waiting += 1
    try:
        async with asyncio.timeout(seconds):
            await asyncio.wait([flight])
    finally:
        for key in keys:
            key.waiting -= 1


def _land(flight: "asyncio.Task[Taken]", keys: Sequence[SharedKey]) -> None:
    for key in keys:
        if key.flight is flight:
            key.flight = None
    if not flight.cancelled():
        flight.exception()  # the call that sent it sees it, unless its caller has left
