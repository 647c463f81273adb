"""One replica of an MCP server, as a process: sessions in its memory, calls without a session, and streams.

    python replica_process.py NAME ADDRESS PORT KEEP-ALIVE-SECONDS

It runs on uvicorn, as servers on the official Python SDK do. After SIGTERM it accepts no connection, answers what it
has and ends its streams. Every result names the replica.
"""

import asyncio
import contextlib
import json
import sys
import uuid
from collections.abc import Mapping
from typing import Any, Final

import uvicorn

_REVISION: Final = "2025-11-25"
_MODERN: Final = "2026-07-28"
_CAPABILITIES: Final = {"tools": {"listChanged": True}}
_HINTS: Final = {"resultType": "complete", "ttlMs": 0, "cacheScope": "private"}
_CHANGED: Final = b'event: message\ndata: {"jsonrpc":"2.0","method":"notifications/tools/list_changed"}\n\n'
#: Seconds between two events on a stream.
_PERIOD: Final = 0.5
#: Seconds that the requests in flight may take at the end.
_GRACE: Final = 30


class Replica:
    """The server. ``sessions`` are lost with it, as those of most servers are."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.sessions: set[str] = set()
        self.ending = asyncio.Event()

    async def __call__(self, scope: Mapping[str, Any], receive: Any, send: Any) -> None:
        """Answer one request, as an ASGI application."""
        if scope["type"] != "http":
            return
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        session = headers.get("mcp-session-id")
        if session is not None and session not in self.sessions:
            await _respond(send, 404, {"error": "no such session"})
        elif scope["method"] == "GET":
            await self._stream(send)
        elif scope["method"] == "DELETE":
            self.sessions.discard(session or "")
            await _respond(send, 204)
        else:
            await self._post(await _body(receive), session, headers.get("mcp-protocol-version", ""), send)

    async def _post(self, body: bytes, session: str | None, revision: str, send: Any) -> None:
        message = json.loads(body)
        if "id" not in message:
            await _respond(send, 202)
            return
        method, more = message["method"], {}
        if method == "initialize":
            session = uuid.uuid4().hex
            self.sessions.add(session)
            more = {"Mcp-Session-Id": session}
        elif session is None and revision != _MODERN:
            await _respond(send, 400, {"error": "no session"})
            return
        result = self._result(method) | (_HINTS if revision == _MODERN else {})
        await _respond(send, 200, {"jsonrpc": "2.0", "id": message["id"], "result": result}, more)

    def _result(self, method: str) -> dict[str, Any]:
        info = {"name": self.name, "version": "1"}
        if method == "initialize":
            return {"protocolVersion": _REVISION, "capabilities": _CAPABILITIES, "serverInfo": info}
        if method == "server/discover":
            return {"supportedVersions": [_MODERN, _REVISION], "capabilities": _CAPABILITIES, "serverInfo": info}
        if method == "tools/list":
            return {"tools": [{"name": "who", "inputSchema": {"type": "object"}}]}
        return {"content": [{"type": "text", "text": self.name}]} if method == "tools/call" else {}

    async def _stream(self, send: Any) -> None:
        await send(_start(200, {"Content-Type": "text/event-stream"}))
        while not self.ending.is_set():
            await send({"type": "http.response.body", "body": _CHANGED, "more_body": True})
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.ending.wait(), _PERIOD)
        await send({"type": "http.response.body", "body": b""})


async def _body(receive: Any) -> bytes:
    body, more = b"", True
    while more:
        message = await receive()
        body, more = body + message.get("body", b""), message.get("more_body", False)
    return body


def _start(status: int, headers: Mapping[str, str]) -> dict[str, Any]:
    lines = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    return {"type": "http.response.start", "status": status, "headers": lines}


async def _respond(send: Any, status: int, document: Any = None, headers: Mapping[str, str] | None = None) -> None:
    body = json.dumps(document).encode() if document is not None else b""
    about = {"Content-Type": "application/json"} if body else {}
    if status != 204:
        about["Content-Length"] = str(len(body))
    await send(_start(status, {**about, **(headers or {})}))
    await send({"type": "http.response.body", "body": body})


class _Server(uvicorn.Server):
    """It ends the streams of its replica before it waits for the end of requests."""

    def __init__(self, replica: Replica, address: str, port: int, keep_alive: int) -> None:
        config = uvicorn.Config(
            replica, host=address, port=port, log_level="critical", lifespan="off", backlog=1024,
            timeout_graceful_shutdown=_GRACE, timeout_keep_alive=keep_alive,
        )  # fmt: skip
        super().__init__(config)
        self._replica = replica

    async def startup(self, sockets: Any = None) -> None:
        """Say that it serves."""
        await super().startup(sockets)
        sys.stdout.write(json.dumps({"name": self._replica.name}) + "\n")
        sys.stdout.flush()

    async def shutdown(self, sockets: Any = None) -> None:
        """End in order."""
        self._replica.ending.set()
        await super().shutdown(sockets)


if __name__ == "__main__":
    _Server(Replica(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4])).run()
