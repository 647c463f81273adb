"""Keeps what was read for a moment, and reads the same thing only once at a time.

Many viewers look at the same pages, and pages reload. What they read costs the API server and gateways one read in some
seconds, however many look.
"""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable, Coroutine, Hashable
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

#: Different things that are kept of one kind.
MOST_KEPT: Final = 64


@dataclass(slots=True)
class _Read(Generic[V]):
    """A read that goes on, or its result; ``ended`` is in seconds of the clock."""

    task: "asyncio.Task[V]"
    ended: float | None = None


class ShortMemory(Generic[K, V]):
    """Reads by key.

    A result is kept for so many ``seconds``; a failure is told to all who waited, and not kept.

    A reader that leaves does not end a read for which others wait.
    """

    def __init__(
        self,
        read: Callable[[K], Coroutine[Any, Any, V]],
        *,
        seconds: float,
        most: int = MOST_KEPT,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._read = read
        self._seconds = seconds
        self._most = most
        self._clock = clock
        self._reads: OrderedDict[K, _Read[V]] = OrderedDict()

    async def get(self, key: K) -> V:
        """Return what was read a moment ago, or what is being read, or read it."""
        found = self._reads.get(key)
        if found is None or self._is_over(found):
            found = self._begin(key)
        return await asyncio.shield(found.task)

    def forget(self) -> None:
        """Keep nothing of what was read."""
        self._reads.clear()

    def _is_over(self, read: _Read[V]) -> bool:
        return read.ended is not None and self._clock() - read.ended >= self._seconds

    def _begin(self, key: K) -> _Read[V]:
        task = asyncio.create_task(self._read(key))
        read = self._reads[key] = _Read(task)
        self._reads.move_to_end(key)
        task.add_done_callback(lambda _: self._end(key, read))
        self._make_room()
        return read

    def _end(self, key: K, read: _Read[V]) -> None:
        read.ended = self._clock()
        failed = read.task.cancelled() or read.task.exception() is not None
        if failed and self._reads.get(key) is read:
            del self._reads[key]

    def _make_room(self) -> None:
        """Remove what is over, and of the rest what was begun first."""
        for key in [key for key, read in self._reads.items() if self._is_over(read)]:
            del self._reads[key]
        while len(self._reads) > self._most:
            self._reads.popitem(last=False)
