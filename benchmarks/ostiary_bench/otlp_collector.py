"""An OTLP collector that accepts and discards everything, on the core that is not measured."""

import asyncio
import sys


class CollectorConnection(asyncio.Protocol):
    """Answers each request with 200 as soon as its body is complete."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport of a new connection."""
        assert isinstance(transport, asyncio.Transport)  # noqa: S101  a stream transport is one
        self._transport = transport
        self._buffer = b""

    def data_received(self, data: bytes) -> None:
        """Answer the requests that are whole now."""
        self._buffer += data
        while (end := self._buffer.find(b"\r\n\r\n")) >= 0:
            head = self._buffer[:end].lower()
            start = head.find(b"content-length:")
            length = int(head[start + 15 :].split(b"\r\n")[0]) if start >= 0 else 0
            if len(self._buffer) < end + 4 + length:
                return
            body = self._buffer[end + 4 : end + 4 + length]
            self._buffer = self._buffer[end + 4 + length :]
            said = self.taken(head, body)
            self._transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(said), said))

    def taken(self, head: bytes, body: bytes) -> bytes:  # noqa: ARG002  for those who count
        """Take a request, of which ``head`` is in lower case; return the body of the response."""
        return b""


async def main() -> None:
    """Listen until the process is ended."""
    server = await asyncio.get_running_loop().create_server(CollectorConnection, "127.0.0.1", int(sys.argv[1]))
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
