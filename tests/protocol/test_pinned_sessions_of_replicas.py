"""Replicas of the gateway agree on the session that takes the place of one whose endpoint is gone."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from endpoint_scenes import EndpointPool, RunningEndpoint, endpoint_scenes
from gateway_replicas import gateway_replicas
from limit_replicas import store_config
from mcp_caller import LEGACY, McpCaller, legacy, mcp_caller
from redis_servers import redis_server

CALL = legacy("tools/call", {"name": "search", "arguments": {}}, id=7)
CLIENT = {"protocolVersion": LEGACY, "capabilities": {}, "clientInfo": {"name": "agent", "version": "9"}}


@pytest.fixture
async def pool() -> AsyncIterator[EndpointPool]:
    async with endpoint_scenes("a", "b", "c") as pool:
        yield pool


async def opened(caller: McpCaller, pool: EndpointPool) -> RunningEndpoint:
    """Open a session; return the endpoint that has it."""
    caller.session = (await caller.post(legacy("initialize", CLIENT))).headers["Mcp-Session-Id"]
    [found] = [each for each in pool if each.upstream.count("initialize")]
    return found


async def test_replicas_without_shared_notes_each_open_a_session_of_their_own(pool: EndpointPool) -> None:
    async with gateway_replicas() as gateways:
        await gateways.apply(pool.entry(gateways.gateways[0]))
        async with mcp_caller(gateways.url()) as caller:
            endpoint = await opened(caller, pool)
            await endpoint.stop()

            replies = [await caller.post({**CALL, "id": number}) for number in range(12)]

    assert all(reply.result["by"] != endpoint.scene.name for reply in replies)
    assert sum(each.upstream.count("initialize") for each in pool) == 4


async def test_replicas_with_shared_notes_that_lose_a_session_at_the_same_moment_go_on_in_one(
    pool: EndpointPool, tmp_path: Path
) -> None:
    async with gateway_replicas() as gateways:
        with redis_server(tmp_path) as store:
            gateways.set(limit_store=store_config(store.address), session_notes="Shared")
            await gateways.apply(pool.entry(gateways.gateways[0]))
            async with mcp_caller(gateways.url()) as caller:
                endpoint = await opened(caller, pool)
                await endpoint.stop()

                replies = await asyncio.gather(*(caller.post({**CALL, "id": number}) for number in range(12)))

    results = [reply.result for reply in replies]
    assert len({each["by"] for each in results}) == 1
    assert sorted(each["count"] for each in results) == list(range(1, 13))
    opened_again = sum(each.upstream.count("initialize") for each in pool) - 1
    assert sum(each.http_method == "DELETE" for one in pool for each in one.upstream.arrived) == opened_again - 1


async def test_a_session_that_another_replica_has_noted_may_be_lost_as_well(pool: EndpointPool, tmp_path: Path) -> None:
    async with gateway_replicas(2) as gateways:
        with redis_server(tmp_path) as store:
            gateways.set(limit_store=store_config(store.address), session_notes="Shared")
            await gateways.apply(pool.entry(gateways.gateways[0]))
            one, other = (each.url() for each in gateways.gateways)
            async with mcp_caller(one) as first, mcp_caller(other) as second:
                endpoint = await opened(first, pool)
                second.session = first.session
                await endpoint.stop()
                by = (await first.post(CALL)).result["by"]
                await pool[by].stop()

                reply = await second.post(CALL)

    assert reply.result["by"] not in (endpoint.scene.name, by)
