"""A response as it arrives.

Its body is read piece by piece; a slow reader slows the server, and no memory grows.
"""

import asyncio
from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING, Final, Protocol

from ostiary_gateway.errors import UpstreamFault
from ostiary_gateway.upstream import faults
from ostiary_gateway.upstream.http1.deadlines import deadlines_of

if TYPE_CHECKING:
    from ostiary_gateway.upstream.endpoint import UpstreamEndpoint

#: Buffered bytes at which the connection stops reading, until they have been read.
HIGH_WATER: Final = 256 * 1024
_PLAIN: Final = (b"identity", b"")
_FOREVER: Final = float("inf")


class ResponseConnection(Protocol):
    """What a response needs of its connection."""

    def close(self) -> None:
        """Close at once."""

    def pause(self) -> None:
        """Stop reading until :meth:`resume`."""

    def resume(self) -> None:
        """Continue to read."""


class UpstreamResponse:
    """One response. ``status`` and headers are complete from the start.

    :meth:`read_some` returns the body.

    ``released`` is called once, when the response has been closed. ``endpoint`` has sent it, None where its server has
    one. ``is_made_here`` where the gateway has answered in the place of its server, which was not asked.
    """

    __slots__ = (
        "_chunks",
        "_connection",
        "_headers",
        "_paused",
        "_size",
        "_waiter",
        "complete",
        "content_type",
        "deadline",
        "encoded",
        "endpoint",
        "fault",
        "is_made_here",
        "released",
        "status",
    )

    def __init__(self, status: int, headers: dict[bytes, bytes], connection: ResponseConnection) -> None:
        self.status = status
        self.complete = False
        self._headers = headers
        #: The media type, without its parameters.
        self.content_type = _media_type(headers[b"content-type"]) if b"content-type" in headers else ""
        #: Whether the body has a content encoding, such as compression.
        self.encoded = b"content-encoding" in headers and headers[b"content-encoding"].strip().lower() not in _PLAIN
        self.released: Callable[[], None] | None = None
        self.endpoint: UpstreamEndpoint | None = None
        self.is_made_here = False
        self._chunks: list[bytes] = []
        self._size = 0
        #: Why the body broke off before its end; None if it did not.
        self.fault: UpstreamFault | None = None
        self._waiter: asyncio.Future[bool] | None = None
        #: When the next piece must have come, on the loop's clock; 0 where none is awaited, or for any time.
        self.deadline = 0.0
        self._paused = False
        self._connection = connection

    def header(self, name: str) -> str | None:
        """Return a header by its name in any case, None without it.

        Repeated values are joined by commas.
        """
        value = self._headers.get(name.lower().encode("latin-1"))
        return value.decode("latin-1").strip(" \t") if value is not None else None

    def forget_headers(self) -> None:
        """Drop the headers: a stream is open for days, and only its beginning needs them.

        Its connection reads in the same headers whether it is the last one.
        """
        if self.complete or self.fault is not None:
            return  # they may belong to other responses, too
        last = self._headers.get(b"connection")
        self._headers.clear()
        if last is not None:
            self._headers[b"connection"] = last

    def ready(self) -> bytes | None:
        """Return what has arrived, without waiting: empty at the end, None if more must be awaited."""
        if self._chunks:
            return self._take()
        return b"" if self.complete else None

    def at_hand(self, most: int) -> bytes | None:
        """Return the rest of the body if all of it has arrived and it has at most ``most`` bytes.

        Else None.
        """
        if not self.complete or self._size > most or not self._chunks:
            return None
        return self._take()

    def put_back(self, data: bytes) -> None:
        """Have what :meth:`at_hand` returned read again."""
        self._chunks.insert(0, data)
        self._size += len(data)

    async def read_some(self, seconds: float) -> bytes:
        """Return what has arrived, waiting at most ``seconds`` for it; empty at the end.

        Raises:
            UpstreamFault: the body broke off before its end.
            TimeoutError: nothing arrived.
        """
        while not self._chunks:
            if self.fault is not None:
                raise self.fault
            if self.complete:
                return b""
            if not await self.arrival(seconds):
                raise TimeoutError
        return self._take()

    def arrival(self, seconds: float) -> asyncio.Future[bool]:
        """Return what to await until something has come, be it the end.

        It is False after ``seconds`` without anything.

        It is no coroutine, and has no timer of its own: thousands of open streams wait here for days.
        """
        if self._paused:
            self._resume()
        loop = asyncio.get_running_loop()
        waiter = self._waiter = loop.create_future()
        if seconds < _FOREVER:
            self.deadline = loop.time() + seconds
            deadlines_of(loop).add(self, self.deadline)
        return waiter

    def too_late(self) -> None:
        """Tell the reader that nothing has come in time."""
        self.deadline = 0.0
        self._tell(has_come=False)

    def close(self) -> None:
        """Release the response: unless all of it has arrived, its connection is closed."""
        if self._waiter is not None and self._waiter.done():
            self._wait_no_longer()  # its reader was cancelled
        self._chunks.clear()
        if not self.complete:
            self._connection.close()
        released, self.released = self.released, None
        if released is not None:
            released()

    def _take(self) -> bytes:
        data = self._chunks[0] if len(self._chunks) == 1 else b"".join(self._chunks)
        self._chunks.clear()
        self._size = 0
        if self._paused:
            self._resume()
        return data

    def hold_back(self) -> None:
        """Stop reading from the server until what has arrived is read, however little that is."""
        if not self._paused and not self.complete and self.fault is None:
            self._paused = True
            self._connection.pause()

    def _resume(self) -> None:
        self._paused = False
        self._connection.resume()

    # From the connection:

    def take_whole(self, data: bytes) -> None:
        """Take the whole body, before anyone has asked for it."""
        self._chunks.append(data)
        self._size = len(data)
        self.complete = True

    def feed(self, data: bytes) -> None:
        """Take a piece of the body."""
        self._chunks.append(data)
        self._size += len(data)
        if self._size > HIGH_WATER:
            self.hold_back()
        if self._waiter is not None:
            self._wake()

    def finish(self) -> None:
        """Note that the body is complete.

        The connection belongs to another request now, so it must be reading.
        """
        self.complete = True
        if self._paused:
            self._resume()
        if self._waiter is not None:
            self._wake()

    def fail(self, fault: UpstreamFault) -> None:
        """Note that the body will never be complete. What has arrived can still be read."""
        if not self.complete and self.fault is None:
            self.fault = fault
            if self._waiter is not None:
                self._wake()

    def _wake(self) -> None:
        self._wait_no_longer()
        self._tell(has_come=True)

    def _wait_no_longer(self) -> None:
        if self.deadline and self._waiter is not None:
            self.deadline = 0.0
            deadlines_of(self._waiter.get_loop()).remove(self)

    def _tell(self, *, has_come: bool) -> None:
        waiter, self._waiter = self._waiter, None
        if waiter is not None and not waiter.done():
            waiter.set_result(has_come)


@lru_cache(maxsize=64)
def _media_type(content_type: bytes) -> str:
    return content_type.decode("latin-1").partition(";")[0].strip().lower()


def broken_off() -> UpstreamFault:
    """Return the fault of a connection that ended too early."""
    return UpstreamFault(faults.RESET, "the connection ended before the answer was whole")
