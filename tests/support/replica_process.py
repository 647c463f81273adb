"""One replica of an MCP server, as a process: sessions in its memory, calls without a session, and streams.

    python replica_process.py NAME ADDRESS PORT

After SIGTERM it accepts no connection, answers what it has and ends its streams. Every result names the replica.
"""

import asyncio
import contextlib
import json
import signal
import sys
import uuid
from typing import Any, Final

from aiohttp import web

_REVISION: Final = "2025-11-25"
_MODERN: Final = "2026-07-28"
_CAPABILITIES: Final = {"tools": {"listChanged": True}}
_HINTS: Final = {"resultType": "complete", "ttlMs": 0, "cacheScope": "private"}
_CHANGED: Final = b'event: message\ndata: {"jsonrpc":"2.0","method":"notifications/tools/list_changed"}\n\n'
#: Seconds between two events on a stream.
_PERIOD: Final = 0.5
#: Seconds that the requests in flight may take at the end.
_GRACE: Final = 30.0


class Replica:
    """The server. ``sessions`` are lost with it, as those of most servers are."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.sessions: set[str] = set()
        self.ending = asyncio.Event()

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """Answer one request."""
        session = request.headers.get("Mcp-Session-Id")
        if session is not None and session not in self.sessions:
            return web.json_response({"error": "no such session"}, status=404)
        if request.method == "GET":
            return await self._stream(request)
        if request.method == "DELETE":
            self.sessions.discard(session or "")
            return web.Response(status=204)
        message = await request.json()
        if "id" not in message:
            return web.Response(status=202)
        return self._answer(message, session, request.headers.get("MCP-Protocol-Version", ""))

    def _answer(self, message: dict[str, Any], session: str | None, revision: str) -> web.Response:
        method, more = message["method"], {}
        if method == "initialize":
            session = uuid.uuid4().hex
            self.sessions.add(session)
            more = {"Mcp-Session-Id": session}
        elif session is None and revision != _MODERN:
            return web.json_response({"error": "no session"}, status=400)
        result = self._result(method) | (_HINTS if revision == _MODERN else {})
        return web.json_response({"jsonrpc": "2.0", "id": message["id"], "result": result}, headers=more)

    def _result(self, method: str) -> dict[str, Any]:
        info = {"name": self.name, "version": "1"}
        if method == "initialize":
            return {"protocolVersion": _REVISION, "capabilities": _CAPABILITIES, "serverInfo": info}
        if method == "server/discover":
            return {"supportedVersions": [_MODERN, _REVISION], "capabilities": _CAPABILITIES, "serverInfo": info}
        if method == "tools/list":
            hints = {"readOnlyHint": True}
            return {"tools": [{"name": "who", "inputSchema": {"type": "object"}, "annotations": hints}]}
        return {"content": [{"type": "text", "text": self.name}]} if method == "tools/call" else {}

    async def _stream(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        with contextlib.suppress(ConnectionError):  # the client has gone
            while not self.ending.is_set():
                await response.write(_CHANGED)
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self.ending.wait(), _PERIOD)
            await response.write_eof()
        return response


async def main(name: str, address: str, port: int) -> None:
    """Serve until SIGTERM, then end in order."""
    replica = Replica(name)
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    app = web.Application()
    app.router.add_route("*", "/mcp", replica.serve)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=_GRACE)
    await runner.setup()
    await web.TCPSite(runner, address, port, backlog=1024).start()
    sys.stdout.write(json.dumps({"name": name}) + "\n")
    sys.stdout.flush()
    await stop.wait()
    replica.ending.set()
    await runner.cleanup()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
