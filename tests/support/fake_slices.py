"""The EndpointSlices of a small Kubernetes API server: pages of lists, watches with label selectors, faults on demand.

async with fake_api(directory) as api: api.slices.put(endpoint_slice(…))
"""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web


@dataclass(slots=True, eq=False)
class _SliceWatch:
    namespace: str
    selector: str
    lines: asyncio.Queue[bytes | None] = field(default_factory=asyncio.Queue)


@dataclass
class FakeSlices:
    """What it holds, and how it behaves from now on.

    ``forbidden`` are namespaces that it answers with 403, an empty one for all of them at once; ``lists`` are the
    queries of each list, with its namespace.
    """

    forbidden: set[str] = field(default_factory=set)
    lists: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    version: int = 100
    _objects: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)
    _watches: set[_SliceWatch] = field(default_factory=set)
    _history: list[tuple[int, str, dict[str, Any], Mapping[str, Any] | None]] = field(default_factory=list)

    def put(self, found: Mapping[str, Any]) -> None:
        """Create or replace a slice; watchers hear of it."""
        self.version += 1
        found = {**found, "metadata": {**found["metadata"], "resourceVersion": str(self.version)}}
        place = found["metadata"]["namespace"], found["metadata"]["name"]
        known = self._objects.get(place)
        self._objects[place] = found
        self._tell("ADDED" if known is None else "MODIFIED", found, known)

    def delete(self, namespace: str, name: str) -> None:
        """Delete a slice."""
        self.version += 1
        self._tell("DELETED", self._objects.pop((namespace, name)))

    def say(self, line: Any) -> None:
        """Send this to every watcher, as an event or as the bytes that it is."""
        for watch in self._watches:
            watch.lines.put_nowait(line if isinstance(line, bytes) else json.dumps(line).encode() + b"\n")

    def end_watches(self) -> None:
        """End every watch, as the server does after its time."""
        for watch in list(self._watches):
            watch.lines.put_nowait(None)

    @property
    def watched(self) -> list[str]:
        """The namespaces of the open watches."""
        return sorted(watch.namespace for watch in self._watches)

    def _tell(self, event: str, found: dict[str, Any], before: Mapping[str, Any] | None = None) -> None:
        self._history.append((self.version, event, found, before))
        for watch in self._watches:
            _enqueue(watch, event, found, before)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answer a list or a watch."""
        namespace, query = request.match_info.get("namespace", ""), dict(request.query)
        if namespace in self.forbidden:
            return web.json_response({"kind": "Status", "code": 403}, status=403)
        if "watch" in query:
            return await self._watch(request, namespace, query)
        self.lists.append((namespace, query))
        selector, begin = query.get("labelSelector", ""), int(query.get("continue") or 0)
        found = [each for each in self._objects.values() if _wants(namespace, selector, each)]
        end = begin + int(query.get("limit") or len(found))
        metadata = {"resourceVersion": str(self.version), "continue": str(end) if end < len(found) else ""}
        return web.json_response({"metadata": metadata, "items": found[begin:end]})

    async def _watch(self, request: web.Request, namespace: str, query: dict[str, str]) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(request)
        watch = _SliceWatch(namespace, query.get("labelSelector", ""))
        since = int(query["resourceVersion"])
        for version, event, found, before in self._history:
            if version > since:
                _enqueue(watch, event, found, before)
        self._watches.add(watch)
        try:
            while (next_line := await watch.lines.get()) is not None:
                await response.write(next_line)
        finally:
            self._watches.discard(watch)
        return response


def _enqueue(watch: _SliceWatch, event: str, found: dict[str, Any], before: Mapping[str, Any] | None = None) -> None:
    """Send an event to a watch: to it an object that its selector does not match any more is deleted."""
    if not _wants(watch.namespace, watch.selector, found):
        if before is None or not _wants(watch.namespace, watch.selector, before):
            return
        event = "DELETED"
    watch.lines.put_nowait(json.dumps({"type": event, "object": found}).encode() + b"\n")


def _wants(namespace: str, selector: str, found: Mapping[str, Any]) -> bool:
    """Whether a slice is of a namespace and has the labels of ``name in (a,b)`` or ``name=a``."""
    if namespace and found["metadata"]["namespace"] != namespace:
        return False
    if not selector:
        return True
    name, _, values = selector.replace("=", " in ").partition(" in ")
    return found["metadata"]["labels"].get(name) in values.strip("()").split(",")
