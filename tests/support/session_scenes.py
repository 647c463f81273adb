"""A server of the handshake revisions, whose sessions a test can let it forget.

scene = SessionScene("crm")
async with serving(scene.script) as upstream:
    ...
    scene.forget()
"""

from collections.abc import Mapping
from typing import Any

from aiohttp import web
from mcp_caller import LEGACY
from upstreams import Arrived, answer, document

_UNKNOWN = frozenset({"server/discover", "subscriptions/listen"})


class SessionScene:
    """A server of the handshake revisions, whose sessions the test can let it forget."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.opened = 0
        self.forgotten: set[str] = set()
        self.capabilities: Mapping[str, Any] = {"tools": {}, "logging": {}, "resources": {"subscribe": True}}
        self.revision = LEGACY
        self.down = False
        self.session = "{name}-session-{number}"
        self.instructions: str | None = None

    async def script(self, request: web.BaseRequest, arrived: Arrived) -> web.StreamResponse:
        if arrived.method == "initialize" and not self.down:
            return self._opened(arrived)
        if (status := self._status(request, arrived)) is not None:
            return web.Response(status=status)
        if arrived.method in _UNKNOWN:
            error = {"code": -32601, "message": "Method not found"}
            return document({"jsonrpc": "2.0", "id": arrived.message["id"], "error": error})
        if arrived.method == "tools/call":
            return document(answer(arrived, {"content": [], "by": self.name}))
        return document(answer(arrived, {}))

    def _opened(self, arrived: Arrived) -> web.StreamResponse:
        self.opened += 1
        session = self.session.format(name=self.name, number=self.opened)
        result = {
            "protocolVersion": self.revision,
            "capabilities": self.capabilities,
            "serverInfo": {"name": self.name, "version": "1"},
            **({"instructions": self.instructions} if self.instructions else {}),
        }
        return document(answer(arrived, result), headers={"Mcp-Session-Id": session} if session else None)

    def _status(self, request: web.BaseRequest, arrived: Arrived) -> int | None:
        """The HTTP status where that is the whole answer."""
        if self.down:
            return 503
        if arrived.headers.get("Mcp-Session-Id", "") in self.forgotten:
            return 404
        if request.method != "POST":
            return {"DELETE": 200, "GET": 405}[request.method]
        return None if "id" in arrived.message else 202

    def forget(self) -> None:
        """Forget every session that was opened."""
        self.forgotten = {self.session.format(name=self.name, number=each) for each in range(1, self.opened + 1)}
