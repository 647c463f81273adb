"""The listening socket and its connections.

Connections are accepted or refused, closed beyond their deadline, and drained.
"""

import asyncio
import ssl
from collections.abc import Callable
from contextlib import suppress
from time import monotonic
from typing import Any, Final, Protocol, cast

from ostiary_gateway.errors import port_taken
from ostiary_gateway.server.connection_limits import DEFAULT, Limits
from ostiary_gateway.server.host import CountedConnection, Handler, NewConnection, ServedConnection
from ostiary_gateway.server.request import Request
from ostiary_gateway.server.response import Response
from ostiary_gateway.server.tls import TlsHandshake

_SWEEP_SECONDS: Final = 1.0
#: How often it is checked while stopping whether clients have taken their responses.
_CHECK_SECONDS: Final = 0.01
_BACKLOG: Final = 1024
#: Iterations of the event loop until a request that is in a socket's buffer is being handled.
_LAST_ITERATIONS: Final = 3
#: The most refused connections that get a response once they have sent a request; others are closed at once.
_REFUSED_LIMIT: Final = 256


class Gate(Protocol):
    """Decides which connections are accepted, and counts what they hold."""

    def opened(self, connection: CountedConnection) -> Response | None:
        """Count a connection, or return the response with which it is refused."""

    def response_taken(self, connection: CountedConnection) -> None:
        """Release what was held of a response that the client has taken."""

    def unhandled_changed(self, connection: CountedConnection, change: int, /) -> bool:
        """Count bytes of requests that are not being handled.

        Return whether there are too many in all.
        """

    def closed(self, connection: CountedConnection) -> None:
        """Stop counting a connection, whether or not it was accepted."""


