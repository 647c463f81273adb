"""A request whose body is fed by the parser."""

import asyncio
from collections.abc import Mapping

from ostiary_gateway.errors import CallerGone
from ostiary_gateway.server.connection_limits import BODY_HIGH_WATER
from ostiary_gateway.server.request import Request
from ostiary_gateway.server.request_connection import RequestConnection


class LlhttpRequest(Request):
    """A request, and what has arrived of its body."""

    __slots__ = ("_body", "_fault", "_waiter", "discarded")

    def __init__(
        self,
        connection: RequestConnection,
        method: str,
        target: str,
        headers: Mapping[str, str],
        repeated: frozenset[str],
        minor_version: int,
        keep_alive: bool,
    ) -> None:
        # All is set here: the constructor of every request as well would cost as much as the rest of this one.
        self.connection = connection
        self.method = method
        self.target = target
        self.headers = headers
        self.repeated = repeated
        self.minor_version = minor_version
        self.keep_alive = keep_alive
        self.response_headers = None
        self.caller = None
        self.continue_sent = False
        self.complete = False
        self.discarded = False
        #: What has arrived and was not read yet. Pieces are joined as they come: a thousand small ones would take more.
        self._body: bytes | bytearray = b""
        self._fault: CallerGone | None = None
        self._waiter: asyncio.Future[None] | None = None

    @property
    def has_begun(self) -> bool:
        """Whether some of the body has arrived that was not read yet."""
        return bool(self._body)

    def whole_body(self) -> bytes | None:
        """Return the body if all of it has arrived and none was read, as nearly always.

        Return None if it must be awaited.
        """
        if not self.complete:
            return None
        body, self._body = self._body, b""  # or it would stay in memory until the response has been sent
        return bytes(body)

    async def read_some(self) -> bytes:
        """Wait for a piece of the body and return it; empty at the end.

        Raises:
            CallerGone: the client disconnected, or the framing of the body is broken.
        """
        while not self._body and not self.complete:
            if self._fault is not None:
                raise self._fault
            self._waiter = asyncio.get_running_loop().create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        data, self._body = bytes(self._body), b""
        self.connection.resume_reading()
        return data

    # The body, from the parser

    def feed(self, data: bytes) -> None:
        """Take a piece of the body."""
        if self.discarded:
            return
        if not self._body:
            self._body = data
        else:
            if isinstance(self._body, bytes):
                self._body = bytearray(self._body)
            self._body += data
        if len(self._body) > BODY_HIGH_WATER:
            self.connection.pause_reading()
        if self._waiter is not None:
            self._wake()

    def finish(self) -> None:
        """Note that the body is complete."""
        self.complete = True
        if self._waiter is not None:
            self._wake()

    def fail(self, fault: CallerGone) -> None:
        """Note that the body will never be complete."""
        if not self.complete and self._fault is None:
            self._fault = fault
            self._wake()

    def discard(self) -> None:
        """Drop the body, and what is still to come of it."""
        self.discarded = True
        self._body = b""

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
