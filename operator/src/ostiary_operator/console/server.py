"""Listens for browsers.

The number of connections is bounded, and each has a deadline for what it sends and reads: one that sends nothing, sends
its request byte by byte, or does not read its response is closed. While a request is handled there is no deadline of
the connection, since a live page lasts as long as it is open.
"""

import asyncio
import logging
import time
from typing import Final

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.typedefs import Handler

from ostiary_operator.console.options import ConsoleOptions

MOST_CONNECTIONS: Final = 1024
#: How long a connection may go on without a request that is handled.
IDLE_SECONDS: Final = 30.0
_SWEEP_SECONDS: Final = 5.0
_LINE_BYTES: Final = 8192
_HEADERS: Final = 64
_DRAIN_SECONDS: Final = 2.0
_BACKLOG: Final = 128


class _WithoutContents(logging.Filter):
    """Leaves out of the log what a request held that cannot be read.

    It may be a token, or anything.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Replace the error by the name of its type."""
        error = record.exc_info[1] if record.exc_info else None
        if isinstance(error, HttpProcessingError | web.RequestPayloadError):
            record.msg, record.args, record.exc_info = "a request cannot be read: %s", (type(error).__name__,), None
        return True


_log: Final = logging.getLogger(__name__)
_log.addFilter(_WithoutContents())


class _ClosedAtOnce(asyncio.Protocol):
    """A connection for which there is no room."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Close it."""
        transport.close()


class ConsoleServer:
    """The listener of a console."""

    def __init__(self, application: web.Application, options: ConsoleOptions) -> None:
        self._options = options
        self._handled: set[web.RequestHandler] = set()
        self._idle_since: dict[web.RequestHandler, float] = {}
        application.middlewares.insert(0, self._watch)
        self._runner = web.AppRunner(
            application,
            access_log=None,
            logger=_log,
            handler_cancellation=True,
            keepalive_timeout=IDLE_SECONDS,
            lingering_time=1.0,
            max_line_size=_LINE_BYTES,
            max_field_size=_LINE_BYTES,
            max_headers=_HEADERS,
            shutdown_timeout=_DRAIN_SECONDS,
        )
        self._listener: asyncio.Server | None = None
        self._sweeping: asyncio.Task[None] | None = None
        self.port = 0

    async def start(self) -> None:
        """Listen.

        Raises:
            OSError: the address cannot be bound.
        """
        await self._runner.setup()
        loop, options = asyncio.get_running_loop(), self._options
        try:
            self._listener = await loop.create_server(self._accept, options.host, options.port, backlog=_BACKLOG)
        except BaseException:
            await self._runner.cleanup()
            raise
        self.port = int(self._listener.sockets[0].getsockname()[1])
        self._sweeping = asyncio.create_task(self._sweep_until_cancelled(), name="idle connections")

    async def stop(self) -> None:
        """Close: requests in flight get two seconds."""
        if self._listener is not None:
            self._listener.close()
        if self._sweeping is not None:
            self._sweeping.cancel()
        await self._runner.cleanup()

    def sweep(self, now: float) -> None:
        """Close the connections that had their time; ``now`` is of the monotonic clock."""
        connections = self._connections()
        self._idle_since = {each: self._idle_since.get(each, now) for each in connections}
        for connection in connections:
            if connection not in self._handled and now - self._idle_since[connection] > IDLE_SECONDS:
                transport = connection.transport
                if transport is not None:
                    transport.abort()

    def _accept(self) -> asyncio.BaseProtocol:
        server = self._runner.server
        if server is None or len(server.connections) >= MOST_CONNECTIONS:
            return _ClosedAtOnce()
        connection = server()
        self._idle_since[connection] = time.monotonic()
        return connection

    def _connections(self) -> list[web.RequestHandler]:
        return self._runner.server.connections if self._runner.server is not None else []

    async def _sweep_until_cancelled(self) -> None:
        while True:
            await asyncio.sleep(_SWEEP_SECONDS)
            self.sweep(time.monotonic())

    @web.middleware
    async def _watch(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Note that a request of a connection is handled."""
        connection = request.protocol
        self._handled.add(connection)
        try:
            return await handler(request)
        finally:
            self._handled.discard(connection)
            self._idle_since[connection] = time.monotonic()
