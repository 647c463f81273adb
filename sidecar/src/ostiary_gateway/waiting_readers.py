"""Readers of a bounded memory that wait for news, each for a limited time."""

import asyncio
from contextlib import suppress


class WaitingReaders:
    """The readers of one memory. Must be used within one event loop."""

    __slots__ = ("_events",)

    def __init__(self) -> None:
        self._events: set[asyncio.Event] = set()

    def __len__(self) -> int:
        """Return how many wait."""
        return len(self._events)

    def wake(self) -> None:
        """Wake all that wait now."""
        for event in self._events:
            event.set()

    async def wait(self, *, seconds: float) -> None:
        """Wait until :meth:`wake` is called, at most so long."""
        event = asyncio.Event()
        self._events.add(event)
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await event.wait()
        finally:
            self._events.discard(event)
