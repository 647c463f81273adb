"""A scripted server that speaks 2026-07-28 only, for tests of what crosses the eras.

async with modern_server(call=respond) as upstream: …

It refuses what has no envelope, as the official servers do, answers ``server/discover`` and ``tools/list``, and leaves
calls to the test.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web
from mcp_caller import LEGACY, MODERN, McpCaller, Reply, is_modern, legacy
from upstreams import Arrived, Upstream, answer, document, serving

Respond = Callable[[web.BaseRequest, Arrived], Awaitable[web.StreamResponse]]
CAPABILITIES: dict[str, Any] = {
    "tools": {"listChanged": True},
    "resources": {"subscribe": True, "listChanged": True},
    "prompts": {},
    "logging": {},
}


def complete(arrived: Arrived, result: Mapping[str, Any]) -> web.Response:
    """A complete result."""
    return document(answer(arrived, {"resultType": "complete", **result}))


def refused(arrived: Arrived, code: int, *, status: int = 400, data: Mapping[str, Any] | None = None) -> web.Response:
    """A JSON-RPC error with the HTTP status that the revision gives it."""
    error: dict[str, Any] = {"code": code, "message": "no"} | ({"data": dict(data)} if data is not None else {})
    return document({"jsonrpc": "2.0", "id": arrived.message.get("id"), "error": error}, status=status)


@asynccontextmanager
async def modern_server(
    call: Respond | None = None, *, tools: Sequence[Mapping[str, Any]] = (), handles: Respond | None = None
) -> AsyncIterator[Upstream]:
    """Serve; ``call`` answers what the server does not answer itself, and ``handles`` everything if it is given."""

    async def script(request: web.BaseRequest, arrived: Arrived) -> web.StreamResponse:
        if arrived.http_method != "POST":
            return web.Response(status=405)
        if not is_modern(arrived.message):
            return refused(arrived, -32022, data={"supported": [MODERN], "requested": ""})
        if arrived.method == "server/discover":
            return complete(arrived, {"supportedVersions": [MODERN], "capabilities": CAPABILITIES})
        if arrived.method == "tools/list":
            return complete(arrived, {"tools": [dict(tool) for tool in tools], "ttlMs": 0, "cacheScope": "private"})
        return await call(request, arrived) if call is not None else complete(arrived, {"content": []})

    async with serving(handles or script) as upstream:
        yield upstream


async def initialized(
    caller: McpCaller, capabilities: Mapping[str, Any] | None = None, *, revision: str = LEGACY
) -> Reply:
    """Open a session of a legacy client that declares these capabilities."""
    params = {
        "protocolVersion": revision,
        "capabilities": dict(capabilities or {}),
        "clientInfo": {"name": "test", "version": "1"},
    }
    caller.session = None
    reply = await caller.post(legacy("initialize", params))
    assert reply.status == 200, reply.body
    caller.session = reply.headers["Mcp-Session-Id"]
    return reply


def meta_of(arrived: Arrived) -> dict[str, Any]:
    """What the gateway wrote into the envelope, by the last part of each key."""
    return {key.rpartition("/")[2]: value for key, value in arrived.message["params"]["_meta"].items()}
