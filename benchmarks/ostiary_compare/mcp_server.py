"""The MCP server behind every gateway that is compared: both eras at one path, fixed results, few microseconds a call.

    python -m ostiary_compare.mcp_server PORT

It is one loop over epoll without asyncio, so that it and the load can share the core that is not measured. A call in a
session needs an id that `initialize` gave. One of its tools answers with an event stream, all others with a document.

`GET /count` returns how many POST requests came since it was asked before. After `GET /lists/new` each list that it
returns differs from all before in what one tool says of itself, and after `GET /lists/known` all lists are the same.
"""

import json
import re
import select
import socket
import sys
from typing import Any, Final

from ostiary_bench import messages

MODERN: Final = "2026-07-28"
LEGACY: Final = ("2025-11-25", "2025-06-18", "2025-03-26")
#: The tools that are called, and how many it lists in all. Those that begin with `get_` are allowed by every policy.
TOOL: Final = messages.TOOL
STREAMING_TOOL: Final = "get_users_streamed"
TOOLS: Final = 200
#: A tool that no policy allows.
OTHER_TOOL: Final = "do_something_1"
_SESSION_PREFIX: Final = b"compare-"
_SERVER_INFO: Final = {"name": "compare", "version": "1"}
_CAPABILITIES: Final[dict[str, Any]] = {"tools": {}}
_HINTS: Final = {"resultType": "complete", "ttlMs": 60_000, "cacheScope": "private"}
#: The end of what each tool says of itself.
_END: Final = ", and nothing else."
_MOST_IN: Final = 1 << 20
_READ: Final = 1 << 16


def tools() -> dict[str, Any]:
    """Return the list of tools: those that are called, and others of about the same size."""
    schema = {"type": "object", "properties": {"limit": {"type": "integer", "description": "How many at most"}}}
    called = [
        {"name": name, "description": f"Returns the users{_END}", "inputSchema": schema}
        for name in (TOOL, STREAMING_TOOL)
    ]
    return {"tools": [*called, *messages.tools(TOOLS - len(called))["tools"]]}


def allowed_tools() -> list[str]:
    """Return the names of the tools that policies allow."""
    return [each["name"] for each in tools()["tools"] if each["name"].startswith("get_")]


NAMES: Final = frozenset(each["name"] for each in tools()["tools"])


class NewLists:
    """Lists of which no two are the same: one of the tools says another number."""

    def __init__(self, encoded: bytes) -> None:
        self._encoded = encoded
        self._places = [match.start() for match in re.finditer(re.escape(_END.encode()) + b'"', encoded)]
        self._made = 0

    def next(self) -> bytes:
        """Return another list, in few microseconds."""
        self._made += 1
        at = self._places[self._made % len(self._places)]
        return b"%s (variant %d)%s" % (self._encoded[:at], self._made, self._encoded[at:])


def result(method: str, params: dict[str, Any], *, modern: bool) -> dict[str, Any] | None:
    """Return the result of a request, or None for a method that it does not have."""
    hints = _HINTS if modern else {}
    if method == "initialize" and not modern:
        asked = params.get("protocolVersion")
        version = asked if asked in LEGACY else LEGACY[0]
        return {"protocolVersion": version, "capabilities": _CAPABILITIES, "serverInfo": _SERVER_INFO}
    if method == "server/discover" and modern:
        versions = {"supportedVersions": [MODERN, *LEGACY]}
        return {**versions, "capabilities": _CAPABILITIES, "serverInfo": _SERVER_INFO, **hints}
    if method == "tools/list":
        return {**tools(), **hints}
    if method == "tools/call" and params.get("name") in NAMES:
        return {**messages.RESULT, **({"resultType": "complete"} if modern else {})}
    return {} if method == "ping" else None


