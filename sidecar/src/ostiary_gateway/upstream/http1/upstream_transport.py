"""The bytes of one connection to a server.

This is what is written, whether we read, and whether it is open.
"""

import asyncio
from typing import cast

from ostiary_gateway.asyncio_internals import limit_read_size
from ostiary_gateway.upstream.http1.silent_socket import SilentSocket


class UpstreamTransport(asyncio.Protocol):
    """The part of a connection below HTTP. ``usable`` while another exchange may begin on it."""

    def __init__(self) -> None:
        self.usable = True
        self._transport: asyncio.Transport | None = None
        self._socket: SilentSocket | None = None
        #: Bytes of the present request that were written.
        self._sent = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        # A stream transport, by what loop.create_connection promises; uvloop's is no subclass of asyncio's.
        self._transport = cast("asyncio.Transport", transport)
        self._socket = SilentSocket(self._transport)
        self._socket.probe()
        limit_read_size(transport)

    def still_open(self) -> bool:
        """Check that the server has neither closed nor sent anything while idle."""
        return self.usable and self._socket is not None and self._socket.is_quiet()

    def write_more(self, data: bytes) -> None:
        """Send the rest of a request."""
        self._sent += len(data)
        if self._transport is not None:
            self._transport.write(data)

    def close(self) -> None:
        """Close at once; its exchange fails."""
        self.usable = False
        if self._transport is not None:
            self._transport.abort()

    def pause(self) -> None:
        """Stop reading until :meth:`resume`."""
        if self._transport is not None:
            self._transport.pause_reading()

    def resume(self) -> None:
        """Continue to read."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()
