"""A TCP link that can be cut: a network partition between two processes that keep running."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field


@dataclass
class TcpLink:
    """Forwards to a port of loopback unless it is ``cut``; a cut closes its open connections."""

    to_port: int
    port: int = 0
    cut: bool = False
    _open: set[asyncio.StreamWriter] = field(default_factory=set)

    @property
    def url(self) -> str:
        """The URL of the near end."""
        return f"http://127.0.0.1:{self.port}"

    def disconnect(self) -> None:
        """Close every connection and refuse new ones."""
        self.cut = True
        for writer in self._open:
            writer.transport.abort()

    def reconnect(self) -> None:
        """Forward new connections again."""
        self.cut = False

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Forward one connection in both directions."""
        if self.cut:
            writer.transport.abort()
            return
        there_reader, there_writer = await asyncio.open_connection("127.0.0.1", self.to_port)
        ends = {writer, there_writer}
        self._open |= ends
        try:
            await asyncio.gather(_carry(reader, there_writer), _carry(there_reader, writer))
        finally:
            self._open -= ends
            for each in ends:
                each.close()


async def _carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        while content := await reader.read(1 << 16):
            writer.write(content)
            await writer.drain()
    writer.close()


@contextlib.asynccontextmanager
async def tcp_link(to_port: int, *, host: str = "127.0.0.1") -> AsyncIterator[TcpLink]:
    """Open a link to a port of loopback; its near end is at an address of this machine."""
    it = TcpLink(to_port)
    server = await asyncio.start_server(it.handle, host, 0)
    it.port = server.sockets[0].getsockname()[1]
    try:
        yield it
    finally:
        server.close()
        it.disconnect()
        await server.wait_closed()
