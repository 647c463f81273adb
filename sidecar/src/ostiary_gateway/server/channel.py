"""The two ways of one connection's bytes: what goes out and how fast it is taken, and whether more is read."""

import asyncio
import socket
from typing import TYPE_CHECKING, cast

from ostiary_gateway.transports import limit_read_size

if TYPE_CHECKING:
    from ostiary_gateway.server.listener import Listener


class Channel(asyncio.Protocol):
    """A connection as far as it knows nothing of HTTP; ``lost`` once there is none any more."""

    def __init__(self, listener: "Listener") -> None:
        self.lost = False
        #: Since when the caller takes nothing of what we have for him.
        self.stalled_since: float | None = None
        #: The address at the other end of the connection.
        self.peer = ""
        self._listener = listener
        self._transport: asyncio.Transport
        #: What carries TLS. asyncio encrypts whatever is written at once, hands it down and counts it as sent: only
        #: there it is known how much of it the caller has not taken.
        self._below: asyncio.Transport | None = None
        self._unsent = 0
        self._paused = False
        self._drained: asyncio.Future[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = cast("asyncio.Transport", transport)
        made = transport.get_extra_info("socket")
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        # What comes in one piece is what one connection may hold of what nobody has asked for yet.
        limit_read_size(transport)
        name = transport.get_extra_info("peername")
        self.peer = str(name[0]) if name else ""

    def eof_received(self) -> bool:
        """A caller who ends his side has gone away: who only closed his half cannot be told from who was killed."""
        return False

    def pause_writing(self) -> None:
        """The caller takes less than we have."""
        self.stalled_since = self._listener.now()
        self._unsent = self.unsent

    def resume_writing(self) -> None:
        """He has taken it."""
        self.stalled_since = None
        if self._drained is not None and not self._drained.done():
            self._drained.set_result(None)

    @property
    def local_port(self) -> int:
        """Our port."""
        return int(self._transport.get_extra_info("sockname")[1])

    @property
    def unsent(self) -> int:
        """How many bytes wait for the caller to take them."""
        encrypted = self._below.get_write_buffer_size() if self._below is not None else 0
        return self._transport.get_write_buffer_size() + encrypted

    def abort(self) -> None:
        """Close at once."""
        self._transport.abort()

    def write(self, data: bytes) -> None:
        """Send bytes, or keep them for when the caller takes them."""
        if not self.lost:
            self._transport.write(data)

    async def drained(self) -> None:
        """Wait until the caller has taken most of what was sent.

        Raises:
            CallerGone: he has gone instead.
        """
        while self.stalled_since is not None:
            self._drained = self._listener.loop.create_future()
            try:
                await self._drained
            finally:
                self._drained = None

    def pause_reading(self) -> None:
        """Read no more until :meth:`resume_reading`."""
        if not self._paused and not self._transport.is_closing():
            self._paused = True
            self._transport.pause_reading()

    def resume_reading(self) -> None:
        """Read on."""
        if self._paused and not self._transport.is_closing():
            self._paused = False
            self._transport.resume_reading()
