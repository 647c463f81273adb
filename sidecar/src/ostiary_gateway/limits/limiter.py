"""Counts a process's connections and requests against the limits of its settings.

Each is counted for its source, its proxy, its principal and the whole process (:mod:`.counters`).
"""

import asyncio
import logging
from collections.abc import Callable
from typing import Final

from ostiary_core.contract.bounds import BoundsConfig, ShareConfig
from ostiary_gateway.config.snapshot import Snapshot
from ostiary_gateway.errors import Refusal
from ostiary_gateway.limits.checks import refusal
from ostiary_gateway.limits.client_address import TrustedProxies
from ostiary_gateway.limits.counters import Bound, Counters, CountersByKey, LimitReachedError, ScopeLimits
from ostiary_gateway.limits.reservation import Reservation
from ostiary_gateway.server.host import CountedConnection
from ostiary_gateway.server.request import Request
from ostiary_gateway.server.response import Response

_log: Final = logging.getLogger(__name__)

#: The bytes that a transport buffers before it pauses the writer.
SENT_AT_ONCE: Final = 64 * 1024
#: Requests that are not being handled, incomplete heads and pipelined ones, may take this part of all bytes.
_UNHANDLED_PART: Final = 8
#: With fewer connections than this a process is likely to refuse clients.
_FEW_CONNECTIONS: Final = 1024
_TOO_FEW_FILES: Final = (
    "bounds.connections is %d, of which this process carries %d: each takes up to two open files, and the system "
    "allows no more; to carry more raise the hard limit (ulimit -Hn, or LimitNOFILE of the container runtime)"
)


