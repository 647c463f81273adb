"""An MCP server that answers `fast` at once, `slow` never, `tiny` with many tiny tools."""

import asyncio
import sys
from typing import Final, cast

from ostiary_gateway.open_files import raise_file_limit

_HEAD: Final = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b"
_RESULT: Final = b'{"jsonrpc":"2.0","id":1,"result":{%b}}'
_FAST: Final = _RESULT % b'"content":[]'


class _Serving(asyncio.Protocol):
    """One connection. ``tiny`` is the list."""

    tiny = b""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head, end, rest = self._buffer.partition(b"\r\n\r\n")
        if not end or len(rest) < int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0]):
            return
        self._buffer.clear()
        if head.startswith(b"POST /fast"):
            self._answer(_FAST)
        elif head.startswith(b"POST /tiny"):
            self._answer(self.tiny)

    def _answer(self, body: bytes) -> None:
        self._transport.write(_HEAD % (len(body), body))


async def main() -> None:
    """Listen until the process is ended."""
    raise_file_limit()
    tools = b",".join(b'{"name":"get_%d"}' % n for n in range(int(sys.argv[2])))
    _Serving.tiny = _RESULT % (b'"tools":[' + tools + b"]")
    server = await asyncio.get_running_loop().create_server(_Serving, "127.0.0.1", int(sys.argv[1]), backlog=4096)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