class McpServer:
    """Answers whole requests of any connection, and counts those that were POSTs."""

    def __init__(self) -> None:
        self.count = 0
        self._sessions = 0
        self._known: dict[tuple[str, object, bool], bytes] = {}
        self._new_lists: dict[bool, NewLists] | None = None

    def answer(self, head: bytes, body: bytes) -> bytes:
        """Return the response to a request, of which ``head`` is the lower-case request line and headers."""
        if not head.startswith(b"post "):
            return self._without_message(head)
        self.count += 1
        try:
            message = json.loads(body)
            method, params = message["method"], message.get("params") or {}
        except (ValueError, TypeError, KeyError, AttributeError):
            return _response(b"400 Bad Request", b"")
        if "id" not in message:
            return _response(b"202 Accepted", b"")
        modern = b"\r\nmcp-protocol-version: 2026-07-28" in head
        if not modern and method != "initialize" and b"\r\nmcp-session-id: " + _SESSION_PREFIX not in head:
            return _response(b"400 Bad Request", b"")
        return self._result(method, params, message["id"], modern=modern)

    def _without_message(self, head: bytes) -> bytes:
        if head.startswith(b"get /count "):
            count, self.count = self.count, 0
            return _response(b"200 OK", b"%d" % count)
        if head.startswith(b"get /lists/"):
            self._new_lists = {} if head.startswith(b"get /lists/new ") else None
            return _response(b"200 OK", b"")
        if head.startswith(b"get "):  # no stream of its own is offered
            return _response(b"405 Method Not Allowed", b"")
        return _response(b"200 OK", b"")

    def _result(self, method: str, params: dict[str, Any], given: object, *, modern: bool) -> bytes:
        key = (method, params.get("name"), modern)
        encoded = self._known.get(key)
        if encoded is None:
            found = result(method, params, modern=modern)
            if found is None:
                error = {"code": -32601, "message": "Unknown method or tool"}
                return _response(b"200 OK", messages.encoded({"jsonrpc": "2.0", "id": given, "error": error}))
            encoded = messages.encoded(found)
            if method != "initialize":  # its result depends on the revision that was asked for
                self._known[key] = encoded
        session = b""
        if method == "initialize":
            self._sessions += 1
            session = b"Mcp-Session-Id: %s%d\r\n" % (_SESSION_PREFIX, self._sessions)
        elif method == "tools/list" and self._new_lists is not None:
            if modern not in self._new_lists:
                self._new_lists[modern] = NewLists(encoded)
            encoded = self._new_lists[modern].next()
        text = b"%d" % given if type(given) is int else json.dumps(given).encode()
        body = b'{"jsonrpc":"2.0","id":%s,"result":%s}' % (text, encoded)
        return _stream(body) if params.get("name") == STREAMING_TOOL else _response(b"200 OK", body, session)


def _response(status: bytes, body: bytes, more: bytes = b"") -> bytes:
    kind = b"Content-Type: application/json\r\n" if body else b""
    return b"HTTP/1.1 %s\r\n%s%sContent-Length: %d\r\n\r\n%s" % (status, kind, more, len(body), body)


def _stream(body: bytes) -> bytes:
    """Return an event stream of one message, in one chunk, as servers write it."""
    event = messages.as_event(body)
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
    return b"%s%x\r\n%s\r\n0\r\n\r\n" % (head, len(event), event)


def next_request(buffer: bytes) -> tuple[bytes, bytes, bytes] | None:
    """Return lower-case head, body and the rest of the first whole request of a connection, or None."""
    end = buffer.find(b"\r\n\r\n")
    if end < 0:
        return None
    head, start = buffer[:end].lower(), end + 4
    at = head.find(b"\r\ncontent-length:")
    if at >= 0:
        stop = start + int(head[at + 17 :].split(b"\r\n", 1)[0])
        return (head, buffer[start:stop], buffer[stop:]) if len(buffer) >= stop else None
    if b"\r\ntransfer-encoding: chunked" in head:
        chunks = unchunked(buffer, start)
        return (head, chunks[0], buffer[chunks[1] :]) if chunks else None
    return head, b"", buffer[start:]


def unchunked(buffer: bytes, start: int) -> tuple[bytes, int] | None:
    """Return a whole chunked body, and where it ends; None while a part of it is missing."""
    parts: list[bytes] = []
    while (line := buffer.find(b"\r\n", start)) >= 0:
        size = int(buffer[start:line].split(b";")[0], 16)
        stop = line + 2 + size
        if len(buffer) < stop + 2:
            return None
        if size == 0:
            return b"".join(parts), stop + 2
        parts.append(buffer[line + 2 : stop])
        start = stop + 2
    return None


def serve(port: int) -> None:
    """Serve on a port of loopback until the process is ended."""
    server, poll, known = McpServer(), select.epoll(), dict[int, tuple[socket.socket, bytes]]()
    with socket.create_server(("127.0.0.1", port), backlog=1024) as listener:
        listener.setblocking(False)
        poll.register(listener, select.EPOLLIN)
        while True:
            for number, _ in poll.poll():
                if number == listener.fileno():
                    _accept(listener, poll, known)
                elif not _read(server, known, number):
                    known.pop(number)[0].close()


def _accept(listener: socket.socket, poll: select.epoll, known: dict[int, tuple[socket.socket, bytes]]) -> None:
    try:
        connection, _ = listener.accept()
    except BlockingIOError:
        return
    connection.settimeout(10)  # for answers that are larger than the socket's buffer
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    known[connection.fileno()] = (connection, b"")
    poll.register(connection, select.EPOLLIN)


def _read(server: McpServer, known: dict[int, tuple[socket.socket, bytes]], number: int) -> bool:
    """Answer what has come of a connection; return whether it stays open."""
    connection, buffer = known[number]
    try:
        data = connection.recv(_READ)
        buffer += data
        while found := next_request(buffer):
            head, body, buffer = found
            connection.sendall(server.answer(head, body))
    except (OSError, ValueError):  # gone, or not HTTP
        return False
    known[number] = (connection, buffer)
    return bool(data) and len(buffer) <= _MOST_IN


if __name__ == "__main__":
    serve(int(sys.argv[1]))
