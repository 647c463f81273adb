"""A scripted server of legacy revisions that asks in the midst of calls, and remembers its sessions.

scene = AskingServer()
async with serving(scene.script) as upstream: …

Its tools: ``plain`` answers at once; ``ask`` asks one question and answers with what it was told; ``wait`` never
answers; any other name is asked for as a method: ``ask sampling/createMessage``.
"""

import asyncio
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web
from mcp_caller import MODERN, envelope, legacy
from upstreams import Arrived, answer, document, events
from waiting import for_ever

FORM: dict[str, Any] = {
    "message": "Who?",
    "requestedSchema": {"type": "object", "properties": {"name": {"type": "string"}}},
}
PARAMS: dict[str, dict[str, Any]] = {
    "elicitation/create": FORM,
    "sampling/createMessage": {"messages": [], "maxTokens": 1},
    "roots/list": {},
}
CAPABILITIES: dict[str, Any] = {"elicitation": {"form": {}}}


@dataclass
class AskingServer:
    """The state of the server: the sessions that it knows, and what it was told."""

    sessions: set[str] = field(default_factory=set)
    opened: int = 0
    ended: list[str] = field(default_factory=list)
    told: asyncio.Queue[dict[str, Any]] = field(default_factory=asyncio.Queue)
    cancelled: asyncio.Queue[Any] = field(default_factory=asyncio.Queue)
    answered: asyncio.Event = field(default_factory=asyncio.Event)
    fails_without_answer: bool = False
    instructions: str = ""
    gate: asyncio.Event | None = None
    """What ``initialize`` waits for."""
    repeats: int = 1
    """How often a call asks its question."""

    async def script(self, request: web.BaseRequest, arrived: Arrived) -> web.StreamResponse:
        """Answer one request."""
        if arrived.method == "initialize":
            if self.gate is not None:
                await self.gate.wait()
            return self._initialize(arrived)
        session = arrived.headers.get("Mcp-Session-Id", "")
        if session not in self.sessions:
            return web.Response(status=404)
        if arrived.http_method == "DELETE":
            self.sessions.discard(session)
            self.ended.append(session)
            return web.Response(status=200)
        if arrived.http_method == "GET":
            return web.Response(status=405)
        return await self._posted(request, arrived)

    def _initialize(self, arrived: Arrived) -> web.Response:
        self.opened += 1
        self.sessions.add(session := f"session-{self.opened}")
        result = {
            "protocolVersion": arrived.message["params"]["protocolVersion"],
            "capabilities": {"tools": {}, "logging": {}},
            "serverInfo": {"name": "asking", "version": "1"},
            "instructions": self.instructions,
        }
        return document(answer(arrived, result), headers={"Mcp-Session-Id": session})

    async def _posted(self, request: web.BaseRequest, arrived: Arrived) -> web.StreamResponse:
        message = arrived.message
        if "method" not in message:
            await self.told.put(message)
            self.answered.set()
            return web.Response(status=202)
        if arrived.method == "notifications/cancelled":
            await self.cancelled.put(message["params"])
        if "id" not in message:
            return web.Response(status=202)
        if arrived.method == "tools/list":
            region = {"type": "string", "x-mcp-header": "Region"}
            schema = {"type": "object", "properties": {"region": region}}
            return document(answer(arrived, {"tools": [{"name": "mirrored", "inputSchema": schema}]}))
        if arrived.method != "tools/call":
            error = {"code": -32601, "message": "Method not found"}
            return document({"jsonrpc": "2.0", "id": message["id"], "error": error})
        return await self._called(request, arrived, message["params"]["name"])

    async def _called(self, request: web.BaseRequest, arrived: Arrived, tool: str) -> web.StreamResponse:
        if tool in ("plain", "mirrored"):
            return document(answer(arrived, text(arrived.headers["Mcp-Session-Id"])))
        async with events(request) as stream:
            if tool == "wait":
                await for_ever()
            method = tool.removeprefix("ask").strip() or "elicitation/create"
            for number in range(self.repeats):
                self.answered.clear()
                await stream.send(legacy(method, PARAMS.get(method), id=f"question-{number}"))
                await self.answered.wait()
            told = self.told.get_nowait() if not self.told.empty() else {}
            if self.fails_without_answer and "error" in told:
                await stream.send({"jsonrpc": "2.0", "id": arrived.message["id"], "error": told["error"]})
                return stream.response
            await stream.send(answer(arrived, text(str(told.get("result", told.get("error"))))))
        return stream.response


def text(words: str) -> dict[str, Any]:
    """A result of a tool."""
    return {"content": [{"type": "text", "text": words}]}


def called(tool: str, *, capabilities: Any = None, id: Any = 1, **rounds: Any) -> dict[str, Any]:  # noqa: A002
    """A modern call of a tool, whose caller can be asked for forms unless ``capabilities`` says otherwise."""
    declared = CAPABILITIES if capabilities is None else capabilities
    meta = {**envelope(MODERN), "io.modelcontextprotocol/clientCapabilities": declared}
    return legacy("tools/call", {"name": tool, "arguments": {}, **rounds, "_meta": meta}, id=id)
