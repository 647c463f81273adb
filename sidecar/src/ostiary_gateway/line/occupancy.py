"""Who is here: the connections and requests of one gateway process, counted for their source, their proxy, their
principal and all together, against the bounds of the settings (:mod:`.limit`).
"""

import asyncio
import logging
from typing import Final

from ostiary_core.contract.documents import Bounds, Share
from ostiary_gateway.config.snapshot import Snapshot
from ostiary_gateway.line.exchange import ANONYMOUS, Exchange
from ostiary_gateway.line.limit import count_request, count_stream, refusal
from ostiary_gateway.line.refusals import response_for
from ostiary_gateway.line.source import Sources
from ostiary_gateway.line.tally import Bound, Ceiling, FullError, Shelf, Tally
from ostiary_gateway.server.connection import Connection
from ostiary_gateway.server.response import Response

_log: Final = logging.getLogger(__name__)

#: What a transport takes without telling us to wait, in bytes.
SENT_AT_ONCE: Final = 64 * 1024
#: Requests that nobody works on, heads in pieces and what came early, may hold this part of all bytes.
_UNASKED_PART: Final = 8
#: Fewer will be missed in earnest.
_FEW_CONNECTIONS: Final = 1024
_TOO_FEW_FILES: Final = (
    "bounds.connections is %d, of which this process carries %d: each takes up to two open files, and the system "
    "allows no more; to carry more raise the hard limit (ulimit -Hn, or LimitNOFILE of the container runtime)"
)


