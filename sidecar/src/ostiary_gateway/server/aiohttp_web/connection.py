"""One connection of a client, whose requests aiohttp parses and hands to us.

aiohttp's protocol is within ours, which bounds what is passed to it. aiohttp's queue holds what the piece of input
brought that a request came with; input behind that waits here.
"""

import asyncio
from typing import Final

from aiohttp import web

from ostiary_gateway.errors import CallerGone
from ostiary_gateway.server.aiohttp_web.aiohttp_protocol import KEPT, LAST, AiohttpTransport, aiohttp_protocol
from ostiary_gateway.server.aiohttp_web.passed_input import PassedInput
from ostiary_gateway.server.aiohttp_web.request import AiohttpRequest
from ostiary_gateway.server.bad_request import BadRequestError, bad_request, no_room
from ostiary_gateway.server.host import ConnectionHost
from ostiary_gateway.server.request import Request
from ostiary_gateway.server.response import Response
from ostiary_gateway.server.teardown import ANSWER, END, HEAD, NEVER, REST, TAKING

_HEAD_END: Final = b"\r\n\r\n"


class AiohttpConnection(PassedInput):
    """A protocol of asyncio around one of aiohttp."""

    def __init__(self, listener: ConnectionHost) -> None:
        super().__init__(listener)
        self._keeps = False

    def _new_protocol(self) -> asyncio.Protocol:
        protocol = aiohttp_protocol(self._handle, self._listener.limits, self._listener.loop)
        protocol.connection_made(AiohttpTransport(self))
        return protocol

    # Requests, from aiohttp

    async def _handle(self, parsed: web.BaseRequest) -> web.StreamResponse:
        """Answer a request, and say whether another may follow."""
        while self._phase is TAKING:
            await self.drained()
        request = self._begin(parsed) if self._phase is HEAD and not self.lost else None
        if request is None:
            return LAST
        await self._answer(request)
        return KEPT if self._keeps else LAST

    def _begin(self, parsed: web.BaseRequest) -> AiohttpRequest | None:
        try:
            request = AiohttpRequest(self, parsed, self._listener.limits)
        except BadRequestError as error:
            self._refuse(error)
            return None
        self._current = request
        self._phase = ANSWER
        self._deadline = NEVER
        self._note_input(request)
        if self._refusal is not None:
            self._answered(request, self._refusal)
            return None
        self.task = asyncio.current_task()
        return request

    def _note_input(self, request: AiohttpRequest) -> None:
        """Tell apart what was passed to aiohttp: the head, its body, and what follows."""
        self._fed = 0
        try:
            self._note_body(request, self._input.take())
        except BadRequestError as error:
            self._refuse(error)
        if request.complete:
            self._note_rest(request)
        else:
            self._check_body()
        if self.unhandled or self._input.bytes:
            self._count_unhandled()

    def _answered(self, request: Request, response: Response | None) -> None:
        keep = self._sent(request, response)
        self._keeps = bool(keep)
        if keep is None:
            return
        if not keep:
            self._close_gracefully()
        elif request.complete:
            self._next()
        else:
            self._drop_rest()  # aiohttp reads it

    def _next(self) -> None:
        """Wait for the next request, which aiohttp may have already."""
        if not self._begin_head():
            return
        if self._bad is not None:
            self._refuse(self._bad)
            return
        limits = self._listener.limits
        self._deadline = self._listener.now() + (limits.head_seconds if self._in_head else limits.keep_seconds)
        if self._held:
            held, self._held = self._held, b""
            self.data_received(held)
        elif self._listener.closing and self.idle:
            self._close_gracefully()
        self.resume_reading()

    def _refuse(self, error: BadRequestError) -> None:
        """Answer input that is not a request, after the response that is due before it."""
        self._bad = error
        current = self._current
        if current is not None and not current.complete:
            current.keep_alive = False
            if self._phase is ANSWER:
                current.content.set_exception(CallerGone(error.message))
            else:
                self._stop_dropping(current)
        if self._phase is REST:
            self._close_gracefully()
        elif self._phase is HEAD:
            self.refuse(error.response())

    def _stop_dropping(self, request: AiohttpRequest) -> None:
        """Let aiohttp not wait for the rest of a body until its own deadline."""
        request.complete = True
        request.content.feed_eof()

    # From aiohttp

    def aiohttp_wrote(self, data: bytes) -> None:
        """Answer what aiohttp could not parse, with its reason.

        aiohttp answers nothing else by itself.
        """
        if self._phase is HEAD:
            reason = data.partition(_HEAD_END)[2].partition(b"\n")[0].decode("latin-1").strip(" :")
            self._refuse(
                bad_request(f"This is no HTTP/1.1 request: {reason}" if reason else "This is no HTTP/1.1 request")
            )

    def aiohttp_closes(self) -> None:
        """Close the connection once the client has its response.

        Close it at once if aiohttp gave up a request.
        """
        if self._phase is ANSWER:
            self.abort()
        elif self._phase is not END and not self.lost:
            self._close_gracefully()

    def aiohttp_pauses(self, paused: bool) -> None:
        """Stop reading, or continue."""
        self._aiohttp_paused = paused
        if paused:
            self.pause_reading()
        else:
            self._check_body()
            self.resume_reading()

    @property
    def aiohttp_info(self) -> asyncio.BaseTransport:
        """The transport that knows the addresses of both ends."""
        return self._transport

    # Bounds

    def resume_reading(self) -> None:
        """Continue to read, unless input is waiting already."""
        if self._phase is END or not (self._held or self._aiohttp_paused):
            super().resume_reading()

    def accept_no_more(self) -> None:
        """Make the current response the last: what follows is read and dropped."""
        self._ignores_input = True
        self._drop_waiting()
        if self._current is not None:
            self._current.keep_alive = False
        self.resume_reading()

    def shed(self) -> None:
        """Drop what is held and not being handled."""
        if self._phase is HEAD:
            self._refuse(no_room())
        elif self._phase is ANSWER:
            self.accept_no_more()
        else:
            self.abort()
        self._drop_waiting()
        self._count_unhandled()

    def _drop_waiting(self) -> None:
        self._input.clear()
        self._held = b""

    def _fail_requests(self, fault: CallerGone) -> None:  # noqa: ARG002  aiohttp makes its own
        """Let aiohttp fail every read that waits, and break its reference cycles."""
        if self._protocol is not None:
            if self._phase is REST and self._current is not None:
                self._stop_dropping(self._current)
            self._protocol.connection_lost(None)
            self._protocol = None
