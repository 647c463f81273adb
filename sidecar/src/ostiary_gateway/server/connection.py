"""What every connection has: how it begins and ends, and how a request is answered."""

import asyncio
import logging
from typing import Any, Final

from ostiary_gateway.asyncio_internals import break_cycles
from ostiary_gateway.errors import CallerGone
from ostiary_gateway.server.host import ConnectionHost
from ostiary_gateway.server.request import Request
from ostiary_gateway.server.request_connection import OpenResponse
from ostiary_gateway.server.response import Response
from ostiary_gateway.server.teardown import HEAD, NEVER, REST, TAKING, TimedConnection

_log: Final = logging.getLogger(__name__)


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
        self.task: asyncio.Task[Any] | None = None
        #: How many bytes are held of requests that are not being handled: an incomplete head, and pipelined requests.
        self.unhandled = 0
        #: Belongs to the listener's gate: what the connection is counted for.
        self.source: Any = None
        #: Likewise: what counts as held until the client has taken its response.
        self.held_response: Any = None
        #: Belongs to the handler: what limits of policies refused on this connection, None before the first.
        self.floods: Any = None
        self._refusal: Response | None = None

    def _fail_requests(self, fault: CallerGone, /) -> None:
        """Fail every read that waits for the client."""
        raise NotImplementedError

    def shed(self) -> None:
        """Drop what is held and not being handled.

        All connections together hold too much of it.
        """
        raise NotImplementedError

    def accept_no_more(self) -> None:
        """Make the current response the last.

        A stream may stay open for days, and pipelined requests would wait.

        Reading continues, so that the end of the connection is noticed.
        """
        raise NotImplementedError

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask the listener whether the connection is accepted."""
        super().connection_made(transport)
        self._refusal = self._listener.opened(self)

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
        self._fail_requests(gone)
        self._drop_waiting()
        if self._drained is not None and not self._drained.done():
            self._drained.set_exception(gone)
        if self.bound is not None:
            self.bound.cancel()
        # Else the garbage collector would have to find the cycles, which takes long for connections that lived long.
        self._current = None
        self._below = None
        break_cycles(self._transport)

    def resume_writing(self) -> None:
        """Note that the client has taken what was sent."""
        self._listener.response_taken(self)
        super().resume_writing()
        if self._phase is TAKING:
            self._next()

    # For listener and request

    @property
    def is_refused(self) -> bool:
        """Whether the listener did not accept it."""
        return self._refusal is not None

    @property
    def in_flight(self) -> "tuple[Request, asyncio.Task[Any]] | None":
        """The request that is being handled, with its task."""
        request, task = self._current, self.task
        return (request, task) if request is not None and task is not None else None

    @property
    def is_draining(self) -> bool:
        """Whether every response that begins now is the last of its connection."""
        return self._listener.draining

    # Answers

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

    def _answered(self, request: Request, response: Response | None, /) -> None:
        """Send a response, or finish one that was streamed, and continue with what comes next."""
        raise NotImplementedError

    def _next(self) -> None:
        """Handle the next request, or wait for one."""
        raise NotImplementedError

    def _begin_head(self) -> bool:
        """Wait for the next head; return False where the client must take a response before."""
        if self.stalled_since is not None:
            self._phase = TAKING
            self._deadline = NEVER
            return False
        self._phase = HEAD
        self._current = None
        if self._below is not None:
            self._unsent = self.unsent  # over TLS asyncio does not report that the client takes nothing
        return True

    def _drop_rest(self) -> None:
        """Wait for the end of a body whose request was answered early."""
        self._phase = REST
        self._deadline = self._listener.now() + self._listener.limits.linger_seconds
        self.resume_reading()

    def _sent(self, request: Request, response: Response | None) -> bool | None:
        """Send a response, or finish one that was streamed.

        Return whether another request may follow; None if the connection was aborted.
        """
        self.task = None
        if response is not None:
            keep = request.keeps_connection() and not response.close
            self._transport.write(response.encoded(request, keep=keep))
        elif self.stream is None or not self.stream.ended:
            self.abort()  # a response that broke off must not look complete
            return None
        else:
            # The head of the response announced this: otherwise the client could send a request while we close.
            keep = self.stream.keep and request.keep_alive
        self.stream = None
        if self.held_response is not None and self.stalled_since is None:
            self._listener.response_taken(self)
        return keep

    def refuse(self, response: Response) -> None:
        """Answer a connection without a request, and end it."""
        request = Request(
            self, method="", target="", headers={}, repeated=frozenset(), minor_version=1, keep_alive=False
        )
        self._transport.write(response.encoded(request, keep=False))
        self._close_gracefully()
