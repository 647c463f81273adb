"""One connection of a client: its requests in order, one handled at a time.

head → handler → response → the next head
"""

import asyncio

from ostiary_gateway.errors import CallerGone
from ostiary_gateway.server.bad_request import BadRequestError, no_room
from ostiary_gateway.server.llhttp.parser import RequestParser
from ostiary_gateway.server.llhttp.pipelining import PipelinedInput
from ostiary_gateway.server.llhttp.request import LlhttpRequest
from ostiary_gateway.server.request import Request
from ostiary_gateway.server.response import Response
from ostiary_gateway.server.teardown import ANSWER, END, HEAD, NEVER, REST


class LlhttpConnection(PipelinedInput):
    """A protocol of asyncio."""

    def _new_parser(self) -> RequestParser:
        return RequestParser(self, self._begun, self._listener.limits)

    def _fail_requests(self, fault: CallerGone) -> None:
        """Fail every read that waits, and break the reference cycles of the parser."""
        for request in (self._parser.request, *self._waiting):
            if request is not None:
                request.fail(fault)
        self._parser.release()

    def shed(self) -> None:
        """Drop what is held and not being handled.

        All connections together hold too much of it.
        """
        if self._phase is HEAD:
            self._refuse(no_room())
        elif self._phase is ANSWER:
            self.accept_no_more()
        else:
            self.abort()
        if self._current is None or self._current.complete:
            self._drop_parser()
        self._count_unhandled(0)

    # Requests

    def _begun(self, request: LlhttpRequest) -> None:
        if self._phase is HEAD and self._refusal is None:
            self._start(request)
        elif self._phase is END:
            pass  # the last response was sent while this piece was being parsed
        elif self._refusal is not None:
            self._current = request
            self._answered(request, self._refusal)
        else:
            self._waiting.append(request)
            self.pause_reading()

    def _start(self, request: LlhttpRequest) -> None:
        self._phase = ANSWER
        self._current = request
        self._deadline = NEVER
        self.task = asyncio.Task(self._answer(request), loop=self._listener.loop, name="answer")

    def _answered(self, request: Request, response: Response | None) -> None:
        """Send a response, or finish one that was streamed, and continue with what comes next."""
        keep = self._sent(request, response)
        if keep is None:
            return
        if not keep:
            self._close_gracefully()
        elif request.complete:
            self._next()
        elif self._current is not None:
            self._current.discard()
            self._drop_rest()

    def _next(self) -> None:
        if not self._begin_head():
            return
        if self._unparsed and not self._waiting:
            self._parse_what_waited()
        if self._phase is not HEAD:
            pass
        elif self._waiting:
            self._start(self._waiting.pop(0))
        elif self._bad is not None:
            self._refuse(self._bad)
        elif self._listener.closing:
            self._close_gracefully()
        else:
            limits = self._listener.limits
            seconds = limits.head_seconds if self._parser.in_head else limits.keep_seconds
            self._deadline = self._listener.now() + seconds
        if self.unhandled or self._waiting:
            self._count_unhandled(0)
        if self._paused:
            self.resume_reading()

    def _refuse(self, error: BadRequestError) -> None:
        """Answer input that is not a request, after the responses that are due before it.

        The rest is unreadable.
        """
        self._bad = error
        broken = self._parser.request
        if broken is not None:
            broken.fail(CallerGone("the body's framing is broken"))
            broken.keep_alive = False
        if self._phase is REST:
            self._close_gracefully()
        if self._phase is not HEAD:
            return
        self.refuse(error.response())
