"""One connection to an upstream server: one exchange at a time.

Any input that was not requested (bytes while idle, a second response, a response before the request was sent) makes the
connection unusable: if it were taken for the next response, one client would get what belongs to another.
"""

import asyncio
from collections.abc import Callable
from time import monotonic
from typing import Any, Final

import httptools

from ostiary_gateway.asyncio_internals import break_cycles, is_unsent
from ostiary_gateway.errors import UpstreamFault
from ostiary_gateway.upstream import faults
from ostiary_gateway.upstream.http1.deadlines import Deadlines
from ostiary_gateway.upstream.http1.known_heads import STATUS, KnownHeads
from ostiary_gateway.upstream.http1.request_head import Transmission
from ostiary_gateway.upstream.http1.status_line import USUAL, StatusLine, check_interim, not_http
from ostiary_gateway.upstream.http1.upstream_response import UpstreamResponse, broken_off
from ostiary_gateway.upstream.http1.upstream_transport import UpstreamTransport

_HEAD_LIMIT: Final = 64 * 1024
_HEADER_COUNT_LIMIT: Final = 200
#: Requests up to this size, in bytes, are sent at once: they fit into any socket's buffer.
_SMALL: Final = 2048
_TOO_LARGE: Final = "the head of the answer is too large"
_BODILESS: Final = frozenset({204, 304})


