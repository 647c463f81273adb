"""The pages of the console over replicas that answer what a test says, and over proxies that exist.

async with evidence_console(says({"/evidence/traffic": recorded(proxies=[…])})) as pages:
    assert (await pages.page("/traffic.json")).json["content"]["numbers"]["calls"] == 12
"""

import json
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from console_sources import Objects, proxy
from console_viewers import OneViewer
from evidence_replicas import Handler, KnownPorts, evidence_replicas, head

from ostiary_core.evidence.latency import BOUNDARIES, bucket_of
from ostiary_core.strict_json import dumps
from ostiary_operator.console.access.rights import AllRights, ViewerRights
from ostiary_operator.console.application import ConsoleParts, application
from ostiary_operator.console.options import ConsoleOptions
from ostiary_operator.console.sources.protocols import ConsoleSources, LongRanges
from ostiary_operator.console.sources.replica_evidence import ReplicaEvidence
from ostiary_operator.view import admin_client


@dataclass(frozen=True)
class ShownPage:
    """A page, or the twin of one."""

    status: int
    text: str

    @property
    def json(self) -> Any:
        """The twin's content."""
        return json.loads(self.text)


def _proxy(identity: str, policies: Sequence[str]) -> dict[str, Any]:
    """An MCPProxy that these policies govern."""
    namespace, _, name = identity.partition("/")
    named = [dict(zip(("namespace", "name"), each.split("/"), strict=True)) for each in policies]
    found = proxy(name, policies=named)
    found["metadata"]["namespace"] = namespace
    return found


@dataclass
class EvidencePages:
    """The pages. ``asked`` are the requests that replicas got: their paths with the queries."""

    client: TestClient[web.Request, web.Application]
    asked: list[str] = field(default_factory=list)

    async def page(self, path: str) -> ShownPage:
        """Return a page, or a twin."""
        response = await self.client.get(path)
        return ShownPage(response.status, await response.text())


@asynccontextmanager
async def evidence_console(
    *replicas: Handler,
    proxies: Sequence[str] = ("default/tickets",),
    governed: Mapping[str, Sequence[str]] = MappingProxyType({}),
    rights: ViewerRights | None = None,
    long_ranges: LongRanges | None = None,
) -> AsyncIterator[EvidencePages]:
    """Serve the pages over these replicas, named ``gw-0``, ``gw-1`` and so on."""
    async with evidence_replicas() as start, admin_client.session() as http:
        asked: list[str] = []
        ports = [await start(_recording(each, asked), f"gw-{number}") for number, each in enumerate(replicas)]
        evidence = ReplicaEvidence(http, KnownPorts(*ports))
        sources = ConsoleSources(
            Objects([_proxy(each, governed.get(each, ())) for each in proxies]), evidence, long_ranges
        )
        parts = ConsoleParts(ConsoleOptions(), OneViewer(rights or AllRights()), sources)
        async with TestClient(TestServer(application(parts))) as client:
            yield EvidencePages(client, asked)


def _recording(handler: Handler, asked: list[str]) -> Handler:
    async def recorded(request: web.Request) -> web.StreamResponse:
        asked.append(request.path_qs)
        return await handler(request)

    return recorded


def says(documents: Mapping[str, Mapping[str, Any] | bytes]) -> Handler:
    """A replica that answers with these documents by path, and with 404 to everything else."""

    async def handler(request: web.Request) -> web.StreamResponse:
        document = documents.get(request.path)
        if document is None:
            return web.json_response({"reason": "NotFound", "message": "no such document"}, status=404)
        body = document if isinstance(document, bytes) else dumps(dict(document))
        return web.Response(body=body, content_type="application/json")

    return handler


def now() -> int:
    """Return the time of the console, in epoch milliseconds."""
    return int(time.time() * 1000)


def recorded(replica: str = "gw-a", **more: Any) -> dict[str, Any]:
    """Return a document of a replica that has recorded for a day."""
    return {**head(replica, **more), "since": now() - 86_400_000, "now": now()}


def window(seconds: Sequence[float], *, length: int = 10, **counts: Mapping[str, int] | int) -> dict[str, Any]:
    """Return the window of now, with requests of these durations, half of which is the upstream's."""
    buckets = [0] * (len(BOUNDARIES) + 1)
    for each in seconds:
        buckets[bucket_of(each)] += 1
    return {
        "at": now() - now() % (length * 1000),
        "calls": len(seconds),
        "seconds": sum(seconds),
        "upstreamSeconds": sum(seconds) / 2,
        "slowest": max(seconds, default=0.0),
        "buckets": buckets,
        **counts,
    }
