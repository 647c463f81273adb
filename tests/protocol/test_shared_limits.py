"""Three gateway processes count together in a real Redis: exactly as many calls as the limit has, whatever fails."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from configs import ConfigWriter, entry, settings
from gateway_process import GatewayProcess, gateway_process
from limit_replicas import store_config
from limits import limit_config, limiting
from mcp_caller import BOTH_TYPES, Reply, modern, modern_headers
from redis_servers import RedisServer, redis_server
from upstreams import Upstream

from ostiary_core.contract.documents import PolicyDocument, ServerConfig
from ostiary_core.contract.limit_store import LimitStoreConfig
from ostiary_gateway.policy_limits.counter_script import SHARE

AMOUNT = 100
CALLS = 150
DAILY = limit_config("weather-daily", tools={"names": ["get_weather"]}, per=["Gateway"], requests=AMOUNT)


@dataclass
class Replicas:
    """Gateway processes with one config, in front of one server."""

    gateways: list[GatewayProcess]
    session: aiohttp.ClientSession
    writer: ConfigWriter = field(default_factory=ConfigWriter)

    async def call(self, number: int) -> bool:
        """Call the tool at one replica; return whether it was let through.

        Raises:
            AssertionError: the reply is neither a result nor a refusal at a limit.
        """
        message = modern("tools/call", {"name": "get_weather", "arguments": {}})
        url = f"http://127.0.0.1:{self.gateways[number % len(self.gateways)].port}/weather/mcp"
        headers = {**modern_headers(message), "Accept": BOTH_TYPES}
        async with self.session.post(url, json=message, headers=headers) as reply:
            body = Reply(reply.status, reply.headers, await reply.read()).messages[-1]
        if not body["result"].get("isError"):
            return True
        assert "dev.ostiary/limit" in body["result"]["_meta"], body
        return False

    async def calls(self, number: int) -> int:
        """Make so many calls, twenty at a time, spread over the replicas; return how many were let through."""
        turn = asyncio.Semaphore(20)

        async def one(each: int) -> bool:
            async with turn:
                return await self.call(each)

        return sum(await asyncio.gather(*(one(each) for each in range(number))))

    async def states(self) -> list[str]:
        """What each replica reports of its store."""
        found = []
        for gateway in self.gateways:
            url, token = f"http://127.0.0.1:{gateway.admin_port}/config", {"Authorization": "Bearer admin-for-tests"}
            async with self.session.get(url, headers=token) as reply:
                found.append((await reply.json())["limitStore"]["reason"])
        return found

    async def usages(self) -> list[dict[str, Any]]:
        """What each replica answers at ``/limits``."""
        found = []
        for gateway in self.gateways:
            url, token = f"http://127.0.0.1:{gateway.admin_port}/limits", {"Authorization": "Bearer admin-for-tests"}
            async with self.session.get(url, headers=token) as reply:
                found.append(await reply.json())
        return found

    async def until_states(self, *, ready: bool) -> None:
        """Wait until all replicas report that the store answers, or that it does not."""
        async with asyncio.timeout(60):
            while [state == "LimitStoreReady" for state in await self.states()] != [ready] * len(self.gateways):  # noqa: ASYNC110
                await asyncio.sleep(0.05)


@asynccontextmanager
async def running(
    directory: Path, upstream: Upstream, store: LimitStoreConfig, *limits: dict[str, Any], number: int = 3
) -> AsyncIterator[Replicas]:
    """Run gateways whose policy has these limits."""
    writer = ConfigWriter()
    policy: PolicyDocument = limiting(*limits)
    server = ServerConfig(
        name="weather", url=upstream.url, timeouts=entry("x").servers[0].timeouts, addresses=["127.0.0.0/8"]
    )
    files = writer.files(
        entry("weather", [policy], servers=[server]), policies=[policy], settings=settings(limit_store=store)
    )
    config = directory / "config"
    (config / "keys").mkdir(parents=True)
    for name, content in files.items():
        (config / name).write_bytes(content)
    for name, content in writer.secret.items():
        (config / "keys" / name).write_bytes(content)
    async with contextlib.AsyncExitStack() as stack:
        gateways = [await stack.enter_async_context(gateway_process(config)) for _ in range(number)]
        session = await stack.enter_async_context(aiohttp.ClientSession())
        for gateway in gateways:
            await _until_ready(session, gateway)
        yield Replicas(gateways, session, writer)


async def _until_ready(session: aiohttp.ClientSession, gateway: GatewayProcess) -> None:
    async with asyncio.timeout(60):
        while True:
            async with session.get(f"http://127.0.0.1:{gateway.admin_port}/readyz") as reply:
                if reply.status == 200:
                    return
            await asyncio.sleep(0.05)


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[RedisServer]:
    with redis_server(tmp_path) as server:
        yield server


async def test_of_150_calls_at_three_replicas_exactly_100_are_let_through_without_leases(
    tmp_path: Path, upstream: Upstream, redis: RedisServer
) -> None:
    async with running(tmp_path, upstream, store_config(redis.address, leases="Off"), DAILY) as replicas:
        assert await replicas.calls(CALLS) == AMOUNT
        usages = await replicas.usages()
        assert [(page["counters"], page["keys"][0]["used"]) for page in usages] == [("Shared", AMOUNT)] * 3


async def test_with_leases_it_is_never_more_and_what_is_held_back_can_be_used_a_moment_later(
    tmp_path: Path, upstream: Upstream, redis: RedisServer
) -> None:
    async with running(tmp_path, upstream, store_config(redis.address, leases="Auto"), DAILY) as replicas:
        first = await replicas.calls(CALLS)
        assert AMOUNT - 2 * (AMOUNT // SHARE) <= first <= AMOUNT
        let_through = first
        async with asyncio.timeout(60):
            while let_through < AMOUNT:
                let_through += await replicas.calls(3)
                await asyncio.sleep(0.1)
        assert await replicas.calls(CALLS) == 0, "never one more"


async def test_a_store_that_is_killed_and_comes_back_empty_counts_again_and_is_used_again(
    tmp_path: Path, upstream: Upstream, redis: RedisServer
) -> None:
    allow = {**DAILY, "onStoreFailure": "Allow"}
    async with running(tmp_path, upstream, store_config(redis.address, leases="Off"), allow) as replicas:
        assert await replicas.calls(50) == 50
        redis.kill()
        assert await replicas.calls(CALLS) == CALLS, "it admits what it cannot count"
        assert all(state in {"StoreUnreachable", "StoreTimeout"} for state in await replicas.states())
        redis.start()
        await replicas.until_states(ready=True)
        assert await replicas.calls(CALLS) == AMOUNT


async def test_while_the_store_is_down_a_limit_may_refuse(
    tmp_path: Path, upstream: Upstream, redis: RedisServer
) -> None:
    deny = {**DAILY, "onStoreFailure": "Deny"}
    async with running(tmp_path, upstream, store_config(redis.address, leases="Auto"), deny) as replicas:
        await replicas.until_states(ready=True)
        redis.kill()
        await replicas.calls(9)
        await replicas.until_states(ready=False)
        assert await replicas.calls(30) == 0
        assert not any("canary" in gateway.log for gateway in replicas.gateways)
        redis.start()
        await replicas.until_states(ready=True)
        assert 0 < await replicas.calls(CALLS) <= AMOUNT


async def test_while_the_store_is_down_a_limit_may_be_counted_by_each_replica(
    tmp_path: Path, upstream: Upstream, redis: RedisServer
) -> None:
    async with running(tmp_path, upstream, store_config(redis.address, leases="Off"), DAILY) as replicas:
        assert await replicas.calls(30) == 30
        redis.kill()
        assert await replicas.calls(450) == 3 * AMOUNT
        usages = await replicas.usages()
        assert [(page["counters"], page["keys"][0]["used"]) for page in usages] == [("Local", AMOUNT)] * 3


async def test_a_store_that_hangs_in_the_middle_stops_no_call(
    tmp_path: Path, upstream: Upstream, redis: RedisServer
) -> None:
    allow = {**DAILY, "onStoreFailure": "Allow"}
    store = store_config(redis.address, leases="Auto", timeout=300)
    async with running(tmp_path, upstream, store, allow, number=1) as replicas:
        await replicas.until_states(ready=True)
        await replicas.calls(20)
        redis.pause()
        async with asyncio.timeout(60):  # a timeout for each would take longer
            assert await replicas.calls(1000) >= AMOUNT - 20
        redis.resume()
        await replicas.until_states(ready=True)
