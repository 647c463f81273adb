"""The input of one connection, as it is passed to aiohttp within bounds."""

import asyncio

from ostiary_gateway.server.aiohttp_web.head_input import HeadInput
from ostiary_gateway.server.aiohttp_web.request import AiohttpRequest
from ostiary_gateway.server.bad_request import BadRequestError, bad_request, too_much_framing
from ostiary_gateway.server.connection import Connection
from ostiary_gateway.server.connection_limits import FRAMING_BYTES, FRAMING_EACH
from ostiary_gateway.server.host import ConnectionHost
from ostiary_gateway.server.teardown import END, HEAD, REST


class PassedInput(Connection):
    """The receiving half of a connection. A subclass handles the requests."""

    _current: AiohttpRequest | None

    def __init__(self, listener: ConnectionHost) -> None:
        super().__init__(listener)
        self._protocol: asyncio.Protocol | None = None
        self._aiohttp_paused = False
        #: What was passed to aiohttp, from the next head on.
        self._input = HeadInput(listener.limits)
        #: What arrived behind a request that is complete.
        self._held = b""
        #: Bytes of the current body that were passed to aiohttp, and what was passed behind its end.
        self._fed = 0
        self._rest: bytes | None = None
        self._bad: BadRequestError | None = None
        self._ignores_input = False

    def _new_protocol(self) -> asyncio.Protocol:
        """Return aiohttp's protocol for this connection."""
        raise NotImplementedError

    @property
    def _in_head(self) -> bool:
        """Whether a head has begun and its request has not."""
        return bool(self._input.bytes)

    @property
    def idle(self) -> bool:
        """Whether no request is being handled, or about to be."""
        return super().idle and (self._input.is_incomplete or not self._input.bytes)

    # Input

    def data_received(self, data: bytes) -> None:
        """Pass on what arrived, within bounds."""
        if self._phase is END or self._bad is not None or self._ignores_input:
            return
        current = self._current
        if current is None:
            self._take_head(data)
        elif current.complete:
            self._held += data
            self.pause_reading()
        else:
            self._take_body(current, data)
        self._count_unhandled()

    def _take_head(self, data: bytes) -> None:
        try:
            self._input.add(data)
        except BadRequestError as error:
            self._refuse(error)
            return
        self._pass(data)
        if self._input.bytes and self._phase is HEAD:
            self._deadline = min(self._deadline, self._listener.now() + self._listener.limits.head_seconds)

    def _take_body(self, request: AiohttpRequest, data: bytes) -> None:
        taken = request.content.total_bytes
        if self._fed > FRAMING_BYTES + (1 + FRAMING_EACH) * taken:
            self._refuse(too_much_framing())
            return
        try:
            self._note_body(request, data)
        except BadRequestError as error:
            self._refuse(error)
            return
        self._pass(data)
        self._check_body()

    def _note_body(self, request: AiohttpRequest, data: bytes) -> None:
        self._fed += len(data)
        end = request.end.find(data) if self._rest is None else 0
        if end >= 0:
            self._rest = (self._rest or b"") + data[end:]

    def _pass(self, data: bytes) -> None:
        if self._protocol is None:
            self._protocol = self._new_protocol()
        self._protocol.data_received(data)

    def _check_body(self) -> None:
        """Note that the current body is complete, or will never be."""
        request = self._current
        if request is None or request.complete:
            return
        if request.content.exception() is not None:
            request.keep_alive = False
        elif self._rest is not None and not self._aiohttp_paused and not request.content.is_eof():
            # aiohttp does not report trailers that it rejects.
            self._refuse(bad_request("The trailers of the body are none"))
        elif request.content.is_eof():
            request.complete = True
            self._note_rest(request)
            if self._phase is REST:
                self._next()

    def _note_rest(self, request: AiohttpRequest) -> None:
        """Note what aiohttp got behind a body that is complete.

        The response is the last if that is unknown, or follows a request to change the protocol: aiohttp drops it.
        """
        rest, self._rest = self._rest, None
        if rest is None or (rest and "upgrade" in request.headers):
            request.keep_alive = False
        elif rest:
            try:
                self._input.add(rest)
            except BadRequestError as error:
                self._bad = error

    def _count_unhandled(self) -> None:
        """Report the bytes that are held and not being handled.

        A whole head is handled in the next iteration of the event loop, with what came of its body: what is behind that
        is counted then, when it is known where the body ends.
        """
        is_next = self._phase is HEAD and not self._input.is_incomplete
        size = len(self._held) + (0 if is_next else len(self._input.bytes))
        if size != self.unhandled:
            change, self.unhandled = size - self.unhandled, size
            self._listener.unhandled_changed(self, change)