class Limiter:
    """Admits connections and requests, and counts what was refused.

    ``carried`` is how many connections the process can carry whatever the settings say. ``respond`` returns the
    response of a refusal, for a connection that is refused before it has sent a request. ``scope`` makes the limits of
    a scope.
    """

    def __init__(
        self, respond: Callable[[Refusal], Response], *, scope: Callable[[str, str], ScopeLimits] = ScopeLimits
    ) -> None:
        self.carried: int | None = None
        self.scopes: Final = (
            scope("gateway", "This gateway has"),
            scope("source", "Your address has"),
            scope("principal", "You have"),
            scope("proxy", "This proxy has"),
        )
        gateway, source, principal, proxy = self.scopes
        self.total = Counters(gateway)
        self.sources = CountersByKey(source)
        self.principals = CountersByKey(principal)
        self.proxies = CountersByKey(proxy, stay=True)
        self._respond = respond
        self._trusted_proxies = TrustedProxies()
        self._trusted: list[str] = []
        self._reported: int | None = None
        self._connections: dict[CountedConnection, Counters | None] = {}
        self._unhandled = 0
        self._waiting_for_end: asyncio.Event | None = None

    # Limits

    def on_swap(self, snapshot: Snapshot, _: frozenset[str]) -> None:
        """Take the limits and trusted proxies of a new config."""
        self.set_bounds(snapshot.settings.bounds, trusted_proxies=snapshot.settings.trusted_proxies)
        self.proxies.keep({proxy.uid for proxy in snapshot.proxies.values()})

    def set_bounds(self, bounds: BoundsConfig, *, trusted_proxies: list[str]) -> None:
        """Take new limits.

        Connections are counted again where another list of trusted proxies changes their source.
        """
        gateway, source, principal, proxy = self.scopes
        self._report_what_is_carried(bounds.connections)
        gateway.set_limits(
            ShareConfig(
                connections=min(filter(None, (bounds.connections, self.carried)), default=None),
                requests_in_flight=bounds.requests_in_flight,
                streams=bounds.streams,
                bytes_in_flight=bounds.bytes_in_flight,
            )
        )
        source.set_limits(bounds.per_source)
        if self.carried is not None and bounds.connections is not None and self.carried < bounds.connections:
            # Every share shrinks in proportion to what the system allows, or one source could take all of it.
            source.connections = max(1, source.connections * self.carried // bounds.connections)
        principal.set_limits(bounds.per_principal)
        proxy.set_limits(bounds.per_proxy)
        if trusted_proxies != self._trusted:
            self._trusted = trusted_proxies
            self._trusted_proxies = TrustedProxies(trusted_proxies)
            for connection in self._connections:
                self._uncount(connection)
                self._count(connection)

    def _report_what_is_carried(self, wanted: int | None) -> None:
        """Log a limit that the process cannot reach, once for each value.

        Most configs do not change it.
        """
        if self.carried is None or wanted is None or wanted <= self.carried or wanted == self._reported:
            return
        self._reported = wanted
        level = logging.WARNING if self.carried < _FEW_CONNECTIONS else logging.INFO
        _log.log(level, _TOO_FEW_FILES, wanted, self.carried)

    # Connections

    def opened(self, connection: CountedConnection) -> Response | None:
        """Count a connection, or return its response at the limit."""
        total = self.total
        connection.source = source = self._source_of(connection)
        for counters in (source, total):
            is_full = counters is not None and counters.connections >= counters.limits.connections
            if counters is not None and is_full and not counters.limits.extends(counters, Bound.CONNECTIONS, 1):
                if source is not None:
                    source.drop_if_empty()
                return self._respond(refusal(LimitReachedError(counters.limits, Bound.CONNECTIONS), close=True))
        self._connections[connection] = source
        total.connections += 1
        if source is not None:
            source.connections += 1
        return None

    def unhandled_changed(self, connection: CountedConnection, change: int) -> bool:
        """Count bytes of requests that are received and not being handled.

        They count for their source, too, if there is one.

        Return whether all connections together have more of them than they may.
        """
        if connection not in self._connections:
            return False
        source = self._connections[connection]
        if source is not None:
            source.bytes += change
        self.total.bytes += change
        self._unhandled += change
        return change > 0 and self._unhandled > self._most_bytes // _UNHANDLED_PART

    @property
    def _most_bytes(self) -> int:
        """The bytes that this process may use."""
        return self.scopes[0].bytes

    def closed(self, connection: CountedConnection) -> None:
        """Stop counting a connection; one that was refused was never counted."""
        self.response_taken(connection)
        if connection in self._connections:
            self.total.bytes -= connection.unhandled
            self._unhandled -= connection.unhandled
            self.total.connections -= 1
            self._uncount(connection)
            del self._connections[connection]

    def _source_of(self, connection: CountedConnection) -> Counters | None:
        peer = connection.peer
        trusted = self._trusted_proxies
        return None if trusted.trusts(peer) else self.sources.take(trusted.of_peer(peer).key)

    def _count(self, connection: CountedConnection) -> None:
        connection.source = self._connections[connection] = source = self._source_of(connection)
        if source is not None:
            source.connections += 1
            source.bytes += connection.unhandled

    def _uncount(self, connection: CountedConnection) -> None:
        source = self._connections[connection]
        if source is not None:
            source.connections -= 1
            source.bytes -= connection.unhandled
            source.drop_if_empty()

    def response_taken(self, connection: CountedConnection) -> None:
        """Release the bytes of a response that the client has taken, or never will."""
        if connection.held_response is None:
            return
        (counters, size), connection.held_response = connection.held_response, None
        for each in counters:
            each.bytes -= size
            each.drop_if_empty()

    # Requests

    def admit(
        self, reservation: Reservation, request: Request, *, proxy: str, principal: str | None, is_stream: bool
    ) -> None:
        """Count a request.

        It counts as a stream if it asks for one, as an upload while its body is still arriving.

        ``principal`` is None for clients without credentials.

        Raises:
            Refusal: a limit is reached.
        """
        connection = request.connection
        source, reservation.client_address = connection.source, connection.peer
        if source is None:
            forwarded_for = request.headers.get("x-forwarded-for", "")
            reservation.client_address, key = self._trusted_proxies.behind(connection.peer, forwarded_for)
            source = self.sources.take(key)
        of_proxy = self.proxies.take(proxy)
        counters: tuple[Counters, ...]
        if principal is None:
            counters = source, of_proxy, self.total
        else:
            counters = source, of_proxy, self.total, self.principals.take((proxy, principal))
        reservation.counters = counters
        try:
            if is_stream:
                reservation.count_stream()
            elif request.complete:
                reservation.count_request()
            else:
                reservation.count_upload()
        except LimitReachedError as reached:
            reservation.counters = ()
            for each in counters:
                each.drop_if_empty()
            raise refusal(reached) from None

    def release(self, reservation: Reservation, request: Request) -> None:
        """Stop counting a request, if it was.

        A large response counts until the client has taken it.
        """
        counters, reservation.counters = reservation.counters, ()
        if not counters:
            return
        size, connection = reservation.bytes, request.connection
        if size > SENT_AT_ONCE and not connection.lost:
            connection.held_response, size = (counters, size), 0
        is_request = not (reservation.is_stream or reservation.is_uploading)
        for each in counters:
            if is_request:
                each.requests -= 1
            elif reservation.is_stream:
                each.streams -= 1
            else:
                each.uploads -= 1
            each.bytes -= size
            if each.table is not None and not each.requests and not each.connections:
                each.drop_if_empty()
        if self._waiting_for_end is not None:
            self._waiting_for_end.set()

    @property
    def requests(self) -> int:
        """How many requests await a response."""
        return self.total.requests

    @property
    def streams(self) -> int:
        """How many streams are open."""
        return self.total.streams

    async def empty(self) -> None:
        """Wait until nothing is in flight."""
        while self.total.requests or self.total.streams or self.total.uploads:
            self._waiting_for_end = asyncio.Event()
            await self._waiting_for_end.wait()
