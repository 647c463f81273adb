"""The input of one connection.

It is parsed into requests, of which the early ones are queued (RFC 9112 §9.3.2).

While requests are queued nothing more is read. What has been received and is not being handled is counted.
"""

from enum import Enum, auto

from ostiary_gateway.server.connection_limits import EARLY_REQUESTS, SLICE_BYTES
from ostiary_gateway.server.host import TransportHost
from ostiary_gateway.server.parser import BadRequestError, RequestParser
from ostiary_gateway.server.request import Request
from ostiary_gateway.server.transport import ConnectionTransport


class Phase(Enum):
    """What a connection waits for."""

    #: The next head.
    HEAD = auto()
    #: The response of the handler.
    ANSWER = auto()
    #: The rest of a body whose request was answered early: it is read and dropped, then the next request may come.
    REST = auto()
    #: The client, which has not taken a whole response yet: the next request waits, or responses would pile up.
    TAKING = auto()
    #: The end of the connection. The last response has been sent, and input is dropped until the client closes.
    END = auto()


#: Read several times a request; an attribute of the class would cost more than the comparison.
HEAD, ANSWER, REST, TAKING, END = Phase


class PipelinedInput(ConnectionTransport):
    """The receiving half of a connection. A subclass handles the requests."""

    def __init__(self, listener: TransportHost) -> None:
        super().__init__(listener)
        #: How many bytes are held of requests that are not being handled: an incomplete head, and pipelined requests.
        self.unhandled = 0
        self._parser = self._new_parser()
        self._current: Request | None = None
        self._waiting: list[Request] = []
        self._unparsed = b""
        self._bad: BadRequestError | None = None
        self._phase: Phase = HEAD
        self._ignores_input = False
        self._deadline = listener.now() + listener.limits.head_seconds

    def _new_parser(self) -> RequestParser:
        raise NotImplementedError

    def _next(self) -> None:
        """Handle the next request, or wait for one."""
        raise NotImplementedError

    def _refuse(self, error: BadRequestError, /) -> None:
        """Answer input that is not a request."""
        raise NotImplementedError

    def _unhandled_changed(self, change: int, /) -> None:
        """Report that :attr:`unhandled` has changed."""
        raise NotImplementedError

    def data_received(self, data: bytes) -> None:
        """Parse what arrived, unless it would be dropped."""
        if self._phase is END or self._bad is not None or self._ignores_input:
            return
        if self._unparsed:
            self._unparsed += data  # TLS had decrypted more when reading was paused
            self._count_unhandled(len(data))
            return
        try:
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
        if len(data) <= SLICE_BYTES:
            self._parser.feed(data)
            return
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
            self._unhandled_changed(change)

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
        self.resume_reading()

    def _drop_waiting(self) -> None:
        self._waiting.clear()
        self._unparsed = b""
