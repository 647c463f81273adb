"""Phases and deadlines of one connection, and its orderly end (RFC 9112 §9.6).

The listener checks deadlines once a second, so that no request pays for a timer.
"""

from enum import Enum, auto

from ostiary_gateway.server.bad_request import BadRequestError, head_too_slow
from ostiary_gateway.server.connection_limits import LEAST_TAKEN_BYTES
from ostiary_gateway.server.host import TransportHost
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

NEVER = float("inf")


class TimedConnection(ConnectionTransport):
    """A connection with deadlines.

    It ends by itself, beyond its deadline, or once its last response has been taken.
    """

    def __init__(self, listener: TransportHost) -> None:
        super().__init__(listener)
        self._current: Request | None = None
        self._phase: Phase = HEAD
        self._deadline = listener.now() + listener.limits.head_seconds

    @property
    def _in_head(self) -> bool:
        """Whether a head has begun and is not complete."""
        raise NotImplementedError

    def _drop_waiting(self) -> None:
        """Drop the input that is not being handled."""
        raise NotImplementedError

    def _refuse(self, error: BadRequestError, /) -> None:
        """Answer input that is not a request."""
        raise NotImplementedError

    def _close_gracefully(self) -> None:
        """Close our half, so that the response arrives; then drop input for a while."""
        self._phase = END
        self._linger(self._listener.now())
        self._drop_waiting()
        if self._transport.can_write_eof():
            try:
                self._transport.write_eof()
            except OSError:  # the client has reset the connection, and asyncio has not reported it yet
                self.abort()
        else:
            self._close_tls()
        self.resume_reading()

    def _close_tls(self) -> None:
        """Close TLS, which cannot be half closed, once all is sent.

        After closing, asyncio soon drops the rest.
        """
        if not self._unsent and (self._current is None or self._current.complete):
            self._transport.close()

    def _linger(self, now: float) -> None:
        """Give a client time to close, and before that to take what is waiting for it."""
        limits = self._listener.limits
        self._unsent = self.unsent
        self._deadline = now + (limits.stall_seconds if self._unsent else limits.linger_seconds)

    def overdue(self, now: float) -> bool:
        """Return whether the connection is beyond its deadline."""
        if self._unsent and (self.stalled_since is not None or self._phase in (END, HEAD)):
            self._note_progress(now)
        stalled = self.stalled_since
        return now > self._deadline or (stalled is not None and now - stalled > self._listener.limits.stall_seconds)

    def _note_progress(self, now: float) -> None:
        """Give a slow client more time for as long as it keeps taking bytes."""
        left = self.unsent
        if self._unsent - left < min(LEAST_TAKEN_BYTES, self._unsent):
            return
        self._unsent = left
        if self.stalled_since is not None:
            self.stalled_since = now
        if self._phase is END:
            self._linger(now)
            if self._below is not None:
                self._close_tls()
        elif self._phase is HEAD and not self._in_head:
            self._deadline = now + max(self._listener.limits.keep_seconds, self._listener.limits.stall_seconds)

    def end_overdue(self) -> None:
        """End a connection that is beyond its deadline; an incomplete head is answered with 408."""
        if self._phase is HEAD and self._in_head and self.stalled_since is None:
            self._refuse(head_too_slow())
        else:
            self.abort()

    @property
    def idle(self) -> bool:
        """Whether no request is being handled."""
        return self._phase is not ANSWER

    @property
    def is_flushing(self) -> bool:
        """Whether the client may still be taking a response: closing now could lose it."""
        return bool(self.unsent) or self._phase in (END, REST)

    def close_idle(self) -> None:
        """Close a connection without a request, once the client has its response."""
        if not self.is_flushing:
            self.abort()
        elif self._phase is not END:
            self._close_gracefully()
