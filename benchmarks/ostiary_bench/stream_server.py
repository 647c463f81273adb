"""An MCP server that keeps every GET open as a stream.

A POST to ``/say`` sends one event on each.
"""

import asyncio
import sys
from typing import Final, cast

from ostiary_gateway.open_files import raise_file_limit

_HEAD: Final = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
_SAID: Final = b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n"
_EVENT: Final = b'event: message\ndata: {"jsonrpc":"2.0","method":"notifications/tools/list_changed"}\n\n'
_CHUNK: Final = b"%x\r\n%b\r\n" % (len(_EVENT), _EVENT)


class _HeldStream(asyncio.Protocol):
    """One connection."""

    open: Final[set["_HeldStream"]] = set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        if data.startswith(b"GET "):
            self.open.add(self)
            self._transport.write(_HEAD)
        else:
            for stream in self.open:
                stream._transport.write(_CHUNK)
            self._transport.write(_SAID)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  asyncio's name
        self.open.discard(self)


async def main() -> None:
    """Listen until the process is ended."""
    raise_file_limit()
    server = await asyncio.get_running_loop().create_server(_HeldStream, "127.0.0.1", int(sys.argv[1]), backlog=4096)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