class Listener:
    """A data port. :meth:`start`, serve, :meth:`stop`."""

    def __init__(
        self,
        handler: Handler,
        limits: Limits = DEFAULT,
        gate: Gate | None = None,
        *,
        new_connection: NewConnection,
    ) -> None:
        self.handler = handler
        self._new_connection = new_connection
        self.gate = gate
        self.limits = limits
        self.connections: set[ServedConnection] = set()
        #: Set once draining has started: every response that begins now is the last of its connection.
        self.draining = False
        #: Set once we stop: a connection that becomes idle is closed.
        self.closing = False
        self.loop: asyncio.AbstractEventLoop
        #: Seconds of the loop's clock.
        self.now: Callable[[], float] = monotonic
        self._refused: set[ServedConnection] = set()
        #: Connections that hold bytes of requests that are not being handled, in the order in which they began to.
        self._unhandled: dict[ServedConnection, None] = {}
        self._before_draining: set[ServedConnection] = set()
        self._empty = asyncio.Event()
        self._empty.set()
        self._server: asyncio.Server | None = None
        self._sweep: asyncio.TimerHandle | None = None

    async def start(self, host: str, port: int, *, tls: ssl.SSLContext | None = None, shared: bool = False) -> int:
        """Listen, and return the port (which differs from ``port`` where that is 0).

        A ``shared`` port is one that other processes of the same user may listen on, too (SO_REUSEPORT).

        Raises:
            StartupError: the port is taken or the address is not ours; names the option to change.
        """
        self.loop = asyncio.get_running_loop()
        try:
            self._server = await self.loop.create_server(
                self._protocol(tls),
                host,
                port,
                backlog=_BACKLOG,
                reuse_port=shared or None,
            )
        except OSError as error:
            raise port_taken("data port", host, port, error, option="--port or PORT") from error
        self._sweep = self.loop.call_later(_SWEEP_SECONDS, self._end_overdue)
        return int(self._server.sockets[0].getsockname()[1])

    def _protocol(self, tls: ssl.SSLContext | None) -> Callable[[], asyncio.BaseProtocol]:
        new = self._new_connection
        if tls is None:
            return lambda: cast("asyncio.Protocol", new(self))
        return lambda: TlsHandshake(self, tls, new(self))

    def opened(self, connection: ServedConnection) -> Response | None:
        """Count a connection, or return its only response if it is refused."""
        self.connections.add(connection)
        self._empty.clear()
        refusal = self.gate.opened(connection) if self.gate is not None else None
        if refusal is not None:
            self._refused.add(connection)
            if len(self._refused) > _REFUSED_LIMIT:
                connection.abort()
        return refusal

    def unhandled_changed(self, connection: ServedConnection, change: int) -> None:
        """Count bytes that a connection holds and that are not being handled.

        Of too many the largest are dropped.
        """
        if connection.unhandled:
            self._unhandled[connection] = None
        else:
            self._unhandled.pop(connection, None)
        if self.gate is not None and self.gate.unhandled_changed(connection, change):
            self._shed()

    def _shed(self) -> None:
        """Free a quarter, so that this is not due with each piece that arrives.

        The largest go first, the oldest of equal
        ones first. A slow head of a few hundred bytes is kept.
        """
        enough = sum(each.unhandled for each in self._unhandled) // 4
        for connection in sorted(self._unhandled, key=lambda each: each.unhandled, reverse=True):
            if enough <= 0:
                return
            enough -= connection.unhandled
            connection.shed()

    def response_taken(self, connection: ServedConnection) -> None:
        """Note that the client of a connection has taken its response."""
        if self.gate is not None:
            self.gate.response_taken(connection)

    def closed(self, connection: ServedConnection) -> None:
        """Stop counting a connection."""
        self.connections.discard(connection)
        self._refused.discard(connection)
        self._unhandled.pop(connection, None)
        if self.gate is not None:
            self.gate.closed(connection)
        if not self.connections:
            self._empty.set()

    def _end_overdue(self) -> None:
        now = self.now()
        for connection in [c for c in self.connections if c.overdue(now)]:
            connection.end_overdue()
        self._sweep = self.loop.call_later(_SWEEP_SECONDS, self._end_overdue)

    def start_draining(self) -> None:
        """End each connection with its next response (``Connection: close``).

        All requests are still answered.
        """
        self.draining = True
        self._before_draining = set(self.connections)

    def close_idle(self) -> None:
        """Close the connections that were open when draining started and have not been used since.

        Connections in use have ended by now, and the fewer there are to close, the fewer requests can cross with the
        closing. A connection that was opened later is about to bring a request.
        """
        for connection in self._before_draining & self.connections:
            if connection.idle:
                connection.close_idle()
        self._before_draining.clear()

    def in_flight(self) -> list[tuple[Request, "asyncio.Task[Any]"]]:
        """Return the requests that are being handled, each with its task."""
        return [found for connection in self.connections if (found := connection.in_flight) is not None]

    def cancel_requests(self) -> None:
        """Cancel every request that is being handled. Its handler may still answer."""
        for connection in self.connections:
            if connection.task is not None:
                connection.task.cancel()

    def stop_accepting(self) -> None:
        """Accept no more connections, and leave those that are open."""
        if self._server is not None:
            self._server.close()

    async def stop(self, seconds: float) -> None:
        """Accept no more connections, close idle ones, and give the others ``seconds``."""
        self.draining = self.closing = True
        if self._server is None:
            return
        self._server.close()
        if self._sweep is not None:
            self._sweep.cancel()
        for _ in range(_LAST_ITERATIONS):
            await asyncio.sleep(0)  # what has arrived by now is read and answered
        tasks = [connection.task for connection in self.connections if connection.task is not None]
        for connection in list(self.connections):
            if connection.idle:
                connection.close_idle()
        until = self.now() + seconds
        if tasks:
            await asyncio.wait(tasks, timeout=seconds)
        while self.now() < until and any(c.is_flushing for c in self.connections):  # noqa: ASYNC110  no event reports it
            await asyncio.sleep(_CHECK_SECONDS)
        for task in tasks:
            task.cancel()
        with suppress(asyncio.CancelledError):
            await asyncio.gather(*tasks, return_exceptions=True)
        for connection in list(self.connections):
            connection.abort()
        await self._empty.wait()
        await self._server.wait_closed()
