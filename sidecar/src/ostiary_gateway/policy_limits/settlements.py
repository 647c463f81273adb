"""What is sent to the shared store after a call, so that nothing waits for it.

These are units that became known with a response, units that go back, and requests that are over. Messages carry many
keys, and while one is on its way further ones collect. Where it is not known whether the store received a message,
units are not given back a second time: that could admit more than a limit permits.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final

from ostiary_core.limits.compiled_limit import CompiledLimit
from ostiary_gateway.policy_limits.shared_keys import SharedKeys
from ostiary_gateway.policy_limits.store_client import StoreUnusable
from ostiary_gateway.policy_limits.store_messages import Ask

#: Keys in one message.
_AT_ONCE: Final = 64
#: Keys that wait while the store fails. Beyond it the newest are lost, and ``lost`` counts them.
_MOST_WAITING: Final = 10_000
#: Seconds before the next attempt after a failed one.
_PAUSE: Final = 0.2

Send = Callable[[Sequence[Ask]], Awaitable[None]]
"""Sends one message, or raises StoreUnusable."""


@dataclass(slots=True)
class _Pending:
    """What waits for one key.

    ``taken_at`` is the store's time in microseconds of the earliest units to give back.
    """

    limit: CompiledLimit
    added: int = 0
    back: int = 0
    taken_at: int = 0
    has_count: bool = False


class Settlements:
    """A queue of changes by key, and the task that sends them."""

    def __init__(self, keys: SharedKeys, send: Send, is_up: Callable[[], bool]) -> None:
        self.lost = 0
        self._keys = keys
        self._send = send
        self._is_up = is_up
        self._waiting: dict[str, _Pending] = {}
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._sending = 0

    @property
    def busy(self) -> bool:
        """Whether something waits or is on its way."""
        return bool(self._waiting or self._sending)

    def start(self) -> None:
        """Send from now on."""
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._run())

    def add(self, limit: CompiledLimit, key: str, units: int) -> None:
        """Count units that were used without asking."""
        if units and (pending := self._pending(limit, key)) is not None:
            pending.added += units

    def give_back(self, limit: CompiledLimit, key: str, units: int, *, taken_at: int) -> None:
        """Give back units that were taken at a time of the store, in microseconds."""
        if units and (pending := self._pending(limit, key)) is not None:
            pending.taken_at = min(pending.taken_at, taken_at) if pending.back else taken_at
            pending.back += units

    def count(self, limit: CompiledLimit, key: str) -> None:
        """Tell the store how many requests of a key are in flight here."""
        if (pending := self._pending(limit, key)) is not None:
            pending.has_count = True

    def forget_units(self) -> None:
        """Drop units that wait, since another store takes the place of this one."""
        for pending in self._waiting.values():
            pending.added = pending.back = 0

    def _pending(self, limit: CompiledLimit, key: str) -> _Pending | None:
        found = self._waiting.get(key)
        if found is None:
            if len(self._waiting) >= _MOST_WAITING:
                self.lost += 1
                return None
            found = self._waiting[key] = _Pending(limit)
        found.limit = limit
        self._wake.set()
        return found

    async def _run(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._waiting:
                if not self._is_up() or not await self._flush():
                    await asyncio.sleep(_PAUSE)

    async def _flush(self) -> bool:
        """Send what waits for some keys; return whether the store took it."""
        batch = {key: self._waiting.pop(key) for key in list(self._waiting)[:_AT_ONCE]}
        asks = [ask for key, pending in batch.items() for ask in self._asks(key, pending)]
        self._sending += 1
        try:
            await self._send(asks)
        except StoreUnusable:
            self._put_back(batch)
            return False
        finally:
            self._sending -= 1
        return True

    def _put_back(self, batch: dict[str, _Pending]) -> None:
        for key, pending in batch.items():
            self.add(pending.limit, key, pending.added)
            if pending.has_count:
                self.count(pending.limit, key)

    def _asks(self, key: str, pending: _Pending) -> list[Ask]:
        count, sequence = -1, 0
        if pending.has_count:
            count, sequence = self._keys.next_count(key)
        asks = [
            Ask(pending.limit, key, units=-pending.back, taken=pending.taken_at, in_flight=count, sequence=sequence),
            Ask(pending.limit, key, units=pending.added),
        ]
        return [ask for ask in asks if ask.units or ask.in_flight >= 0]

    async def close(self) -> None:
        """Send what waits, once, and end."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        while self._waiting and self._is_up() and await self._flush():
            pass
