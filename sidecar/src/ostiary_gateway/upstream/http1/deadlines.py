"""Who waits for a head, and until when: one timer for all exchanges of a pool, since nearly all end long before."""

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ostiary_gateway.upstream.http1.connection import Connection


class Deadlines:
    """The connections that wait. A timer is set while there are any, for the earliest of them."""

    def __init__(self) -> None:
        self._waiting: set[Connection] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._due = 0.0

    def add(self, connection: "Connection", deadline: float) -> None:
        """Call a connection's ``too_late`` at this time of the loop's clock, unless it is removed before."""
        self._waiting.add(connection)
        if self._timer is None or deadline < self._due:
            self._set(deadline)

    def remove(self, connection: "Connection") -> None:
        """The head is there, or will never be."""
        self._waiting.discard(connection)

    def _set(self, due: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._due = due
        self._timer = asyncio.get_running_loop().call_at(due, self._look)

    def _look(self) -> None:
        self._timer = None
        now = asyncio.get_running_loop().time()
        for connection in [c for c in self._waiting if c.deadline <= now]:
            self._waiting.discard(connection)
            connection.too_late()
        if self._waiting and self._timer is None:
            self._set(min(connection.deadline for connection in self._waiting))

    def close(self) -> None:
        """Tell nobody any more."""
        self._waiting.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
