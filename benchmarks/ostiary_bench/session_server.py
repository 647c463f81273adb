"""An upstream that speaks one era of MCP, with fixed results, and counts the requests that it gets.

    python session_server.py PORT

The path says which: `/legacy/N` has sessions, `/modern/N` is stateless; each lists N tools. `GET /count` returns how
many POST requests came since it was asked before. It is one asyncio protocol, so that it is not what is measured.
"""

import asyncio
import json
import sys
from typing import Any, Final

from ostiary_bench import messages

_JSON: Final = b"application/json"
_SERVER_INFO: Final = {"name": "bench", "version": "1"}
_CAPABILITIES: Final = {"tools": {"listChanged": True}}
_REVISION: Final = {"legacy": "2025-11-25", "modern": "2026-07-28"}
_REFUSED: Final = {"legacy": "server/discover", "modern": "initialize"}
_HINTS: Final = {"resultType": "complete", "ttlMs": 60_000, "cacheScope": "private"}
_RESULTS: Final[dict[tuple[str, str, int], dict[str, Any]]] = {}


class SessionServer(asyncio.Protocol):
    """One connection of the upstream. All of them count together."""

    count = 0

    def __init__(self) -> None:
        self._buffer = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        assert isinstance(transport, asyncio.Transport)  # noqa: S101  for the type checker
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Answer every request that is whole."""
        self._buffer += data
        while (end := self._buffer.find(b"\r\n\r\n")) >= 0:
            head, length = self._buffer[:end], _content_length(self._buffer[:end])
            if len(self._buffer) < end + 4 + length:
                return
            body = self._buffer[end + 4 : end + 4 + length]
            self._buffer = self._buffer[end + 4 + length :]
            self._answer(head, body)

    def _answer(self, head: bytes, body: bytes) -> None:
        method, path, _ = head.split(b" ", 2)
        if method == b"POST":
            SessionServer.count += 1
            self._write(*_message(path.decode(), json.loads(body)))
        elif path == b"/count":
            self._write(b"200 OK", str(SessionServer.count).encode())
            SessionServer.count = 0
        else:  # a stream is not offered, and the end of a session changes nothing
            self._write(b"405 Method Not Allowed" if method == b"GET" else b"204 No Content", b"")

    def _write(self, status: bytes, body: bytes, session: bytes = b"") -> None:
        assert self._transport is not None  # noqa: S101  for the type checker
        head = b"HTTP/1.1 %s\r\nContent-Type: %s\r\nContent-Length: %d\r\n%s\r\n" % (status, _JSON, len(body), session)
        self._transport.write(head + body)


def _content_length(head: bytes) -> int:
    for line in head.split(b"\r\n"):
        if line[:15].lower() == b"content-length:":
            return int(line[15:])
    return 0


def _message(path: str, message: dict[str, Any]) -> tuple[bytes, bytes, bytes]:
    """Return status, body and further headers of the answer to a message."""
    if "id" not in message:
        return b"202 Accepted", b"", b""
    _, era, number = path.split("/")
    method = str(message["method"])
    if method == _REFUSED[era]:
        error = {"code": -32022, "message": "Unsupported protocol version", "data": {"supported": [_REVISION[era]]}}
        return b"400 Bad Request", messages.encoded({"jsonrpc": "2.0", "id": message["id"], "error": error}), b""
    result = _result(era, method, int(number))
    session = b"Mcp-Session-Id: bench-session\r\n" if method == "initialize" else b""
    return b"200 OK", messages.encoded({"jsonrpc": "2.0", "id": message["id"], "result": result}), session


def _result(era: str, method: str, number: int) -> dict[str, Any]:
    key = (era, method, number)
    if key not in _RESULTS:
        of_era = _HINTS if era == "modern" else {}
        _RESULTS[key] = {**_new_result(era, method, number), **of_era}
    return _RESULTS[key]


def _new_result(era: str, method: str, number: int) -> dict[str, Any]:
    if method == "initialize":
        return {"protocolVersion": _REVISION[era], "capabilities": _CAPABILITIES, "serverInfo": _SERVER_INFO}
    if method == "server/discover":
        return {"supportedVersions": [_REVISION["modern"]], "capabilities": _CAPABILITIES, "serverInfo": _SERVER_INFO}
    return messages.tools(number) if method == "tools/list" else dict(messages.RESULT)


async def main() -> None:
    """Listen until the process is ended."""
    server = await asyncio.get_running_loop().create_server(SessionServer, "127.0.0.1", int(sys.argv[1]), backlog=1024)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
