"""One connection of a caller: requests in their order, one handled at a time.

head → handler → answer → the next. A request that came early waits, and nothing more is read meanwhile. Deadlines are
looked at by the listener's sweep, once a second: no request pays for a timer.
"""

import asyncio
import logging
from enum import Enum, auto
from typing import TYPE_CHECKING, Any, Final

from ostiary_core import strict_json
from ostiary_gateway.errors import CallerGone
from ostiary_gateway.server.channel import Channel
from ostiary_gateway.server.limits import EARLY_REQUESTS, LEAST_TAKEN_BYTES, SLICE_BYTES
from ostiary_gateway.server.parser import BadRequestError, RequestParser
from ostiary_gateway.server.request import Request
from ostiary_gateway.server.response import Response, ResponseStream
from ostiary_gateway.transports import break_cycles

if TYPE_CHECKING:
    from ostiary_gateway.server.listener import Listener

_log: Final = logging.getLogger(__name__)

_NEVER: Final = float("inf")
_JSON: Final = {"Content-Type": "application/json"}


class _Phase(Enum):
    """What a connection waits for."""

    HEAD = auto()
    ANSWER = auto()
    #: Answered before the body was whole: the rest is read and dropped, then the next request may come.
    REST = auto()
    #: Answered whole, and the caller has not taken it yet: the next request waits, or answers would pile up.
    TAKING = auto()
    #: Our last word is said: what still comes is dropped until the caller closes.
    END = auto()


#: Asked for several times a request, and a member costs more through its class than what is done with it.
_HEAD, _ANSWER, _REST, _TAKING, _END = _Phase


