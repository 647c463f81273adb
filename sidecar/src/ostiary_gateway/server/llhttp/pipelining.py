"""The input of one connection.

It is parsed into requests, of which the early ones are queued (RFC 9112 §9.3.2).

While requests are queued nothing more is read. What has been received and is not being handled is counted.
"""

from typing import Final

from ostiary_gateway.asyncio_internals import forget_addresses
from ostiary_gateway.server.bad_request import BadRequestError
from ostiary_gateway.server.connection import Connection
from ostiary_gateway.server.connection_limits import EARLY_REQUESTS, SLICE_BYTES
from ostiary_gateway.server.host import ConnectionHost
from ostiary_gateway.server.llhttp.parser import RequestParser
from ostiary_gateway.server.llhttp.request import LlhttpRequest
from ostiary_gateway.server.teardown import END, HEAD, REST


class SpentParser:
    """Takes the place of the parser of a connection whose input is ignored from now on.

    An open stream has nothing to parse for days, and a parser takes more than 1 KiB.
    """

    __slots__ = ()
    in_head: Final = False
    request: Final = None
    partial: Final = 0

    def feed(self, data: bytes) -> None:
        """Drop it."""

    def release(self) -> None:
        """Do nothing: it refers to nothing."""


_SPENT: Final = SpentParser()


class PipelinedInput(Connection):
    """The receiving half of a connection. A subclass handles the requests."""

    def __init__(self, listener: ConnectionHost) -> None:
        super().__init__(listener)
        self._parser: RequestParser | SpentParser = self._new_parser()
        self._waiting: list[LlhttpRequest] = []
        self._unparsed = b""
        self._bad: BadRequestError | None = None
        self._ignores_input = False

    def _new_parser(self) -> RequestParser:
        raise NotImplementedError

    @property
    def _in_head(self) -> bool:
        """Whether a head has begun and is not complete."""
        return self._parser.in_head

    def data_received(self, data: bytes) -> None:
        """Parse what arrived, unless it would be dropped."""
        if self._phase is END or self._bad is not None or self._ignores_input:
            return
        if self._unparsed:
            self._unparsed += data  # TLS had decrypted more when reading was paused
            self._count_unhandled(len(data))
            return
        try:
            if len(data) <= SLICE_BYTES:
                self._parser.feed(data)
            else:
                self._parse(data)
        except BadRequestError as error:
            self._refuse(error)
            return
        if self._parser.in_head or self._waiting or self.unhandled:
            self._count_unhandled(len(data))
        if self._phase is HEAD and self._parser.in_head:
            self._deadline = min(self._deadline, self._listener.now() + self._listener.limits.head_seconds)
        elif self._phase is REST and self._current is not None and self._current.complete:
            self._next()

    def _parse(self, data: bytes) -> None:
        """Parse slice by slice, until the most requests are queued that may be."""
        for place in range(0, len(data), SLICE_BYTES):
            if len(self._waiting) >= EARLY_REQUESTS:
                self._unparsed = data[place:]
                return
            self._parser.feed(data[place : place + SLICE_BYTES])

    def _parse_what_waited(self) -> None:
        data, self._unparsed = self._unparsed, b""
        try:
            self._parse(data)
        except BadRequestError as error:
            self._refuse(error)

    def _count_unhandled(self, arrived: int) -> None:
        """Report the bytes that are held and not being handled.

        Those that wait came in one piece: reading stops.
        """
        early = max(self.unhandled, arrived) if self._waiting or self._unparsed else 0
        size = early or self._parser.partial
        if size != self.unhandled:
            change, self.unhandled = size - self.unhandled, size
            self._listener.unhandled_changed(self, change)

    def resume_reading(self) -> None:
        """Continue to read, unless input is waiting already."""
        if not self._waiting and not self._unparsed:
            super().resume_reading()

    def accept_no_more(self) -> None:
        """Make the current response the last.

        A stream may stay open for days, and pipelined requests would wait.

        Reading continues, so that the end of the connection is noticed.
        """
        self._ignores_input = True
        self._drop_waiting()
        if self._current is not None:
            self._current.keep_alive = False
        if self._current is None or self._current.complete:
            self._drop_parser()
            forget_addresses(self._transport)
        self.resume_reading()

    def _drop_parser(self) -> None:
        """Release the parser, with what it holds of a head: nothing is parsed any more."""
        self._parser.release()
        self._parser = _SPENT

    def _drop_waiting(self) -> None:
        self._waiting.clear()
        self._unparsed = b""
