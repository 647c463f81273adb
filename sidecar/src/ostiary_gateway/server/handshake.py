"""A connection before its TLS handshake is done: counted, bounded and timed from its first packet.

asyncio's own way tells of a connection only after the handshake, so that whoever never ends one would be nobody's.
"""

import asyncio
import ssl
from typing import TYPE_CHECKING, cast

from ostiary_gateway.server.connection import Connection

if TYPE_CHECKING:
    from ostiary_gateway.server.listener import Listener


class Handshake(asyncio.Protocol):
    """Stands between a caller and his :class:`Connection` until both can speak."""

    def __init__(self, listener: "Listener", tls: ssl.SSLContext) -> None:
        self._listener = listener
        self._tls = tls
        self._connection = Connection(listener)
        self._early = b""
        self._over = False
        self._task: asyncio.Task[None] | None = None  # kept, or it might be collected

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Let the caller in or not; without TLS there is no way to tell him why."""
        self._connection.connection_made(transport)
        plain = cast("asyncio.Transport", transport)
        if self._connection.is_turned_away:
            plain.abort()
            return
        plain.pause_reading()  # what comes belongs to TLS
        self._task = self._listener.loop.create_task(self._shake(plain))

    async def _shake(self, plain: asyncio.Transport) -> None:
        seconds = self._listener.limits.head_seconds
        try:
            secured = await self._listener.loop.start_tls(
                plain, self, self._tls, server_side=True, ssl_handshake_timeout=seconds
            )
        except OSError as error:  # no TLS, nothing in common, no time left, or nobody there
            plain.abort()
            self.connection_lost(error)
            return
        if self._over or secured is None:  # gone with the end of the handshake
            self.connection_lost(None)
            return
        self._connection.secured(secured)
        secured.set_protocol(self._connection)
        if self._early:
            self._connection.data_received(self._early)

    def data_received(self, data: bytes) -> None:
        """Keep what came with the end of the handshake: the connection's transport is not there yet."""
        self._early += data

    def eof_received(self) -> bool:
        """A caller who ends his side has gone away."""
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the connection, once."""
        if not self._over:
            self._over = True
            self._connection.connection_lost(exc)