class UpstreamConnection(UpstreamTransport):
    """A protocol of asyncio and of llhttp.

    Its pool sets ``on_idle`` and ``on_lost``, called with it; ``on_continue`` is called when a body is asked for.
    """

    def __init__(self) -> None:
        super().__init__()
        self.on_idle: Any = None
        self.on_lost: Any = None
        self.on_continue: Callable[[], None] | None = None
        self._parser = httptools.HttpResponseParser(self)
        #: Kept, since getting it is a system call each time (CPython 3.11 checks whether the process has forked).
        self._loop: asyncio.AbstractEventLoop | None = None
        self._head: asyncio.Future[UpstreamResponse] | None = None
        self._response: UpstreamResponse | None = None
        self._headers: dict[bytes, bytes] = {}
        self._repeated = self._fed = 0
        self._body_ends_with_connection = False
        #: The final head came before the whole request was sent, so that the rest of it may still be in transit.
        self._answered_early = False
        self._line = StatusLine()
        #: When the head must have come, on the loop's clock.
        self.deadline = 0.0
        self.deadlines = Deadlines()
        #: The head that responses repeat; its pool has one for all its connections.
        self.known_heads = KnownHeads()
        self._seconds = 0.0
        #: Whether it was idle before the present exchange.
        self._is_kept = False

    async def exchange(
        self, request: bytes, *, seconds: float, transmission: Transmission | None = None, is_kept: bool = False
    ) -> UpstreamResponse:
        """Send a request and return its response once the head has come, within ``seconds``.

        Cancelling closes the connection. Of one that ``is_kept`` a fault says so: a server may close it just then.

        Raises:
            UpstreamFault: no response, none in time, or one that is not HTTP/1.1.
        """
        transport = self._transport
        if transport is None or not self.usable or self._head is not None or self._response is not None:
            raise broken_off()
        self._repeated = self._fed = 0
        self._sent = len(request)
        line = self._line
        line.is_final = False
        if not line.is_new:
            line.begin()
        if self._loop is None:
            self._loop = asyncio.get_running_loop()
        head: asyncio.Future[UpstreamResponse] = asyncio.Future(loop=self._loop)
        self._head = head
        self._seconds = seconds
        self._is_kept = is_kept
        self.deadline = deadline = monotonic() + seconds
        self.deadlines.add(self, deadline)
        if transmission is not None:
            transmission.is_written = True
        transport.write(request)
        try:
            return await head
        except asyncio.CancelledError:
            # The head may have come in the same iteration; a complete response has freed the connection for another.
            if head.done() and not head.cancelled() and head.exception() is None:
                head.result().close()
            else:
                self.close()
            raise

    def too_late(self) -> None:
        """Fail the exchange: the head did not come in time."""
        self._fail(UpstreamFault(faults.TIMEOUT, f"no answer within {self._seconds:g} s"))

    @property
    def has_heard(self) -> bool:
        """Whether any byte of a response came to the present or the last exchange."""
        return self._fed > 0

    @property
    def is_last(self) -> bool:
        """Whether the last response, a success, said that it is the last one."""
        return self._headers.get(b"connection", b"").lower() == b"close" and self._parser.get_status_code() < 300

    # asyncio.Protocol

    def data_received(self, data: bytes) -> None:
        """Parse what arrived."""
        if self._head is None and self._response is None:
            self.close()  # it was not requested
            return
        try:
            begins = self._line.is_new and not self._line.is_final and data.startswith(USUAL)
            # After an interim response llhttp must see the final one: the interim one may have ended the connection.
            known = self.known_heads.read(data) if begins and not self._fed else None
            if known is not None:
                self._take_known(*known)
                return
            self._feed(data, begins=begins)
        except UpstreamFault as fault:
            self._fail(fault)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self._fail(not_http(error))
        else:
            if begins and self._head is None and self._response is None and self.usable and not self._repeated:
                self.known_heads.note(data, self._headers)

    def _feed(self, data: bytes, *, begins: bool) -> None:
        self._fed += len(data)
        line = self._line
        if begins:
            line.is_final = True
        elif not line.is_final:
            data = line.feed(self._parser, data)
        self._parser.feed_data(data)
        # An endless head or trailer, which the parser holds: bytes count from the last piece of a body.
        if self._fed > _HEAD_LIMIT and (self._head is not None or self._response is not None):
            raise UpstreamFault(faults.INVALID, _TOO_LARGE)

    def _take_known(self, headers: dict[bytes, bytes], body: bytes) -> None:
        """Take a whole response whose head is known: what llhttp's callbacks do, without llhttp."""
        self._line.is_final = True
        self._fed = 0
        self._headers = headers
        self._body_ends_with_connection = False
        self._answered_early = self._sent > _SMALL and is_unsent(self._transport)
        response = UpstreamResponse(STATUS, headers, self)
        response.take_whole(body)
        self._hand_over(response)
        if self._answered_early or not self.usable:
            self.close()
        elif self.on_idle is not None:
            self.on_idle(self)

    def eof_received(self) -> bool:
        """End a body that has neither length nor chunks: it ends with the connection."""
        if self._response is not None and self._body_ends_with_connection:
            self._end_of_message(keeps=False)
        return False

    def connection_lost(self, error: Exception | None) -> None:
        """Fail or finish the exchange."""
        self.usable = False
        break_cycles(self._transport)
        self._transport = self._socket = None
        if self._response is not None and self._body_ends_with_connection and error is None:
            self._end_of_message(keeps=False)
        self._fail(broken_off())
        if self.on_lost is not None:
            self.on_lost(self)
        del self._parser  # a cycle, and the garbage collector runs rarely

    # llhttp

    def on_message_begin(self) -> None:
        """Refuse a second response to one request."""
        if self._head is None:
            raise UpstreamFault(faults.INVALID, "a response without a request")
        self._headers = {}

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a header; trailers are dropped."""
        if self._response is not None:
            return
        key, headers = name.lower(), self._headers
        if key in headers:
            value = self._joined(key, value)
        headers[key] = value  # their size is bounded by one read, and by what is fed

    def _joined(self, key: bytes, value: bytes) -> bytes:
        """Return the value of a repeated header, joined to the earlier one."""
        self._repeated += 1
        if self._repeated > _HEADER_COUNT_LIMIT:  # each join copies all earlier values
            raise UpstreamFault(faults.INVALID, _TOO_LARGE)
        return self._headers[key] + b", " + value.strip(b" \t")

    def on_headers_complete(self) -> None:
        """Hand the complete head to the exchange."""
        if len(self._headers) + self._repeated > _HEADER_COUNT_LIMIT:
            raise UpstreamFault(faults.INVALID, _TOO_LARGE)
        status = self._parser.get_status_code()
        if status < 200:
            check_interim(status)
            self._line.begin()
            if status == 100 and self.on_continue is not None:
                self.on_continue()
            return  # the final response is still to come
        self._fed = 0
        encoding = self._headers.get(b"transfer-encoding")
        # Tabs are not stripped: llhttp does not take "chunked" and a tab for chunked, and llhttp frames the body.
        if encoding is not None and encoding.strip(b" ").lower() != b"chunked":
            raise UpstreamFault(faults.INVALID, "a transfer encoding that was not asked for")
        length = b"content-length" in self._headers
        self._body_ends_with_connection = not length and encoding is None and status not in _BODILESS
        self._begin_response(status)

    def _begin_response(self, status: int) -> None:
        self._answered_early = self._sent > _SMALL and is_unsent(self._transport)
        self._response = response = UpstreamResponse(status, self._headers, self)
        self._hand_over(response)

    def _hand_over(self, response: UpstreamResponse) -> None:
        """Give the response to who waits for it."""
        head = self._take_head()
        if head is None:
            return
        if head.done():
            # Who waited was cancelled, and closes the connection in the next iteration: no other exchange may begin.
            self.usable = False
        else:
            head.set_result(response)

    def on_body(self, data: bytes) -> None:
        """Pass on a piece of the body."""
        self._fed = 0
        if self._response is not None:
            self._response.feed(data)

    def on_message_complete(self) -> None:
        """Finish the response, unless it was an interim one."""
        if self._response is not None:
            self._end_of_message(keeps=self._parser.should_keep_alive())

    def _take_head(self) -> asyncio.Future[UpstreamResponse] | None:
        """Return the future that waits for a head, and forget it."""
        self.deadlines.remove(self)
        head, self._head = self._head, None
        return head

    def _end_of_message(self, *, keeps: bool) -> None:
        response, self._response = self._response, None
        keep = keeps and not (self._body_ends_with_connection or self._answered_early)
        if response is not None:
            response.finish()
        if not keep or not self.usable:
            self.close()
        elif self.on_idle is not None:
            self.on_idle(self)

    def _fail(self, fault: UpstreamFault) -> None:
        self.usable = False
        head = self._take_head()
        if head is not None and not head.done():
            fault.of_idle_connection = self._is_kept and fault.kind == faults.RESET and not self._fed
            head.set_exception(fault)
        if self._response is not None:
            self._response.fail(fault)
            self._response = None
        if self._transport is not None:
            self._transport.abort()
