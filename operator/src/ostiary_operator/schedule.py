"""When the next pass is due. Pure: it is told the time, and never waits.

A burst of pokes becomes one pass: it begins when the pokes have been quiet for a while, and at the latest when the
first of them has waited long enough (a stream that never pauses would else be put off for ever). After a failure the
pass is repeated on its own, ever more slowly; a poke may call it sooner, but not at once. Without any poke it comes
round.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

#: Seconds without a poke before a pass begins.
QUIET: Final = 0.05
#: Seconds that a poke waits at most.
CEILING: Final = 0.5
#: Seconds between passes when nothing happens.
RESYNC: Final = 300.0
#: The same where something cannot be watched.
RESYNC_UNWATCHED: Final = 60.0
#: Seconds before the first and the slowest repetition of what failed.
FIRST_RETRY: Final = 1.0
SLOWEST_RETRY: Final = 60.0
_NEVER: Final = float("inf")


@dataclass(slots=True)
class Schedule:
    """All moments are of one monotonic clock, in seconds. ``random`` returns a number from 0 to 1, for jitter."""

    random: Callable[[], float]
    resync: float = RESYNC
    _first_poke: float | None = None
    _last_poke: float = 0.0
    _not_before: float = 0.0
    _retry_at: float = _NEVER
    _resync_at: float = _NEVER
    _failures: int = field(default=0)

    def poke(self, now: float) -> None:
        """Ask for a pass soon."""
        if self._first_poke is None:
            self._first_poke = now
        self._last_poke = now

    def again(self, at: float) -> None:
        """Ask for a pass at a moment."""
        self._retry_at = min(self._retry_at, at)

    def due(self) -> float:
        """Return the moment of the next pass; infinite if nobody asked for any."""
        poked = _NEVER
        if self._first_poke is not None:
            poked = min(self._last_poke + QUIET, self._first_poke + CEILING)
            poked = max(poked, self._not_before)
        return min(poked, self._retry_at, self._resync_at)

    def begun(self) -> None:
        """A pass begins: it answers all pokes until now; those that come from now on want another one."""
        self._first_poke = None
        self._retry_at = _NEVER

    def succeeded(self, now: float) -> None:
        """The pass did all it should."""
        self._failures = 0
        self._not_before = 0.0
        self._resync_at = now + self.resync * (0.9 + 0.2 * self.random())

    def failed(self, now: float) -> float:
        """The pass, or a part of it, did not work; return the seconds until it is repeated."""
        slowest: float = min(FIRST_RETRY * 2**self._failures, SLOWEST_RETRY)
        delay = max(FIRST_RETRY, slowest * (0.5 + 0.5 * self.random()))
        self._failures = min(self._failures + 1, 16)
        self._not_before = now + FIRST_RETRY
        self._retry_at = min(self._retry_at, now + delay)
        return delay
