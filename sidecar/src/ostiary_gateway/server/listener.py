"""The listening socket and its connections: who may come in, who has had his time, and the end of all."""

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from contextlib import suppress
from time import monotonic
from typing import Final, Protocol

from ostiary_gateway.errors import port_taken
from ostiary_gateway.server.connection import Connection
from ostiary_gateway.server.handshake import Handshake
from ostiary_gateway.server.limits import DEFAULT, Limits
from ostiary_gateway.server.request import Request
from ostiary_gateway.server.response import Response

#: Answers a request; None once it was answered as a stream.
Handler = Callable[[Request], Awaitable[Response | None]]

_SWEEP_SECONDS: Final = 1.0
#: How often we look, while stopping, whether callers have taken their answers.
_LOOK_SECONDS: Final = 0.01
_BACKLOG: Final = 1024
#: Turns of the loop until a request that lies in a socket's buffer is being handled.
_LAST_LOOKS: Final = 3
#: So many connections that are not let in are told so when they have sent a request; more are closed at once.
_TURNED_AWAY_LIMIT: Final = 256


class Gate(Protocol):
    """Who may come in."""

    def opened(self, connection: Connection) -> Response | None:
        """Count a connection, or return what it is told instead of being let in."""

    def taken(self, connection: Connection) -> None:
        """The caller has taken what was held for him."""

    def waits(self, connection: Connection, change: int, /) -> bool:
        """Count bytes that are held of requests which nobody works on; return whether these are too many in all."""

    def closed(self, connection: Connection) -> None:
        """Forget a connection, whether or not it was let in."""


class Listener:
    """A data port. :meth:`start`, serve, :meth:`stop`."""

    def __init__(self, handler: Handler, limits: Limits = DEFAULT, gate: Gate | None = None) -> None:
        self.handler = handler
        self.gate = gate
        self.limits = limits
        self.connections: set[Connection] = set()
        #: Set once we are about to go: every answer that begins now is the last of its connection.
        self.leaving = False
        #: Set once we go: a connection on which nothing is left to do is closed.
        self.closing = False
        self.loop: asyncio.AbstractEventLoop
        #: Seconds of the loop's clock.
        self.now: Callable[[], float] = monotonic
        self._turned_away: set[Connection] = set()
        #: Those that hold bytes of requests which nobody works on, in the order in which they began to.
        self._waiting: dict[Connection, None] = {}
        self._kept: set[Connection] = set()
        self._empty = asyncio.Event()
        self._empty.set()
        self._server: asyncio.Server | None = None
        self._sweep: asyncio.TimerHandle | None = None

    async def start(self, host: str, port: int, *, tls: ssl.SSLContext | None = None) -> int:
        """Listen, and return the port (which differs from ``port`` where that is 0).

        Raises:
            StartupError: the port is taken or the address is not ours; names the option to change.
        """
        self.loop = asyncio.get_running_loop()
        try:
            self._server = await self.loop.create_server(
                (lambda: Connection(self)) if tls is None else (lambda: Handshake(self, tls)),
                host,
                port,
                backlog=_BACKLOG,
            )
        except OSError as error:
            raise port_taken("data port", host, port, error, option="--port or PORT") from error
        self._sweep = self.loop.call_later(_SWEEP_SECONDS, self._end_the_overdue)
        return int(self._server.sockets[0].getsockname()[1])

    def opened(self, connection: Connection) -> Response | None:
        """Know a connection; return the only answer that it will get if it is not let in."""
        self.connections.add(connection)
        self._empty.clear()
        answer = self.gate.opened(connection) if self.gate is not None else None
        if answer is not None:
            self._turned_away.add(connection)
            if len(self._turned_away) > _TURNED_AWAY_LIMIT:
                connection.abort()
        return answer

    def waits(self, connection: Connection, change: int) -> None:
        """Count bytes that a connection holds and no one works on; where these are too many, the largest go."""
        if connection.unasked:
            self._waiting[connection] = None
        else:
            self._waiting.pop(connection, None)
        if self.gate is not None and self.gate.waits(connection, change):
            self._shed()

    def _shed(self) -> None:
        """Free a quarter, so that it need not be done at each piece that arrives: the largest first, and of those that
        are alike the oldest. A head of some hundred bytes, slow as it may be, stays.
        """
        enough = sum(each.unasked for each in self._waiting) // 4
        for connection in sorted(self._waiting, key=lambda each: each.unasked, reverse=True):
            if enough <= 0:
                return
            enough -= connection.unasked
            connection.shed()

    def taken(self, connection: Connection) -> None:
        """The caller of a connection has taken his answer."""
        if self.gate is not None:
            self.gate.taken(connection)

    def closed(self, connection: Connection) -> None:
        """Forget it."""
        self.connections.discard(connection)
        self._turned_away.discard(connection)
        self._waiting.pop(connection, None)
        if self.gate is not None:
            self.gate.closed(connection)
        if not self.connections:
            self._empty.set()

    def _end_the_overdue(self) -> None:
        now = self.now()
        for connection in [c for c in self.connections if c.overdue(now)]:
            connection.end_overdue()
        self._sweep = self.loop.call_later(_SWEEP_SECONDS, self._end_the_overdue)

    def take_leave(self) -> None:
        """Tell each caller with his next answer to go elsewhere (``Connection: close``). All are still answered."""
        self.leaving = True
        self._kept = set(self.connections)

    def end_idle(self) -> None:
        """Close the connections that were there when we took leave and were not used since.

        Whoever uses his connection now and then has long left it: the fewer there are to close, the fewer requests can
        cross with the closing. A connection that came later is about to bring a request.
        """
        for connection in self._kept & self.connections:
            if connection.idle:
                connection.leave()
        self._kept.clear()

    def interrupt(self) -> None:
        """Cancel whatever is being handled: the handler may still answer."""
        for connection in self.connections:
            if connection.task is not None:
                connection.task.cancel()

    async def stop(self, seconds: float) -> None:
        """Take no more connections, close the idle ones, and give the others so many seconds."""
        self.leaving = self.closing = True
        if self._server is None:
            return
        self._server.close()
        if self._sweep is not None:
            self._sweep.cancel()
        for _ in range(_LAST_LOOKS):
            await asyncio.sleep(0)  # what has arrived by now is read, and answered
        tasks = [connection.task for connection in self.connections if connection.task is not None]
        for connection in list(self.connections):
            if connection.idle:
                connection.leave()
        until = self.now() + seconds
        if tasks:
            await asyncio.wait(tasks, timeout=seconds)
        while self.now() < until and any(c.takes for c in self.connections):  # noqa: ASYNC110  no event tells that
            await asyncio.sleep(_LOOK_SECONDS)
        for task in tasks:
            task.cancel()
        with suppress(asyncio.CancelledError):
            await asyncio.gather(*tasks, return_exceptions=True)
        for connection in list(self.connections):
            connection.abort()
        await self._empty.wait()
        await self._server.wait_closed()
