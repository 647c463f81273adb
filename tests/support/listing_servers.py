"""Scripted servers of lists, which a test can make slow, broken or hostile while it runs."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web
from mcp_caller import MODERN, is_modern
from upstreams import Arrived, Upstream, answer, document, serving

KEYS = {
    "tools/list": ("tools", "name"),
    "prompts/list": ("prompts", "name"),
    "resources/list": ("resources", "uri"),
    "resources/templates/list": ("resourceTemplates", "uriTemplate"),
}


@dataclass(slots=True)
class ListingServer:
    """A server that lists ``items``, by method; it has no method that is not among them.

    ``revision`` is the one that it speaks; at an earlier one than 2026-07-28 it wants a session. ``status`` other than
    200 refuses every request, ``pages`` answers instead of ``items`` by cursor, ``hints`` are further members of each
    result, ``about`` those of what it tells of itself, ``results`` what other methods return, and lists wait for
    ``gate``.
    """

    revision: str = MODERN
    sessions: set[str] = field(default_factory=set)

    items: dict[str, list[Any]] = field(default_factory=dict)
    pages: dict[str | None, dict[str, Any]] | None = None
    hints: dict[str, Any] = field(default_factory=dict)
    status: int = 200
    gate: asyncio.Event | None = None
    results: dict[str, dict[str, Any]] = field(default_factory=dict)
    about: dict[str, Any] = field(default_factory=lambda: {"capabilities": {}})
    upstream: Upstream = field(default_factory=lambda: Upstream(""))

    @property
    def url(self) -> str:
        """Where it is."""
        return self.upstream.url

    def lists(self, method: str, *names: str, **more: Any) -> None:
        """List items of these names."""
        key = KEYS[method][1]
        self.items[method] = [{key: name, **more} for name in names]

    def asked(self, method: str = "tools/list") -> int:
        """How often it was asked."""
        return self.upstream.count(method)

    async def script(self, _: web.BaseRequest, arrived: Arrived) -> web.StreamResponse:
        """Answer a request."""
        if self.gate is not None and arrived.method in KEYS:
            await self.gate.wait()
        if self.status != 200:
            return web.Response(status=self.status)
        if self.revision != MODERN:
            return self.in_session(arrived)
        if is_modern(arrived.message):
            return self.listed(arrived)
        return document({"jsonrpc": "2.0", "id": None, "error": {"code": -32600, "message": "no"}}, status=400)

    def in_session(self, arrived: Arrived) -> web.StreamResponse:
        """Answer as a server of sessions does."""
        if arrived.method == "initialize":
            session = f"session-{len(self.sessions)}"
            self.sessions.add(session)
            info = {"protocolVersion": self.revision, "serverInfo": {"name": "x", "version": "1"}, **self.about}
            return document(answer(arrived, info), headers={"Mcp-Session-Id": session})
        session = arrived.headers.get("Mcp-Session-Id", "")
        if session not in self.sessions:
            return web.Response(status=404 if session else 400)
        if arrived.method == "DELETE":
            self.sessions.remove(session)
            return web.Response(status=200)
        return self.listed(arrived) if "id" in arrived.message else web.Response(status=202)

    def listed(self, arrived: Arrived) -> web.StreamResponse:
        """Answer a request for a list, or say what the server is."""
        if arrived.method == "server/discover" and self.revision == MODERN:
            return document(answer(arrived, {"supportedVersions": [MODERN], "resultType": "complete", **self.about}))
        if self.pages is not None:
            return document(answer(arrived, {**self.hints, **self.pages[arrived.message["params"].get("cursor")]}))
        if arrived.method in self.results:
            return document(answer(arrived, {"resultType": "complete", **self.results[arrived.method]}))
        if arrived.method not in self.items:
            return document(self.unknown(arrived), status=404)
        return document(answer(arrived, {**self.hints, KEYS[arrived.method][0]: self.items[arrived.method]}))

    @staticmethod
    def unknown(arrived: Arrived) -> Mapping[str, Any]:
        """The error of a server without the method."""
        error = {"code": -32601, "message": "Method not found"}
        return {"jsonrpc": "2.0", "id": arrived.message["id"], "error": error}


@asynccontextmanager
async def listing_server(*tools: str) -> AsyncIterator[ListingServer]:
    """A server of these tools."""
    server = ListingServer()
    server.lists("tools/list", *tools)
    async with serving(server.script) as upstream:
        server.upstream = upstream
        yield server
