"""Numbers of records that grow over all workers, so that their records can be joined.

A process alone counts from 1. A worker takes the time instead: a reader that has seen the records up to a number finds
every later one of any worker after it, and a worker that replaces another goes on where that one was. So how many
records a reader has missed can no longer be told from the numbers: those of dropped records are kept, up to a bound.
"""

import time
from bisect import bisect_right
from collections import deque
from collections.abc import Callable
from typing import Final

#: Numbers of dropped records that are kept.
_MOST_DROPPED: Final = 65_536


def _microseconds() -> int:
    return time.time_ns() // 1_000


class WorkerNumbers:
    """Numbers the records of one ring; ``now`` returns epoch microseconds."""

    def __init__(self, now: Callable[[], int] = _microseconds) -> None:
        self._now = now
        self._dropped: deque[int] = deque(maxlen=_MOST_DROPPED)
        self._highest = 0

    def after(self, last: int) -> int:
        """Return the number of the record that follows ``last``."""
        return max(last + 1, self._now())

    def drop(self, number: int) -> None:
        """Note that a record is no longer kept."""
        self._dropped.append(number)
        self._highest = max(self._highest, number)

    def missed(self, position: int) -> int:
        """Return how many records after a number are no longer kept, as far as that is known."""
        if position >= self._highest:
            return 0
        dropped = sorted(self._dropped)
        return len(dropped) - bisect_right(dropped, position)
