"""A server's idle connections, kept for the next exchange.

Last in, first out, so that the rest can expire.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine
from time import monotonic
from typing import Any, Final

from ostiary_gateway.errors import UpstreamFault
from ostiary_gateway.upstream import faults
from ostiary_gateway.upstream.http1.deadlines import Deadlines
from ostiary_gateway.upstream.http1.held_body import EXPECTATION_FAILED, exchange_held
from ostiary_gateway.upstream.http1.known_heads import KnownHeads
from ostiary_gateway.upstream.http1.request_head import Transmission
from ostiary_gateway.upstream.http1.upstream_connection import UpstreamConnection
from ostiary_gateway.upstream.http1.upstream_response import UpstreamResponse, broken_off

_RETRY_AFTER_MS: Final = 1000


class Pool:
    """At most ``limit`` connections, idle ones for at most ``keep_seconds``.

    Lives in one event loop.

    If all are in use, a request waits for one at most ``wait_seconds``; ``refused`` counts those that waited in vain.
    """

    def __init__(
        self, dial: Callable[[], Awaitable[UpstreamConnection]], *, limit: int, keep_seconds: float, wait_seconds: float
    ) -> None:
        self.refused = 0
        self._wait_seconds = wait_seconds
        self._dial = dial
        self._limit = limit
        self._keep_seconds = keep_seconds
        self._idle: list[tuple[UpstreamConnection, float]] = []
        self._all: set[UpstreamConnection] = set()
        self._dialing = 0
        #: Made once: thousands of connections with open streams keep them.
        self._on_idle, self._on_lost = self._put_back, self._lost
        self._deadlines = Deadlines()
        self._known_heads = KnownHeads()
        self._waiters: deque[asyncio.Future[None]] = deque()
        self._sweep: asyncio.TimerHandle | None = None
        self._closed = False
        self._keeps = True

    def exchange(
        self, request: bytes, *, seconds: float, repeatable: bool = False, transmission: Transmission | None = None
    ) -> Coroutine[Any, Any, UpstreamResponse]:
        """Send a request over a free connection, or a new one.

        Return what to await at once for the response. ``seconds`` bounds the wait for the response's head.
        ``transmission`` is told once the request is written. This is no coroutine of its own: every call passes here.

        A connection that died while idle is replaced before a byte is sent. After that nothing is sent again, since the
        upstream may have acted on it. A ``repeatable`` request is an exception: it is sent once more if a kept
        connection ended before a byte of a response, as when a server closes it at that moment (RFC 9112 §9.3.1).

        Raises:
            UpstreamFault: no connection, none free in time, or no response in time.
        """
        connection = self._take_idle()
        if connection is None:
            return self._exchange_once_free(request, seconds=seconds, repeatable=repeatable, transmission=transmission)
        if repeatable:
            return self._exchange_twice(connection, request, seconds=seconds, transmission=transmission)
        return connection.exchange(request, seconds=seconds, transmission=transmission, is_kept=True)

    async def _exchange_once_free(
        self, request: bytes, *, seconds: float, repeatable: bool, transmission: Transmission | None
    ) -> UpstreamResponse:
        """Send a request once there is a connection for it."""
        connection = await self._take()
        if not (self._keeps or repeatable):
            return await self._exchange_held(connection, request, seconds=seconds, transmission=transmission)
        return await connection.exchange(request, seconds=seconds, transmission=transmission)

    async def _exchange_held(
        self, connection: UpstreamConnection, request: bytes, *, seconds: float, transmission: Transmission | None
    ) -> UpstreamResponse:
        """Send the body only once the server takes it: such a server is about to end."""
        response = await exchange_held(connection, request, seconds=seconds, transmission=transmission)
        if response.status != EXPECTATION_FAILED:
            return response
        response.close()
        return await (await self._take()).exchange(request, seconds=seconds, transmission=transmission)

    async def _exchange_twice(
        self, kept: UpstreamConnection, request: bytes, *, seconds: float, transmission: Transmission | None
    ) -> UpstreamResponse:
        try:
            return await kept.exchange(request, seconds=seconds, transmission=transmission)
        except UpstreamFault as fault:
            if fault.kind != faults.RESET or kept.has_heard or self._closed:
                raise
        return await (await self._take()).exchange(request, seconds=seconds)

    def _take_idle(self) -> UpstreamConnection | None:
        while self._idle:
            connection, _ = self._idle.pop()
            if connection.still_open():
                return connection
            connection.close()
        return None

    async def _take(self) -> UpstreamConnection:
        until = asyncio.get_running_loop().time() + self._wait_seconds
        while True:
            connection = self._take_idle()
            if connection is not None:
                return connection
            if self._closed:
                raise broken_off()
            if len(self._all) + self._dialing < self._limit:
                return await self._open()
            try:
                async with asyncio.timeout_at(until):
                    await self._wait_for_free()
            except TimeoutError as error:
                self.refused += 1
                words = f"none of {self._limit} connections became free within {self._wait_seconds:g} s"
                raise UpstreamFault(faults.FULL, words, retry_after_ms=_RETRY_AFTER_MS) from error

    async def _wait_for_free(self) -> None:
        """Wait until a connection may be free."""
        waiter = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        try:
            await waiter
        except asyncio.CancelledError:
            # A free connection that we do not use goes to the next waiter.
            if waiter.done() and not waiter.cancelled():
                self._wake_one()
            elif waiter in self._waiters:
                self._waiters.remove(waiter)
            raise

    def bound(self, limit: int) -> None:
        """Take another limit; connections beyond it are closed as they become idle."""
        more, self._limit = limit - self._limit, limit
        for _ in range(min(more, len(self._waiters))):
            self._wake_one()

    def keep_none(self) -> None:
        """Close idle connections now, and each other one after its exchange.

        A request is sent from now on only once the server takes it (:mod:`.held_body`), unless it may be repeated.
        """
        self._keeps = False
        self._close_idle()

    def keep_again(self) -> None:
        """Keep connections again."""
        self._keeps = True

    def _close_idle(self) -> None:
        idle, self._idle = self._idle, []
        for connection, _ in idle:
            connection.close()

    @property
    def open_connections(self) -> int:
        """How many connections are open, in use or idle."""
        return len(self._all)

    @property
    def is_unused(self) -> bool:
        """Whether there is no connection, and no request that waits for one."""
        return not (self._all or self._dialing or self._waiters)

    async def _open(self) -> UpstreamConnection:
        self._dialing += 1
        try:
            connection = await self._dial()
        except BaseException:
            self._dialing -= 1
            self._wake_one()
            raise
        self._dialing -= 1
        if self._closed:
            connection.close()
            raise broken_off()
        connection.on_idle, connection.on_lost = self._on_idle, self._on_lost
        connection.deadlines = self._deadlines
        connection.known_heads = self._known_heads
        self._all.add(connection)
        return connection

    def _put_back(self, connection: UpstreamConnection) -> None:
        if self._closed or not self._keeps or len(self._all) > self._limit:
            connection.close()
            return
        self._idle.append((connection, monotonic() + self._keep_seconds))
        if self._sweep is None:
            self._sweep_later()
        if self._waiters:
            self._wake_one()

    def _sweep_later(self) -> None:
        self._sweep = asyncio.get_running_loop().call_later(self._keep_seconds, self._close_aged)

    def _lost(self, connection: UpstreamConnection) -> None:
        self._all.discard(connection)
        if self._idle and connection.is_last:
            self._close_idle()  # a server, or a proxy before it, that is about to end says so on each of them
        self._wake_one()

    def _wake_one(self) -> None:
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_result(None)
                return

    def _close_aged(self) -> None:
        """Close what was idle for too long.

        One timer for all, since most connections are used again at once.
        """
        now = monotonic()
        aged = [connection for connection, until in self._idle if until <= now]
        self._idle = [entry for entry in self._idle if entry[1] > now]
        for connection in aged:
            connection.close()
        self._sweep = None
        if self._idle:
            self._sweep_later()

    def close(self) -> None:
        """Close every connection; exchanges on them fail."""
        self._closed = True
        if self._sweep is not None:
            self._sweep.cancel()
        for connection in list(self._all):
            connection.close()
        self._idle.clear()
        self._deadlines.close()