class Connection(Channel):
    """A protocol of asyncio. ``bound`` is a task that ends with the caller, ``stream`` the answer begun as a stream."""

    def __init__(self, listener: "Listener") -> None:
        super().__init__(listener)
        self.bound: asyncio.Task[Any] | None = None
        self.stream: ResponseStream | None = None
        self.task: asyncio.Task[None] | None = None
        #: Kept for the listener's gate: whom the connection is counted for.
        self.source: Any = None
        #: Likewise: what is counted as held until the caller has taken his answer.
        self.holding: Any = None
        #: How many bytes are held of requests that nobody works on: a head in pieces, and what came early.
        self.unasked = 0
        self._parser = RequestParser(self, self._begun, listener.limits)
        self._current: Request | None = None
        self._waiting: list[Request] = []
        self._unparsed = b""
        self._bad: BadRequestError | None = None
        self._turned_away: Response | None = None
        self._phase = _HEAD
        self._deaf = False
        self._deadline = listener.now() + listener.limits.head_seconds

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask whether the caller may come in."""
        super().connection_made(transport)
        self._turned_away = self._listener.opened(self)

    @property
    def is_turned_away(self) -> bool:
        """Whether the listener did not let it in."""
        return self._turned_away is not None

    def secured(self, transport: asyncio.Transport) -> None:
        """Speak TLS from now on; time for the first head begins anew."""
        self._below = self._transport
        self._transport = transport
        self._deadline = self._listener.now() + self._listener.limits.head_seconds

    def data_received(self, data: bytes) -> None:
        """Parse what arrived, unless nobody would read it."""
        if self._phase is _END or self._bad is not None or self._deaf:
            return
        if self._unparsed:
            self._unparsed += data  # TLS had decrypted more when reading was paused
            self._count_unasked(len(data))
            return
        try:
            self._parse(data)
        except BadRequestError as error:
            self._refuse(error)
            return
        if self._parser.in_head or self._waiting or self.unasked:
            self._count_unasked(len(data))
        if self._phase is _HEAD and self._parser.in_head:
            self._deadline = min(self._deadline, self._listener.now() + self._listener.limits.head_seconds)
        elif self._phase is _REST and self._current is not None and self._current.complete:
            self._next()

    def _count_unasked(self, arrived: int) -> None:
        """Tell what is held that no one works on. What waits came in one piece, since reading stops then."""
        early = max(self.unasked, arrived) if self._waiting or self._unparsed else 0
        size = early or self._parser.partial
        if size != self.unasked:
            change, self.unasked = size - self.unasked, size
            self._listener.waits(self, change)

    def shed(self) -> None:
        """Give up what is held that no one works on: there is too much of it."""
        if self._phase is _HEAD:
            self._refuse(BadRequestError(503, "GatewayFull", "There is no room for a request that comes in pieces"))
        elif self._phase is _ANSWER:
            self.take_no_more()
        else:
            self.abort()
        if self._current is None or self._current.complete:
            self._parser.release()  # with what it holds of a head
            self._parser = RequestParser(self, self._begun, self._listener.limits)
        self._count_unasked(0)

    def resume_reading(self) -> None:
        """Read on, unless what was read waits already."""
        if not self._waiting and not self._unparsed:
            super().resume_reading()

    def take_no_more(self) -> None:
        """Let the answer that is being given be the last: a stream may stay for days, and what came early would too.

        Reading goes on all the same, so that a caller who goes is noticed.
        """
        self._deaf = True
        self._waiting.clear()
        self._unparsed = b""
        if self._current is not None:
            self._current.keep_alive = False
        self.resume_reading()

    def _parse(self, data: bytes) -> None:
        """Parse slice by slice, for as long as no more requests came early than may."""
        if len(data) <= SLICE_BYTES:
            self._parser.feed(data)
            return
        for place in range(0, len(data), SLICE_BYTES):
            if len(self._waiting) >= EARLY_REQUESTS:
                self._unparsed = data[place:]
                return
            self._parser.feed(data[place : place + SLICE_BYTES])

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  asyncio's name
        """End what ends with the caller, and tell whoever reads or writes."""
        self.lost = True
        self._listener.closed(self)
        gone = CallerGone("the caller is gone")
        for request in (self._parser.request, *self._waiting):
            if request is not None:
                request.fail(gone)
        self._waiting.clear()
        self._unparsed = b""
        if self._drained is not None and not self._drained.done():
            self._drained.set_exception(gone)
        if self.bound is not None:
            self.bound.cancel()
        # Else the collector had to find them: connections that lived long would be found late.
        self._parser.release()
        self._current = None
        self._below = None
        break_cycles(self._transport)

    def resume_writing(self) -> None:
        """He has taken it."""
        self._listener.taken(self)
        super().resume_writing()
        if self._phase is _TAKING:
            self._next()

    # Requests

    def _begun(self, request: Request) -> None:
        if self._phase is _END:
            return  # our last word was said within the piece that is being parsed
        if self._turned_away is not None:
            self._current = request
            self._answered(request, self._turned_away)
        elif self._phase is _HEAD:
            self._start(request)
        else:
            self._waiting.append(request)
            self.pause_reading()

    def _start(self, request: Request) -> None:
        self._phase = _ANSWER
        self._current = request
        self._deadline = _NEVER
        self.task = self._listener.loop.create_task(self._answer(request), name="answer")

    async def _answer(self, request: Request) -> None:
        try:
            response = await self._listener.handler(request)
            if not self.lost:
                self._answered(request, response)
        except asyncio.CancelledError:
            self.abort()
            raise
        except CallerGone:
            self.abort()
        except Exception:  # noqa: BLE001  the line answers for its own bugs: this is what even that could not
            _log.critical("a request failed without an answer: this is a bug of the gateway", exc_info=True)
            self.abort()
        finally:
            if self.lost:
                self.task = self.stream = None

    def _answered(self, request: Request, response: Response | None) -> None:
        """Send an answer, or the end of one that was a stream, and go on with what comes next."""
        self.task = None
        if response is not None:
            keep = self.keeps(request) and not response.close
            self._transport.write(response.encoded(request, keep=keep))
        elif self.stream is None or not self.stream.ended:
            self.abort()  # an answer that broke off must not look whole
            return
        else:
            # As its head said, or the caller's next request would cross with our closing.
            keep = self.stream.keep and request.keep_alive
        self.stream = None
        if self.holding is not None and self.stalled_since is None:
            self._listener.taken(self)
        if not keep:
            self._say_goodbye()
        elif request.complete:
            self._next()
        else:
            request.discard()
            self._phase = _REST
            self._deadline = self._listener.now() + self._listener.limits.linger_seconds
            self.resume_reading()

    def keeps(self, request: Request) -> bool:
        """Say whether another request may follow this one."""
        if request.holds_back:
            # He may send the body that he was not asked for, or the next request: what comes could be read in two ways.
            request.keep_alive = False
        return request.keep_alive and not self._listener.leaving

    def _next(self) -> None:
        if self.stalled_since is not None:
            self._phase = _TAKING
            self._deadline = _NEVER
            return
        self._phase = _HEAD
        self._current = None
        if self._below is not None:
            self._unsent = self.unsent  # over TLS nobody tells us that he takes nothing
        if self._unparsed and not self._waiting:
            self._parse_what_waited()
        if self._phase is not _HEAD:
            pass
        elif self._waiting:
            self._start(self._waiting.pop(0))
        elif self._bad is not None:
            self._refuse(self._bad)
        elif self._listener.closing:
            self._say_goodbye()
        else:
            limits = self._listener.limits
            seconds = limits.head_seconds if self._parser.in_head else limits.keep_seconds
            self._deadline = self._listener.now() + seconds
        if self.unasked or self._waiting:
            self._count_unasked(0)
        self.resume_reading()

    def _parse_what_waited(self) -> None:
        data, self._unparsed = self._unparsed, b""
        try:
            self._parse(data)
        except BadRequestError as error:
            self._refuse(error)

    def _refuse(self, error: BadRequestError) -> None:
        """Answer what is no request, behind the answers that are due before it. Nothing behind it can be read."""
        self._bad = error
        broken = self._parser.request
        if broken is not None:
            broken.fail(CallerGone("the body's framing is broken"))
            broken.keep_alive = False
        if self._phase is _REST:
            self._say_goodbye()
        if self._phase is not _HEAD:
            return
        body = strict_json.dumps({"error": error.reason, "message": error.message})
        self.refuse(Response(error.status, body, _JSON))

    def refuse(self, response: Response) -> None:
        """Answer a connection without a request, and end it."""
        request = Request(
            self, method="", target="", headers={}, repeated=frozenset(), minor_version=1, keep_alive=False
        )
        self._transport.write(response.encoded(request, keep=False))
        self._say_goodbye()

    def _say_goodbye(self) -> None:
        """Close our half, so that the answer arrives; then drop what still comes, for a while."""
        self._phase = _END
        self._linger(self._listener.now())
        self._waiting.clear()
        self._unparsed = b""
        if self._transport.can_write_eof():
            try:
                self._transport.write_eof()
            except OSError:  # a caller who has reset the connection, of which we were not told yet
                self.abort()
        else:
            self._close_tls()
        self.resume_reading()

    def _close_tls(self) -> None:
        """TLS has no half to close, and asyncio cuts off what is not taken soon after it closed."""
        if not self._unsent and (self._current is None or self._current.complete):
            self._transport.close()

    def _linger(self, now: float) -> None:
        """Give a caller time to close, or to take first what is left for him."""
        limits = self._listener.limits
        self._unsent = self.unsent
        self._deadline = now + (limits.stall_seconds if self._unsent else limits.linger_seconds)

    # Deadlines, and the end

    def overdue(self, now: float) -> bool:
        """Say whether the connection has had its time."""
        if self._unsent and (self.stalled_since is not None or self._phase in (_END, _HEAD)):
            self._look_what_he_took(now)
        stalled = self.stalled_since
        return now > self._deadline or (stalled is not None and now - stalled > self._listener.limits.stall_seconds)

    def _look_what_he_took(self, now: float) -> None:
        """A slow caller has all the time that he makes use of."""
        left = self.unsent
        if self._unsent - left < min(LEAST_TAKEN_BYTES, self._unsent):
            return
        self._unsent = left
        if self.stalled_since is not None:
            self.stalled_since = now
        if self._phase is _END:
            self._linger(now)
            if self._below is not None:
                self._close_tls()
        elif self._phase is _HEAD and not self._parser.in_head:
            self._deadline = now + max(self._listener.limits.keep_seconds, self._listener.limits.stall_seconds)

    def end_overdue(self) -> None:
        """End a connection that has had its time; a head that did not become whole is told so."""
        if self._phase is _HEAD and self._parser.in_head and self.stalled_since is None:
            self._refuse(BadRequestError(408, "HeadTooSlow", "The head of the request did not arrive in time"))
        else:
            self.abort()

    @property
    def idle(self) -> bool:
        """Whether no request is being handled."""
        return self._phase is not _ANSWER

    @property
    def takes(self) -> bool:
        """Whether the caller may still take what was answered: closing now could eat it."""
        return bool(self.unsent) or self._phase in (_END, _REST)

    def leave(self) -> None:
        """Close a connection on which nothing is being handled, once the caller has what was answered."""
        if not self.takes:
            self.abort()
        elif self._phase is not _END:
            self._say_goodbye()
