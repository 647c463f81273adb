"""A connection before its TLS handshake is complete.

It is counted, bounded and timed from its first packet.

asyncio reports a connection only after its handshake, so a client that never completes one would be counted nowhere.
"""

import asyncio
import ssl
from typing import cast

from ostiary_gateway.server.host import ServedConnection, TransportHost


class TlsHandshake(asyncio.Protocol):
    """The protocol of a connection until its handshake is complete.

    Then its connection takes over.
    """

    def __init__(self, listener: TransportHost, tls: ssl.SSLContext, connection: ServedConnection) -> None:
        self._listener = listener
        self._tls = tls
        self._connection = connection
        self._early = b""
        self._over = False
        self._task: asyncio.Task[None] | None = None  # kept, or it might be collected

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin the handshake, unless the connection is refused: without TLS no reason can be sent."""
        self._connection.connection_made(transport)
        plain = cast("asyncio.Transport", transport)
        if self._connection.is_refused:
            plain.abort()
            return
        plain.pause_reading()  # the bytes that arrive belong to TLS
        self._task = self._listener.loop.create_task(self._shake(plain))

    async def _shake(self, plain: asyncio.Transport) -> None:
        seconds = self._listener.limits.head_seconds
        try:
            secured = await self._listener.loop.start_tls(
                plain, self, self._tls, server_side=True, ssl_handshake_timeout=seconds
            )
        except OSError as error:  # no TLS, no common version, beyond the deadline, or disconnected
            plain.abort()
            self.connection_lost(error)
            return
        if self._over or secured is None:  # the client disconnected at the end of the handshake
            self.connection_lost(None)
            return
        self._connection.secured(secured)
        secured.set_protocol(cast("asyncio.Protocol", self._connection))
        if self._early:
            self._connection.data_received(self._early)

    def data_received(self, data: bytes) -> None:
        """Keep what came with the end of the handshake, before the connection has its transport."""
        self._early += data

    def eof_received(self) -> bool:
        """Treat a half-closed connection as closed."""
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the connection, once."""
        if not self._over:
            self._over = True
            self._connection.connection_lost(exc)
