"""When the next pass is due. Pure: it takes the time as an argument, and never waits.

A burst of requests becomes one pass (debounce): it starts after a quiet period, and at the latest when the first
request has waited for the ceiling, since a continuous stream would otherwise delay it forever. After a failure the pass
is retried with exponential back-off; a request may start it sooner, but not at once. Without requests it is repeated as
a resync.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

#: Seconds without a request before a pass starts.
QUIET: Final = 0.05
#: Seconds that a request waits at most.
CEILING: Final = 0.5
#: Seconds between passes without any request.
RESYNC: Final = 300.0
#: The same where a kind cannot be watched.
RESYNC_UNWATCHED: Final = 60.0
#: Seconds before the first retry, and between the slowest retries.
FIRST_RETRY: Final = 1.0
SLOWEST_RETRY: Final = 60.0
_NEVER: Final = float("inf")


@dataclass(slots=True)
class Schedule:
    """Computes due times, in seconds of one monotonic clock.

    ``random`` returns a number from 0 to 1, for jitter.
    """

    random: Callable[[], float]
    resync: float = RESYNC
    _first_request: float | None = None
    _last_request: float = 0.0
    _not_before: float = 0.0
    _retry_at: float = _NEVER
    _resync_at: float = _NEVER
    _failures: int = field(default=0)

    def enqueue(self, now: float) -> None:
        """Request a pass soon."""
        if self._first_request is None:
            self._first_request = now
        self._last_request = now

    def enqueue_at(self, at: float) -> None:
        """Request a pass at a given time."""
        self._retry_at = min(self._retry_at, at)

    def due(self) -> float:
        """Return the time of the next pass; infinite if none was requested."""
        requested = _NEVER
        if self._first_request is not None:
            requested = min(self._last_request + QUIET, self._first_request + CEILING)
            requested = max(requested, self._not_before)
        return min(requested, self._retry_at, self._resync_at)

    def started(self) -> None:
        """Record that a pass starts: it serves all requests until now, and no later ones."""
        self._first_request = None
        self._retry_at = _NEVER

    def succeeded(self, now: float) -> None:
        """Record that the pass succeeded."""
        self._failures = 0
        self._not_before = 0.0
        self._resync_at = now + self.resync * (0.9 + 0.2 * self.random())

    def failed(self, now: float) -> float:
        """Record that the pass, or a part of it, failed; return the seconds until the retry."""
        slowest: float = min(FIRST_RETRY * 2**self._failures, SLOWEST_RETRY)
        delay = max(FIRST_RETRY, slowest * (0.5 + 0.5 * self.random()))
        self._failures = min(self._failures + 1, 16)
        self._not_before = now + FIRST_RETRY
        self._retry_at = min(self._retry_at, now + delay)
        return delay
