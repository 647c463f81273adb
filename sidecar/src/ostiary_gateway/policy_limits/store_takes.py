"""The messages of one replica to the shared store, and what it says of each key."""

import asyncio
from collections.abc import Iterator, Sequence
from math import inf
from typing import Final

from ostiary_core.limits.charge import Charge
from ostiary_gateway.policy_limits.settlements import Settlements
from ostiary_gateway.policy_limits.shared_keys import SharedKey
from ostiary_gateway.policy_limits.store import Exhaustion, KeyUsage, Taken, Unit
from ostiary_gateway.policy_limits.store_client import StoreUnusable
from ostiary_gateway.policy_limits.store_link import StoreLink
from ostiary_gateway.policy_limits.store_messages import MICROSECONDS, Answer, Ask, answers, store_key

#: Seconds for which an exhausted key is refused without asking the store: another replica may give units back.
_REFUSED_SECONDS: Final = 0.25
#: Keys in one message for the admin port.
_USAGE_AT_ONCE: Final = 64


class StoreTakes:
    """Sends messages, and keeps what the store said in the keys.

    ``messages`` counts those that calls waited for.
    """

    def __init__(self, link: StoreLink, settlements: Settlements, *, replica: str) -> None:
        self.messages = 0
        self._link = link
        self._settlements = settlements
        self._replica = replica
        #: What the store's clock is ahead of this replica's, in seconds, at most.
        self._offset = 0.0
        self._holders: set[SharedKey] = set()

    @property
    def has_leases(self) -> bool:
        """Whether units are taken in advance."""
        return self._link.config is not None and self._link.config.leases == "Auto"

    def holders(self) -> list[SharedKey]:
        """Return the keys with a lease or with requests in flight."""
        self._holders = {key for key in self._holders if key.leased or key.in_flight}
        return list(self._holders)

    async def take(
        self, charges: Sequence[Charge], keys: Sequence[SharedKey], *, called_at: float, now: float, seconds: float
    ) -> Taken:
        """Take the units and slots of all charges, or of none, within so many seconds.

        ``called_at`` is when the call came, and ``now`` when this message leaves.

        Raises:
            StoreUnusable: the store failed.
            TimeoutError: there was no time left to send it.
        """
        deadline = asyncio.get_running_loop().time() + seconds
        borrowed = [self._borrow(charge, key, now) for charge, key in zip(charges, keys, strict=True)]
        taken: list[int] = []
        found: list[Exhaustion] = []
        try:
            for group in self._groups(charges):
                self.messages += 1
                asks = [self._asked(charges[i], keys[i], borrowed[i]) for i in group]
                left = deadline - asyncio.get_running_loop().time()
                told = await self._send("take", asks, now, left)
                self._note_times([keys[i] for i in group], told, called_at, now)
                here = [self._note(charges[i], keys[i], answer, now) for i, answer in zip(group, told, strict=True)]
                found += [each for each in here if each is not None]
                if any(each is not None and not each.charge.limit.shadow for each in here):
                    self._return(charges, keys, borrowed, taken)
                    return tuple(found)
                self._hold(group, charges, keys, told, now)
                taken += group
        except BaseException:
            self._return(charges, keys, borrowed, taken)
            raise
        self._forgo(found, charges, keys, borrowed)
        return tuple(found)

    def _groups(self, charges: Sequence[Charge]) -> list[list[int]]:
        """Return the positions of the charges of each message."""
        if not self._is_cluster:
            return [list(range(len(charges)))]
        groups: dict[str, list[int]] = {}
        for position, charge in enumerate(charges):
            groups.setdefault(charge.limit.namespace, []).append(position)
        return [groups[namespace] for namespace in sorted(groups)]

    @property
    def _is_cluster(self) -> bool:
        return self._link.is_cluster

    def _borrow(self, charge: Charge, key: SharedKey, now: float) -> int:
        """Reserve of the lease what a charge needs of it, and a request in flight."""
        units = min(charge.units, key.available(now))
        key.leased -= units
        if charge.limit.concurrency is not None:
            key.in_flight += 1
            self._holders.add(key)
        return units

    def _asked(self, charge: Charge, key: SharedKey, borrowed: int) -> Ask:
        key.sequence += 1
        return Ask(
            limit=charge.limit,
            key=charge.key,
            units=charge.units - borrowed,
            waiting=key.waiting if self.has_leases else 0,
            lease=key.wanted() if self.has_leases else 0,
            age=key.lease_age,
            in_flight=key.in_flight if charge.limit.concurrency is not None else -1,
            sequence=key.sequence,
        )

    async def _send(self, mode: str, asks: Sequence[Ask], now: float, seconds: float) -> list[Answer]:
        if seconds <= 0:
            raise TimeoutError
        fields = [field for ask in asks for field in ask.fields(now + self._offset)]
        names = [store_key(ask.limit, ask.key) for ask in asks]
        told = await self._link.run(mode, self._replica, names, fields, seconds=seconds)
        at, found = answers(told)
        # The way there counts as ahead: a lease must end here before its window ends there.
        self._offset = at / MICROSECONDS - now
        return found

    def _note_times(self, keys: Sequence[SharedKey], told: Sequence[Answer], called_at: float, now: float) -> None:
        for key, answer in zip(keys, told, strict=True):
            key.taken_at = self._store_time(now)
            if key.limit.amount is not None:
                reset_at = answer.reset / MICROSECONDS
                key.note_answer(remaining=answer.remaining, used=answer.used, reset_at=reset_at, called_at=called_at)

    def _note(self, charge: Charge, key: SharedKey, answer: Answer, now: float) -> Exhaustion | None:
        """Remember what the store said of a key, and return why it refuses, if it does."""
        limit = charge.limit
        if not answer.fits:
            key.retry_at = None if answer.retry < 0 else answer.retry / MICROSECONDS
            key.refused_until = min(now + _REFUSED_SECONDS, (key.retry_at or inf) - self._offset)
            return key.exhaustion(charge)
        key.refused_until = 0.0
        if not answer.has_slot:
            return Exhaustion(charge, Unit.CONCURRENCY, limit.concurrency or 0, 0, None, None)
        return None

    def _hold(
        self,
        group: Sequence[int],
        charges: Sequence[Charge],
        keys: Sequence[SharedKey],
        told: Sequence[Answer],
        now: float,
    ) -> None:
        """Keep the units that the store granted in advance."""
        for position, answer in zip(group, told, strict=True):
            key = keys[position]
            if answer.granted:
                ends = answer.reset / MICROSECONDS - self._offset if charges[position].limit.quota is not None else inf
                key.grant(answer.granted, now=now, ends=ends, taken_at=self._store_time(now))
                self._holders.add(key)

    def _return(
        self,
        charges: Sequence[Charge],
        keys: Sequence[SharedKey],
        borrowed: Sequence[int],
        taken: Sequence[int],
    ) -> None:
        """Undo the reservations of a refused call, and what other namespaces granted before."""
        for charge, key, units in zip(charges, keys, borrowed, strict=True):
            key.leased += units
            if charge.limit.concurrency is not None:
                self.leave(key)
        for position in taken:
            units = charges[position].units - borrowed[position]
            self._settlements.give_back(
                charges[position].limit, charges[position].key, units, taken_at=keys[position].taken_at
            )

    def _forgo(
        self,
        found: Sequence[Exhaustion],
        charges: Sequence[Charge],
        keys: Sequence[SharedKey],
        borrowed: Sequence[int],
    ) -> None:
        """Undo the reservations at limits in Shadow mode that had nothing left."""
        refused = {id(each.charge) for each in found}
        for charge, key, units in zip(charges, keys, borrowed, strict=True):
            if id(charge) in refused:
                key.leased += units
                if charge.limit.concurrency is not None:
                    self.leave(key)

    def leave(self, key: SharedKey) -> None:
        """Count one request less in flight."""
        key.in_flight = max(0, key.in_flight - 1)
        self._settlements.count(key.limit, key.key)

    def give_back(self, key: SharedKey, units: int, taken_at: float, now: float) -> None:
        """Give back units that were taken at a time; those of an earlier window are gone."""
        if key.limit.quota is None:
            taken = self._store_time(taken_at)
        elif taken_at < key.window_since:
            return
        else:  # whatever the clocks say, it was in this window; the store finds out whether that has ended since
            taken = self._store_time(now)
        self._settlements.give_back(key.limit, key.key, units, taken_at=taken)

    def return_lease(self, key: SharedKey) -> None:
        """Give back the units of a lease."""
        units, key.leased = key.leased, 0
        self._settlements.give_back(key.limit, key.key, units, taken_at=key.leased_at)

    def _store_time(self, now: float) -> int:
        return round((now + self._offset) * MICROSECONDS)

    async def settle(self, asks: Sequence[Ask], now: float) -> None:
        """Send changes that nothing waits for.

        Raises:
            StoreUnusable: the store failed, or the circuit is open.
        """
        by_namespace: dict[str, list[Ask]] = {}
        for ask in asks:
            by_namespace.setdefault(ask.limit.namespace if self._is_cluster else "", []).append(ask)
        for group in by_namespace.values():
            fields = [field for ask in group for field in ask.fields(now + self._offset)]
            names = [store_key(ask.limit, ask.key) for ask in group]
            await self._link.run("settle", self._replica, names, fields)

    async def usage(self, keys: Sequence[SharedKey], now: float) -> Sequence[KeyUsage]:
        """Return what all replicas used of keys; what the store said last where it fails."""
        for part in _parts(keys, by_namespace=self._is_cluster):
            asks = [Ask(key.limit, key.key) for key in part]
            try:
                told = await self._send("read", asks, now, self._link.timeout)
            except (StoreUnusable, TimeoutError):
                break
            for key, answer in zip(part, told, strict=True):
                if key.limit.amount is not None:
                    key.remaining, key.used = answer.remaining, answer.used
                    key.reset_at = answer.reset / MICROSECONDS
        return [key.usage() for key in keys]


def _parts(keys: Sequence[SharedKey], *, by_namespace: bool) -> Iterator[list[SharedKey]]:
    groups: dict[str, list[SharedKey]] = {}
    for key in keys:
        groups.setdefault(key.limit.namespace if by_namespace else "", []).append(key)
    for group in groups.values():
        for start in range(0, len(group), _USAGE_AT_ONCE):
            yield group[start : start + _USAGE_AT_ONCE]
