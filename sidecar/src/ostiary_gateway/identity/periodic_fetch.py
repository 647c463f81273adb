"""Fetches a document of an identity provider now and then.

One fetch is in flight at a time, and fetches have a least distance: no credential can cause a stream of them.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import NamedTuple


class FetchTimes(NamedTuple):
    """Seconds after which a document is old, and the least seconds between two fetches of it."""

    refresh: float
    distance: float


Fetch = Callable[[], Awaitable[bool]]
"""Fetches a document and stores it. Returns whether that succeeded."""


class PeriodicFetch:
    """The fetches of one document. ``clock`` returns seconds.

    Must be used within one event loop.
    """

    def __init__(self, times: FetchTimes, *, clock: Callable[[], float]) -> None:
        self._times = times
        self._clock = clock
        self._fetched = 0.0
        self._tried: float | None = None
        self._pending: asyncio.Task[None] | None = None

    def refresh_if_old(self, fetch: Fetch) -> None:
        """Begin a fetch in the background if the last success is long ago."""
        if self._clock() - self._fetched >= self._times.refresh:
            self._begin(fetch)

    async def wait(self, fetch: Fetch) -> None:
        """Wait for the fetch in flight, or a new one unless the last one was just now."""
        self._begin(fetch)
        if self._pending is not None:
            # A caller that disconnects must not cancel the fetch for the others.
            await asyncio.shield(self._pending)

    def _begin(self, fetch: Fetch) -> None:
        is_recent = self._tried is not None and self._clock() - self._tried < self._times.distance
        if self._pending is None and not is_recent:
            self._tried = self._clock()
            self._pending = asyncio.get_running_loop().create_task(self._run(fetch))

    async def _run(self, fetch: Fetch) -> None:
        try:
            if await fetch():
                self._fetched = self._clock()
        finally:
            self._pending = None
