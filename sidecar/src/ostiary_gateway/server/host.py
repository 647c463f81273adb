"""Protocols between the parts of the HTTP server: no part imports the one that uses it.

A connection is written once for each implementation (:mod:`.http_servers`); all else is shared.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

from ostiary_gateway.server.connection_limits import Limits
from ostiary_gateway.server.request import Request
from ostiary_gateway.server.response import Response

#: Answers a request; None if it was answered as a stream.
Handler = Callable[[Request], Awaitable[Response | None]]


class CountedConnection(Protocol):
    """What a gate needs of a connection."""

    peer: str
    #: How many bytes are held of requests that are not being handled: an incomplete head, and pipelined requests.
    unhandled: int
    #: Belongs to the gate: what the connection is counted for.
    source: Any
    #: Likewise: what counts as held until the client has taken its response.
    held_response: Any


class ServedConnection(CountedConnection, Protocol):
    """What the listener and the TLS handshake need of a connection.

    It is a protocol of asyncio.
    """

    #: Since when the client takes nothing of what is waiting for it.
    stalled_since: float | None
    #: The task that handles the current request.
    task: "asyncio.Task[Any] | None"

    def connection_made(self, transport: asyncio.BaseTransport, /) -> None:
        """Begin."""

    def data_received(self, data: bytes, /) -> None:
        """Take what arrived."""

    def connection_lost(self, exc: Exception | None, /) -> None:
        """End."""

    def secured(self, transport: asyncio.Transport, /) -> None:
        """Use TLS from now on."""

    @property
    def is_refused(self) -> bool:
        """Whether the listener did not accept it."""

    @property
    def in_flight(self) -> "tuple[Request, asyncio.Task[Any]] | None":
        """The request that is being handled, with its task."""

    @property
    def idle(self) -> bool:
        """Whether no request is being handled."""

    @property
    def is_flushing(self) -> bool:
        """Whether the client may still be taking a response."""

    def overdue(self, now: float, /) -> bool:
        """Return whether the connection is beyond its deadline."""

    def end_overdue(self) -> None:
        """End a connection that is beyond its deadline."""

    def close_idle(self) -> None:
        """Close a connection without a request, once the client has its response."""

    def shed(self) -> None:
        """Drop what is held and not being handled."""

    def abort(self) -> None:
        """Close at once."""


class TransportHost(Protocol):
    """What a connection's transport needs of the listener."""

    limits: Limits
    loop: asyncio.AbstractEventLoop
    #: Seconds of the loop's clock.
    now: Callable[[], float]


class ConnectionHost(TransportHost, Protocol):
    """What a connection needs of its listener."""

    handler: Handler
    #: Whether every response that begins now is the last of its connection.
    draining: bool
    #: Whether a connection that becomes idle is closed.
    closing: bool

    def opened(self, connection: ServedConnection, /) -> Response | None:
        """Count a connection, or return its only response if it is refused."""

    def unhandled_changed(self, connection: ServedConnection, change: int, /) -> None:
        """Count bytes that the connection holds and that are not being handled."""

    def response_taken(self, connection: ServedConnection, /) -> None:
        """Note that the client has taken its response."""

    def closed(self, connection: ServedConnection, /) -> None:
        """Stop counting a connection."""


#: Makes the protocol of one connection.
NewConnection = Callable[[ConnectionHost], ServedConnection]
