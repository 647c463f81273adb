"""A small Kubernetes API server: list, get, watch, bearer tokens, and faults on demand.

It has ConfigMaps and Secrets, and EndpointSlices in ``slices``.

The real one is in tests/cluster. This one closes connections, expires lists, denies and sends garbage on demand.
"""

import asyncio
import base64
import json
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiohttp import web
from fake_slices import FakeSlices

from ostiary_tools.cluster import certificates

NAMESPACE = "ostiary"


@dataclass(slots=True, eq=False)
class _Watch:
    kind: str
    name: str
    lines: asyncio.Queue[bytes | None] = field(default_factory=asyncio.Queue)


@dataclass
class FakeApi:
    """What it holds, and how it behaves from now on.

    ``tokens`` are those that it accepts; ``forbidden`` the kinds that it answers with 403; ``away`` breaks every
    connection; ``broken`` maps a kind to bytes that it sends in place of a list.
    """

    url: str
    ca_file: Path
    token_file: Path
    tokens: set[str] = field(default_factory=lambda: {"first"})
    forbidden: set[str] = field(default_factory=set)
    away: bool = False
    broken: dict[str, bytes] = field(default_factory=dict)
    slices: FakeSlices = field(default_factory=FakeSlices)
    seen: list[tuple[str, dict[str, str], str]] = field(default_factory=list)
    _objects: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)
    _watches: set[_Watch] = field(default_factory=set)
    _history: list[tuple[int, str, str, bytes]] = field(default_factory=list)
    _version: int = 100

    def put(self, kind: str, name: str, files: Mapping[str, bytes]) -> None:
        """Create or replace an object; watchers hear of it."""
        self._version += 1
        found: dict[str, Any] = {"metadata": {"name": name, "resourceVersion": str(self._version)}}
        if kind == "secrets":
            found |= {"type": "Opaque", "data": {key: base64.b64encode(v).decode() for key, v in files.items()}}
        else:
            texts = {key: v.decode() for key, v in files.items() if not key.endswith(".gz")}
            binaries = {key: base64.b64encode(v).decode() for key, v in files.items() if key.endswith(".gz")}
            found |= {"data": texts, **({"binaryData": binaries} if binaries else {})}
        known = (kind, name) in self._objects
        self._objects[kind, name] = found
        self._tell("MODIFIED" if known else "ADDED", kind, name, found)

    def delete(self, kind: str, name: str) -> None:
        """Delete an object."""
        self._version += 1
        self._tell("DELETED", kind, name, self._objects.pop((kind, name)))

    def say(self, line: Any) -> None:
        """Send this to every watcher, as an event or as the bytes that it is."""
        for watch in self._watches:
            watch.lines.put_nowait(line if isinstance(line, bytes) else json.dumps(line).encode() + b"\n")

    def expire(self) -> None:
        """End every watch with 410, as after a compaction."""
        status = {"kind": "Status", "code": 410, "reason": "Expired", "message": "too old resource version"}
        self.say({"type": "ERROR", "object": status})
        self.end_watches()

    def end_watches(self) -> None:
        """End every watch, as the server does after its time."""
        for watch in list(self._watches):
            watch.lines.put_nowait(None)

    def watching(self, kind: str) -> int:
        """How many watches of this kind are open."""
        return sum(watch.kind == kind for watch in self._watches)

    def _tell(self, event: str, kind: str, name: str, found: dict[str, Any]) -> None:
        line = json.dumps({"type": event, "object": found}).encode() + b"\n"
        self._history.append((self._version, kind, name, line))
        for watch in self._watches:
            if (watch.kind, watch.name) == (kind, name):
                watch.lines.put_nowait(line)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answer one request."""
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        self.seen.append((request.path, dict(request.query), token))
        if self.away:
            assert request.transport is not None
            request.transport.abort()
            return web.Response()
        if token not in self.tokens:
            return web.json_response({"kind": "Status", "code": 401}, status=401)
        if request.path.endswith("/endpointslices"):
            return await self.slices.handle(request)
        kind = request.match_info["kind"]
        if kind in self.forbidden:
            return web.json_response({"kind": "Status", "code": 403}, status=403)
        name = request.match_info.get("name")
        if name is not None:
            found = self._objects.get((kind, name))
            return web.json_response(found or {"code": 404}, status=200 if found is not None else 404)
        name = request.query["fieldSelector"].removeprefix("metadata.name=")
        return await (self._watch(request, kind, name) if "watch" in request.query else self._list(kind, name))

    async def _list(self, kind: str, name: str) -> web.StreamResponse:
        if kind in self.broken:
            return web.Response(body=self.broken[kind], content_type="application/json")
        found = self._objects.get((kind, name))
        listed = {"metadata": {"resourceVersion": str(self._version)}, "items": [found] if found is not None else []}
        return web.json_response(listed)

    async def _watch(self, request: web.Request, kind: str, name: str) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(request)
        watch = _Watch(kind, name)
        since = int(request.query["resourceVersion"])
        for version, *of, missed in self._history:
            if version > since and of == [kind, name]:  # it changed between the list and this watch
                watch.lines.put_nowait(missed)
        self._watches.add(watch)
        try:
            while not self.away and (line := await watch.lines.get()) is not None:
                for place in range(0, len(line), 1000):  # an event comes in pieces
                    await response.write(line[place : place + 1000])
        finally:
            self._watches.discard(watch)
        if self.away and request.transport is not None:
            request.transport.abort()
        return response


@asynccontextmanager
async def fake_api(directory: Path) -> AsyncIterator[FakeApi]:
    """Serve it over TLS on a free port of loopback; keys and the token's file are in the directory."""
    certificates.write_authority_and_server(directory, names=["localhost"], addresses=["127.0.0.1"])
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(directory / "server.crt", directory / "server.key")
    (directory / "token").write_text("first\n")
    api = FakeApi("", directory / "ca.crt", directory / "token")
    app = web.Application()
    base = f"/api/v1/namespaces/{NAMESPACE}/{{kind}}"
    slices = "/apis/discovery.k8s.io/v1/"
    for scope in ("", "namespaces/{namespace}/"):
        app.add_routes([web.get(f"{slices}{scope}endpointslices", api.handle)])
    app.add_routes([web.get(base, api.handle), web.get(base + "/{name}", api.handle)])
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1, handler_cancellation=True)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls).start()
    api.url = f"https://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield api
    finally:
        await runner.cleanup()
