"""Deadlines of what the gateway waits for from servers.

That is the head of a response, or its next piece. One timer for all, since nearly all come long before, and thousands
of open streams may wait at a time.
"""

import asyncio
from typing import Final, Protocol
from weakref import WeakKeyDictionary

#: Seconds between two searches for what is overdue, for each entry: so all of them take about 1 % of the time, and a
#: deadline is late by 0.1 s where 10,000 wait.
_SECONDS_EACH: Final = 1e-5


class TimedWait(Protocol):
    """What waits for a server. ``deadline`` is on the loop's clock."""

    deadline: float

    def too_late(self) -> None:
        """Wait no longer: nothing came in time."""


class Deadlines:
    """What waits, of one kind. While there is any, a timer is set for the earliest deadline."""

    def __init__(self) -> None:
        self._waiting: set[TimedWait] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._due = 0.0

    def add(self, waiting: TimedWait, deadline: float) -> None:
        """Call ``too_late`` at the deadline, unless it is removed before."""
        self._waiting.add(waiting)
        if self._timer is None or deadline < self._due:
            self._set(deadline)

    def remove(self, waiting: TimedWait) -> None:
        """Forget what waits no longer: what it waited for has come, or never will."""
        self._waiting.discard(waiting)

    def _set(self, due: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._due = due
        self._timer = asyncio.get_running_loop().call_at(due, self._expire)

    def _expire(self) -> None:
        self._timer = None
        now = asyncio.get_running_loop().time()
        for waiting in [each for each in self._waiting if each.deadline <= now]:
            self._waiting.discard(waiting)
            waiting.too_late()
        if self._waiting and self._timer is None:
            earliest = min(waiting.deadline for waiting in self._waiting)
            self._set(max(earliest, now + len(self._waiting) * _SECONDS_EACH))

    def close(self) -> None:
        """Forget all that waits."""
        self._waiting.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


_OF_LOOPS: Final[WeakKeyDictionary[asyncio.AbstractEventLoop, Deadlines]] = WeakKeyDictionary()


def deadlines_of(loop: asyncio.AbstractEventLoop) -> Deadlines:
    """Return the deadlines of the pieces of responses that an event loop waits for."""
    found = _OF_LOOPS.get(loop)
    if found is None:
        found = _OF_LOOPS[loop] = Deadlines()
    return found
