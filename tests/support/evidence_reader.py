"""Reads the evidence of a gateway in the test's own event loop, as a console does."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
from gateways import RunningGateway

from ostiary_core.evidence.definitions import DefinitionsDocument
from ostiary_core.evidence.document import EvidencePath
from ostiary_core.evidence.proxy_traffic import ProxyTraffic, TrafficDocument
from ostiary_core.evidence.recorded_call import CallsDocument
from ostiary_core.evidence.refusals import RefusalsDocument

Query = str | dict[str, str] | list[tuple[str, str]]


@asynccontextmanager
async def asking(
    gateway: RunningGateway,
    path: str,
    query: Query = "",
    *,
    token: bytes | None = None,
    method: str = "GET",
    header: str = "Authorization",
) -> AsyncIterator[aiohttp.ClientResponse]:
    """Ask the admin port of a gateway, by default with the evidence bearer in ``Authorization``."""
    bearer = (gateway.evidence_token if token is None else token).decode()
    headers = {header: f"Bearer {bearer}" if header == "Authorization" else bearer}
    url = f"http://127.0.0.1:{gateway.app.admin_port}{path}"
    async with (
        aiohttp.ClientSession(headers=headers) as http,
        http.request(method, url, params=query or None) as response,
    ):
        yield response


async def body_of(gateway: RunningGateway, path: EvidencePath, query: Query = "") -> bytes:
    """Return the answer to a request that must succeed."""
    async with asking(gateway, path.value, query) as response:
        assert (response.status, response.headers["Cache-Control"]) == (200, "no-store"), await response.text()
        return await response.read()


async def traffic(gateway: RunningGateway, query: Query = "") -> TrafficDocument:
    """Return what `/evidence/traffic` answers, judged as a reader does."""
    return TrafficDocument.model_validate_json(await body_of(gateway, EvidencePath.TRAFFIC, query))


async def traffic_of(gateway: RunningGateway, proxy: str) -> ProxyTraffic:
    """Return the traffic of one proxy."""
    (found,) = (await traffic(gateway, {"proxy": proxy})).proxies
    return found


async def calls(gateway: RunningGateway, query: Query = "") -> CallsDocument:
    """Return what `/evidence/calls` answers."""
    return CallsDocument.model_validate_json(await body_of(gateway, EvidencePath.CALLS, query))


async def refusals(gateway: RunningGateway, query: Query = "") -> RefusalsDocument:
    """Return what `/evidence/refusals` answers."""
    return RefusalsDocument.model_validate_json(await body_of(gateway, EvidencePath.REFUSALS, query))


async def definitions(gateway: RunningGateway, proxy: str) -> DefinitionsDocument:
    """Return what `/evidence/definitions` answers for a proxy."""
    return DefinitionsDocument.model_validate_json(await body_of(gateway, EvidencePath.DEFINITIONS, {"proxy": proxy}))


async def lines_of(response: aiohttp.ClientResponse) -> AsyncIterator[dict[str, Any]]:
    """Yield the objects of JSON lines as they come."""
    async for line in response.content:
        if line.strip():
            yield json.loads(line)
