"""One connection of a client: its requests in order, one handled at a time.

head → handler → response → the next head
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any, Final, Protocol

from ostiary_core import strict_json
from ostiary_gateway.asyncio_internals import break_cycles
from ostiary_gateway.errors import CallerGone
from ostiary_gateway.server.host import OpenResponse, TransportHost
from ostiary_gateway.server.parser import BadRequestError, RequestParser
from ostiary_gateway.server.pipelining import ANSWER, END, HEAD, REST, TAKING
from ostiary_gateway.server.request import Request
from ostiary_gateway.server.response import Response
from ostiary_gateway.server.teardown import TimedConnection

_log: Final = logging.getLogger(__name__)

_NEVER: Final = float("inf")
_JSON: Final = {"Content-Type": "application/json"}

#: Answers a request; None if it was answered as a stream.
Handler = Callable[[Request], Awaitable[Response | None]]


class ConnectionHost(TransportHost, Protocol):
    """What a connection needs of its listener."""

    handler: Handler
    draining: bool
    closing: bool

    def opened(self, connection: "Connection", /) -> Response | None:
        """Count a connection, or return its only response if it is refused."""

    def unhandled_changed(self, connection: "Connection", change: int, /) -> None:
        """Count bytes that the connection holds and that are not being handled."""

    def response_taken(self, connection: "Connection", /) -> None:
        """Note that the client has taken its response."""

    def closed(self, connection: "Connection", /) -> None:
        """Stop counting a connection."""


class Connection(TimedConnection):
    """A protocol of asyncio.

    ``bound`` is a task that is cancelled when the client disconnects; ``stream`` is the
    response that is being streamed.
    """

    _listener: ConnectionHost

    def __init__(self, listener: ConnectionHost) -> None:
        super().__init__(listener)
        self.bound: asyncio.Task[Any] | None = None
        self.stream: OpenResponse | None = None
        self.task: asyncio.Task[None] | None = None
        #: Belongs to the listener's gate: what the connection is counted for.
        self.source: Any = None
        #: Likewise: what counts as held until the client has taken its response.
        self.held_response: Any = None
        #: Belongs to the handler: what limits of policies refused on this connection, None before the first.
        self.floods: Any = None
        self._refusal: Response | None = None

    def _new_parser(self) -> RequestParser:
        return RequestParser(self, self._begun, self._listener.limits)

    def _unhandled_changed(self, change: int) -> None:
        self._listener.unhandled_changed(self, change)

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask the listener whether the connection is accepted."""
        super().connection_made(transport)
        self._refusal = self._listener.opened(self)

    @property
    def is_refused(self) -> bool:
        """Whether the listener did not accept it."""
        return self._refusal is not None

    @property
    def in_flight(self) -> "tuple[Request, asyncio.Task[None]] | None":
        """The request that is being handled, with its task."""
        request, task = self._current, self.task
        return (request, task) if request is not None and task is not None else None

    @property
    def is_draining(self) -> bool:
        """Whether every response that begins now is the last of its connection."""
        return self._listener.draining

    def secured(self, transport: asyncio.Transport) -> None:
        """Use TLS from now on; the time for the first head starts again."""
        self._below = self._transport
        self._transport = transport
        self._deadline = self._listener.now() + self._listener.limits.head_seconds

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  asyncio's name
        """Cancel what is bound to the client, and fail every read and write that waits."""
        self.lost = True
        self._listener.closed(self)
        gone = CallerGone("the caller is gone")
        for request in (self._parser.request, *self._waiting):
            if request is not None:
                request.fail(gone)
        self._drop_waiting()
        if self._drained is not None and not self._drained.done():
            self._drained.set_exception(gone)
        if self.bound is not None:
            self.bound.cancel()
        # Else the garbage collector would have to find the cycles, which takes long for connections that lived long.
        self._parser.release()
        self._current = None
        self._below = None
        break_cycles(self._transport)

    def resume_writing(self) -> None:
        """Note that the client has taken what was sent."""
        self._listener.response_taken(self)
        super().resume_writing()
        if self._phase is TAKING:
            self._next()

    def shed(self) -> None:
        """Drop what is held and not being handled: all connections together hold too much of it."""
        if self._phase is HEAD:
            self._refuse(BadRequestError(503, "GatewayFull", "There is no room for a request that comes in pieces"))
        elif self._phase is ANSWER:
            self.accept_no_more()
        else:
            self.abort()
        if self._current is None or self._current.complete:
            self._parser.release()  # with what it holds of a head
            self._parser = self._new_parser()
        self._count_unhandled(0)

    # Requests

    def _begun(self, request: Request) -> None:
        if self._phase is END:
            return  # the last response was sent while this piece was being parsed
        if self._refusal is not None:
            self._current = request
            self._answered(request, self._refusal)
        elif self._phase is HEAD:
            self._start(request)
        else:
            self._waiting.append(request)
            self.pause_reading()

    def _start(self, request: Request) -> None:
        self._phase = ANSWER
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
        except Exception:  # noqa: BLE001  the handler answers for its own bugs; this one it could not
            _log.critical("a request failed without an answer: this is a bug of the gateway", exc_info=True)
            self.abort()
        finally:
            if self.lost:
                self.task = self.stream = None

    def _answered(self, request: Request, response: Response | None) -> None:
        """Send a response, or finish one that was streamed, and continue with what comes next."""
        self.task = None
        if response is not None:
            keep = request.keeps_connection() and not response.close
            self._transport.write(response.encoded(request, keep=keep))
        elif self.stream is None or not self.stream.ended:
            self.abort()  # a response that broke off must not look complete
            return
        else:
            # The head of the response announced this: otherwise the client could send a request while we close.
            keep = self.stream.keep and request.keep_alive
        self.stream = None
        if self.held_response is not None and self.stalled_since is None:
            self._listener.response_taken(self)
        if not keep:
            self._close_gracefully()
        elif request.complete:
            self._next()
        else:
            request.discard()
            self._phase = REST
            self._deadline = self._listener.now() + self._listener.limits.linger_seconds
            self.resume_reading()

    def _next(self) -> None:
        if self.stalled_since is not None:
            self._phase = TAKING
            self._deadline = _NEVER
            return
        self._phase = HEAD
        self._current = None
        if self._below is not None:
            self._unsent = self.unsent  # over TLS asyncio does not report that the client takes nothing
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
        body = strict_json.dumps({"error": error.reason, "message": error.message})
        self.refuse(Response(error.status, body, _JSON))

    def refuse(self, response: Response) -> None:
        """Answer a connection without a request, and end it."""
        request = Request(
            self, method="", target="", headers={}, repeated=frozenset(), minor_version=1, keep_alive=False
        )
        self._transport.write(response.encoded(request, keep=False))
        self._close_gracefully()
