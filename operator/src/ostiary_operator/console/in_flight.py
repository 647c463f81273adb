"""How much the console does at once: requests in flight, and live tails.

The rest is told to come again.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from aiohttp import web
from aiohttp.typedefs import Handler

from ostiary_operator.console.errors import TooBusy
from ostiary_operator.console.request_checks import PROBES

MOST_REQUESTS: Final = 64
MOST_TAILS: Final = 256


class Room:
    """Room for a number of things at once."""

    def __init__(self, most: int, *, what: str) -> None:
        self._most = most
        self._what = what
        self.taken = 0

    def take(self) -> "TakenRoom":
        """Take room for one.

        Raises:
            TooBusy: there is none left.
        """
        if self.taken >= self._most:
            raise TooBusy(f"the console has {self._most} {self._what} at once already: try again in a moment")
        self.taken += 1
        return TakenRoom(self)

    @contextmanager
    def one(self) -> Iterator["TakenRoom"]:
        """Take room for one while the context lasts, unless it is released before.

        Raises:
            TooBusy: there is none left.
        """
        taken = self.take()
        try:
            yield taken
        finally:
            taken.release()


class TakenRoom:
    """Room that is taken."""

    def __init__(self, room: Room) -> None:
        self._room: Room | None = room

    def release(self) -> None:
        """Give the room back, once."""
        if self._room is not None:
            self._room.taken -= 1
            self._room = None


TAKEN: Final = web.RequestKey("taken", TakenRoom)


class InFlight:
    """Bounds the requests in flight.

    A live tail gives its room back: it has its own. Probes need none: a console that is busy must not be restarted.
    """

    def __init__(self, most: int | None = None) -> None:
        self._room = Room(MOST_REQUESTS if most is None else most, what="requests")

    @web.middleware
    async def middleware(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Handle a request if there is room."""
        if request.path in PROBES:
            return await handler(request)
        with self._room.one() as taken:
            request[TAKEN] = taken
            return await handler(request)
