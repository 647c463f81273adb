"""The clock, an argument of code that waits or writes timestamps, so that tests can set it."""

import asyncio
import contextlib
import time
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """Two readings of time and one way to wait."""

    def monotonic(self) -> float:
        """Return seconds that never go back, for intervals."""
        ...

    def time(self) -> float:
        """Return epoch seconds, for timestamps."""
        ...

    async def wait(self, event: asyncio.Event, seconds: float) -> bool:
        """Wait until the event is set, at most ``seconds``; return whether it is set."""
        ...


class SystemClock:
    """The machine's clock."""

    def monotonic(self) -> float:
        """Return seconds since an arbitrary start."""
        return time.monotonic()

    def time(self) -> float:
        """Return epoch seconds."""
        return time.time()

    async def wait(self, event: asyncio.Event, seconds: float) -> bool:
        """Wait for the event or the time."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(event.wait(), seconds)
        return event.is_set()


class ManualClock:
    """A clock that only moves when a test advances it."""

    def __init__(self, *, epoch: float = 1_800_000_000.0) -> None:
        self._epoch = epoch
        self._now = 0.0
        self._waits: list[tuple[float, asyncio.Event]] = []

    def monotonic(self) -> float:
        """Return the seconds by which it was advanced."""
        return self._now

    def time(self) -> float:
        """Return the initial epoch seconds plus the seconds by which it was advanced."""
        return self._epoch + self._now

    async def wait(self, event: asyncio.Event, seconds: float) -> bool:
        """Wait for the event, or until a test has advanced the clock by ``seconds``."""
        over = asyncio.Event()
        entry = (self._now + seconds, over)
        self._waits.append(entry)
        tasks = [asyncio.ensure_future(event.wait()), asyncio.ensure_future(over.wait())]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._waits.remove(entry)
            for task in tasks:
                task.cancel()
        return event.is_set()

    async def advance(self, seconds: float) -> None:
        """Advance the clock, and let each task that became due run until it waits again."""
        await settle()
        target = self._now + seconds
        while due := sorted(moment for moment, _ in self._waits if moment <= target):
            self._now = max(self._now, due[0])
            for moment, over in self._waits:
                if moment <= self._now:
                    over.set()
            await settle()
        self._now = target
        await settle()


async def settle(rounds: int = 50) -> None:
    """Run the event loop for some rounds, so that every task that is ready runs."""
    for _ in range(rounds):
        await asyncio.sleep(0)


def rfc3339(seconds: float) -> str:
    """Write epoch seconds as Kubernetes does: UTC, whole seconds."""
    return datetime.fromtimestamp(int(seconds), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def epoch(text: str) -> float:
    """Read what :func:`rfc3339` wrote."""
    return datetime.fromisoformat(text).timestamp()
