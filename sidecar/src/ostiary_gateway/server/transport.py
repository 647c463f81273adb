"""The bytes of one connection.

This is what is written, how fast the client takes it, and whether we read.
"""

import asyncio
import socket
from typing import cast

from ostiary_gateway.asyncio_internals import limit_read_size
from ostiary_gateway.server.host import TransportHost


class ConnectionTransport(asyncio.Protocol):
    """The part of a connection below HTTP. ``lost`` once the connection is closed."""

    def __init__(self, listener: TransportHost) -> None:
        self.lost = False
        #: Since when the client takes nothing of what is waiting for it.
        self.stalled_since: float | None = None
        #: The address at the other end of the connection.
        self.peer = ""
        self._listener = listener
        self._transport: asyncio.Transport
        #: The transport below TLS. asyncio encrypts at once whatever is written, passes it down and counts it as sent:
        #: only this transport has the number of bytes that the client has not taken.
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
        # The size of one piece bounds what a connection can make us hold of requests that are not being handled.
        limit_read_size(transport)
        name = transport.get_extra_info("peername")
        self.peer = str(name[0]) if name else ""

    def eof_received(self) -> bool:
        """Treat a half-closed connection as closed: a client that was killed looks the same."""
        return False

    def pause_writing(self) -> None:
        """Note that the client takes less than we have for it."""
        self.stalled_since = self._listener.now()
        self._unsent = self.unsent

    def resume_writing(self) -> None:
        """Note that the client has taken it."""
        self.stalled_since = None
        if self._drained is not None and not self._drained.done():
            self._drained.set_result(None)

    @property
    def local_port(self) -> int:
        """The port that the client connected to."""
        name = self._transport.get_extra_info("sockname") or self._transport.get_extra_info("socket").getsockname()
        return int(name[1])

    @property
    def client_certificate(self) -> bytes | None:
        """The certificate that the client presented over TLS, as DER; None without one."""
        secured = self._transport.get_extra_info("ssl_object")
        return (secured.getpeercert(binary_form=True) or None) if secured is not None else None

    @property
    def unsent(self) -> int:
        """How many bytes the client has not taken yet."""
        encrypted = self._below.get_write_buffer_size() if self._below is not None else 0
        return self._transport.get_write_buffer_size() + encrypted

    def abort(self) -> None:
        """Close at once."""
        self._transport.abort()

    def write(self, data: bytes) -> None:
        """Send bytes, or buffer them until the client takes them."""
        if not self.lost:
            self._transport.write(data)

    async def drained(self) -> None:
        """Wait until the client has taken most of what was sent.

        Raises:
            CallerGone: it has closed the connection instead.
        """
        while self.stalled_since is not None:
            self._drained = self._listener.loop.create_future()
            try:
                await self._drained
            finally:
                self._drained = None

    def pause_reading(self) -> None:
        """Stop reading until :meth:`resume_reading`."""
        if not self._paused and not self._transport.is_closing():
            self._paused = True
            self._transport.pause_reading()

    def resume_reading(self) -> None:
        """Continue to read."""
        if self._paused and not self._transport.is_closing():
            self._paused = False
            self._transport.resume_reading()
