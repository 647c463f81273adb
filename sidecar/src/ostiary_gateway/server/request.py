"""A request: its head whole, its body as it arrives."""

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING

from ostiary_gateway.errors import CallerGone
from ostiary_gateway.server.limits import BODY_HIGH_WATER

if TYPE_CHECKING:
    from ostiary_gateway.server.connection import Connection


class Request:
    """One request.

    ``target`` is what stood on its first line, untouched. ``headers`` have lower-case names; values of a header that
    stood more than once are joined by commas, and ``repeated`` names it. Bytes that are no UTF-8 are surrogates.
    """

    __slots__ = (
        "_body",
        "_fault",
        "_waiter",
        "answer_headers",
        "complete",
        "connection",
        "discarded",
        "headers",
        "invited",
        "keep_alive",
        "method",
        "minor_version",
        "repeated",
        "target",
    )

    def __init__(
        self,
        connection: "Connection",
        *,
        method: str,
        target: str,
        headers: Mapping[str, str],
        repeated: frozenset[str],
        minor_version: int,
        keep_alive: bool,
    ) -> None:
        self.connection = connection
        self.method = method
        self.target = target
        self.headers = headers
        self.repeated = repeated
        #: 1 for HTTP/1.1, 0 for HTTP/1.0.
        self.minor_version = minor_version
        self.keep_alive = keep_alive
        #: Whether the body has arrived whole.
        self.complete = False
        self.discarded = False
        #: What the answer bears besides its own headers, whatever it will be.
        self.answer_headers: Mapping[str, str] | None = None
        #: Whether a sender who holds his body back was asked for it.
        self.invited = False
        #: What is there and was not taken. Pieces are joined as they come: a thousand small ones must not take more.
        self._body: bytes | bytearray = b""
        self._fault: CallerGone | None = None
        self._waiter: asyncio.Future[None] | None = None

    @property
    def path(self) -> str:
        """The target without its query."""
        return self.target.partition("?")[0]

    @property
    def declared_length(self) -> int:
        """What Content-Length says, 0 where there is none; the parser has seen to it that it is a number."""
        # Python refuses to read thousands of digits, be they zeros.
        return int(self.headers.get("content-length", "").lstrip("0") or 0)

    @property
    def has_body(self) -> bool:
        """Whether a body comes with the head, be it there yet or not."""
        return "transfer-encoding" in self.headers or self.declared_length > 0

    @property
    def holds_back(self) -> bool:
        """Whether the sender may be waiting to be asked for his body (RFC 9110 §10.1.1), and was not."""
        return not self.complete and not self.invited and bool(self.minor_version) and self._expects

    @property
    def _expects(self) -> bool:
        return self.headers.get("expect", "").lower() == "100-continue"

    def bind_to_caller(self) -> None:
        """Have the current task cancelled if the caller goes away, until :meth:`release_from_caller`.

        Raises:
            asyncio.CancelledError: he is gone already.
        """
        if self.connection.lost:
            raise asyncio.CancelledError
        self.connection.bound = asyncio.current_task()

    def release_from_caller(self) -> None:
        """Go on though the caller goes away."""
        self.connection.bound = None

    # The body, for whoever reads it

    def whole_body(self) -> bytes | None:
        """Return the body if all of it is there and none was taken, as nearly always; None where it must be awaited."""
        if not self.complete:
            return None
        body, self._body = self._body, b""  # or it would be held until the answer has gone out
        return bytes(body)

    async def read_some(self) -> bytes:
        """Return what has arrived of the body, waiting for something; empty at its end.

        Raises:
            CallerGone: he broke off, or what came is no body.
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

    def invite(self) -> None:
        """Ask for a body that its sender holds back until he knows that it is welcome (RFC 9110 §10.1.1)."""
        if self.holds_back:
            self.invited = True
            if not self._body:
                self.connection.write(b"HTTP/1.1 100 Continue\r\n\r\n")

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
        self._wake()

    def finish(self) -> None:
        """The body is whole."""
        self.complete = True
        self._wake()

    def fail(self, fault: CallerGone) -> None:
        """The body will not become whole."""
        if not self.complete and self._fault is None:
            self._fault = fault
            self._wake()

    def discard(self) -> None:
        """Nobody will read what is still to come."""
        self.discarded = True
        self._body = b""

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
