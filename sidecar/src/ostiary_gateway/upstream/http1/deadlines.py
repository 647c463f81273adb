"""Deadlines of the response heads that a pool waits for.

One timer for all, since nearly all come long before.
"""

import asyncio
from typing import Protocol


class WaitingConnection(Protocol):
    """A connection that waits for a head. ``deadline`` is on the loop's clock."""

    deadline: float

    def too_late(self) -> None:
        """Fail the exchange: the head did not come in time."""


class Deadlines:
    """The connections that wait for a head.

    While there are any, a timer is set for the earliest deadline.
    """

    def __init__(self) -> None:
        self._waiting: set[WaitingConnection] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._due = 0.0

    def add(self, connection: WaitingConnection, deadline: float) -> None:
        """Call the connection's ``too_late`` at the deadline, unless it is removed before."""
        self._waiting.add(connection)
        if self._timer is None or deadline < self._due:
            self._set(deadline)

    def remove(self, connection: WaitingConnection) -> None:
        """Forget a connection: its head has come, or never will."""
        self._waiting.discard(connection)

    def _set(self, due: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._due = due
        self._timer = asyncio.get_running_loop().call_at(due, self._expire)

    def _expire(self) -> None:
        self._timer = None
        now = asyncio.get_running_loop().time()
        for connection in [c for c in self._waiting if c.deadline <= now]:
            self._waiting.discard(connection)
            connection.too_late()
        if self._waiting and self._timer is None:
            self._set(min(connection.deadline for connection in self._waiting))

    def close(self) -> None:
        """Forget all connections."""
        self._waiting.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
