"""An MCP server with notifications of both eras that says only what the test has it say."""

import asyncio
from contextlib import AbstractAsyncContextManager
from typing import Any

from aiohttp import web
from mcp_caller import LEGACY, McpCaller, Stream, modern
from upstreams import Arrived, answer, document, events, initialize_answer
from waiting import for_ever

ACK = "notifications/subscriptions/acknowledged"
META = "io.modelcontextprotocol/subscriptionId"
CAPABILITIES = {"tools": {"listChanged": False}, "prompts": {}, "logging": {}}


class QuietServer:
    """A server that holds its streams open and says nothing on them but what a test has it say."""

    def __init__(self) -> None:
        self.honours: dict[str, Any] = {"promptsListChanged": True}
        self.capabilities: dict[str, Any] = CAPABILITIES
        self.session: str | None = "upstream-session"
        self.say: asyncio.Queue[bytes] = asyncio.Queue()

    async def script(self, request: web.BaseRequest, arrived: Arrived) -> web.StreamResponse:
        """Answer the handshake, and hold streams open."""
        if arrived.method == "initialize":
            body = initialize_answer(arrived, session=self.session)
            result = {"protocolVersion": LEGACY, "capabilities": self.capabilities, "serverInfo": {}}
            return document(answer(arrived, result), headers={k: v for k, v in body.headers.items() if "Mcp" in k})
        if arrived.method == "server/discover":
            result = {"resultType": "complete", "supportedVersions": ["2026-07-28"], "capabilities": self.capabilities}
            return document(answer(arrived, result))
        if arrived.method == "subscriptions/listen":
            async with events(request) as stream:
                meta = {META: arrived.message["id"]}
                params = {"notifications": self.honours, "_meta": meta}
                await stream.send({"jsonrpc": "2.0", "method": ACK, "params": params})
                await for_ever()
        if request.method == "GET":
            async with events(request) as stream:
                while True:
                    await stream.raw(await self.say.get())
        return web.Response(status=202)


def listening(caller: McpCaller, **wanted: Any) -> AbstractAsyncContextManager[Stream]:
    """Subscribe to what a modern client asks for."""
    return caller.stream(modern("subscriptions/listen", {"notifications": wanted}, id="sub"))