class Occupancy:
    """What is in flight now, by whom, and what was refused.

    ``carried`` is how many connections the process can carry whatever the settings say.
    """

    def __init__(self) -> None:
        self.carried: int | None = None
        self.ceilings: Final = (
            Ceiling("gateway", "This gateway has"),
            Ceiling("source", "Your address has"),
            Ceiling("principal", "You have"),
            Ceiling("proxy", "This proxy has"),
        )
        everybody, source, principal, proxy = self.ceilings
        self.total = Tally(everybody)
        self.sources = Shelf(source)
        self.principals = Shelf(principal)
        self.proxies = Shelf(proxy, stay=True)
        self._finder = Sources()
        self._trusted: list[str] = []
        self._told: int | None = None
        self._connections: dict[Connection, Tally | None] = {}
        self._unasked = 0
        self._waiting_for_end: asyncio.Event | None = None

    # Bounds

    def on_swap(self, snapshot: Snapshot, _: frozenset[str]) -> None:
        """Take the bounds and trusted proxies of a new config."""
        self.move(snapshot.settings.bounds, trusted_proxies=snapshot.settings.trusted_proxies)
        self.proxies.keep({proxy.uid for proxy in snapshot.proxies.values()})

    def move(self, bounds: Bounds, *, trusted_proxies: list[str]) -> None:
        """Take other bounds; connections whose source is told otherwise now are counted anew."""
        everybody, source, principal, proxy = self.ceilings
        self._tell_what_is_carried(bounds.connections)
        everybody.move(
            Share(
                connections=min(filter(None, (bounds.connections, self.carried)), default=None),
                requests_in_flight=bounds.requests_in_flight,
                streams=bounds.streams,
                bytes_in_flight=bounds.bytes_in_flight,
            )
        )
        source.move(bounds.per_source)
        if self.carried is not None and bounds.connections is not None and self.carried < bounds.connections:
            # What the system does not let us carry is taken off every share alike, or one source could take all.
            source.connections = max(1, source.connections * self.carried // bounds.connections)
        principal.move(bounds.per_principal)
        proxy.move(bounds.per_proxy)
        if trusted_proxies != self._trusted:
            self._trusted = trusted_proxies
            self._finder = Sources(trusted_proxies)
            for connection in self._connections:
                self._uncount(connection)
                self._count(connection)

    def _tell_what_is_carried(self, wanted: int | None) -> None:
        """Tell of a bound that the process cannot reach, once for each: most configs change nothing of it."""
        if self.carried is None or wanted is None or wanted <= self.carried or wanted == self._told:
            return
        self._told = wanted
        level = logging.WARNING if self.carried < _FEW_CONNECTIONS else logging.INFO
        _log.log(level, _TOO_FEW_FILES, wanted, self.carried)

    # Connections

    def opened(self, connection: Connection) -> Response | None:
        """Count a connection, or return what it is told at the bound: its request was not even read."""
        total = self.total
        connection.source = tally = self._tally_of(connection)
        for holder in (tally, total):
            if holder is not None and holder.connections >= holder.ceiling.connections:
                if tally is not None:
                    tally.forget_if_empty()
                return response_for(refusal(FullError(holder.ceiling, Bound.CONNECTIONS), close=True), None)
        self._connections[connection] = tally
        total.connections += 1
        if tally is not None:
            tally.connections += 1
        return None

    def waits(self, connection: Connection, change: int) -> bool:
        """Count bytes that a connection holds of requests which nobody works on: also for its source, if it has one.

        Return whether there are more of them in all than may be.
        """
        if connection not in self._connections:
            return False
        tally = self._connections[connection]
        if tally is not None:
            tally.bytes += change
        self.total.bytes += change
        self._unasked += change
        return change > 0 and self._unasked > self.total.ceiling.bytes // _UNASKED_PART

    def closed(self, connection: Connection) -> None:
        """Forget a connection; one that was refused was never counted."""
        self.taken(connection)
        if connection in self._connections:
            self.total.bytes -= connection.unasked
            self._unasked -= connection.unasked
            self.total.connections -= 1
            self._uncount(connection)
            del self._connections[connection]

    def _tally_of(self, connection: Connection) -> Tally | None:
        peer = connection.peer
        return None if self._finder.trusts(peer) else self.sources.take(self._finder.of_peer(peer).key)

    def _count(self, connection: Connection) -> None:
        connection.source = self._connections[connection] = tally = self._tally_of(connection)
        if tally is not None:
            tally.connections += 1
            tally.bytes += connection.unasked

    def _uncount(self, connection: Connection) -> None:
        tally = self._connections[connection]
        if tally is not None:
            tally.connections -= 1
            tally.bytes -= connection.unasked
            tally.forget_if_empty()

    def taken(self, connection: Connection) -> None:
        """The caller has taken what was held for him, or will not any more."""
        if connection.holding is None:
            return
        (holders, held), connection.holding = connection.holding, None
        for tally in holders:
            tally.bytes -= held
            tally.forget_if_empty()

    # Requests

    def enter(self, exchange: Exchange) -> None:
        """Count a request; a GET as the stream that it asks for, one whose body is still arriving as no request yet.

        Raises:
            Refusal: a bound is reached.
        """
        connection = exchange.request.connection
        source, exchange.client_address = connection.source, connection.peer
        if source is None:
            forwarded_for = exchange.request.headers.get("x-forwarded-for", "")
            exchange.client_address, key = self._finder.behind(connection.peer, forwarded_for)
            source = self.sources.take(key)
        holders: tuple[Tally, ...] = (source, self.proxies.take(exchange.proxy.uid), self.total)
        if exchange.principal != ANONYMOUS:
            holders = (*holders, self.principals.take((exchange.proxy.uid, exchange.principal)))
        exchange.holders = holders
        try:
            if exchange.stays_open:
                count_stream(exchange)
            elif exchange.request.complete:
                count_request(exchange)
            else:
                exchange.is_reading = True
                for tally in holders:
                    tally.reading += 1
        except FullError as full:
            exchange.holders = ()
            for tally in holders:
                tally.forget_if_empty()
            raise refusal(full) from None

    def leave(self, exchange: Exchange) -> None:
        """Forget a request, if it was counted. What is held of a large answer counts until the caller has taken it."""
        holders, exchange.holders = exchange.holders, ()
        if not holders:
            return
        held, connection = exchange.held, exchange.request.connection
        if held > SENT_AT_ONCE and not connection.lost:
            connection.holding, held = (holders, held), 0
        for tally in holders:
            if exchange.is_stream:
                tally.streams -= 1
            elif exchange.is_reading:
                tally.reading -= 1
            else:
                tally.requests -= 1
            tally.bytes -= held
            if not tally.requests and not tally.streams:
                tally.forget_if_empty()
        if self._waiting_for_end is not None:
            self._waiting_for_end.set()

    @property
    def requests(self) -> int:
        """How many requests await an answer."""
        return self.total.requests

    @property
    def streams(self) -> int:
        """How many streams are open."""
        return self.total.streams

    async def empty(self) -> None:
        """Wait until nothing is in flight."""
        while self.total.requests or self.total.streams or self.total.reading:
            self._waiting_for_end = asyncio.Event()
            await self._waiting_for_end.wait()
