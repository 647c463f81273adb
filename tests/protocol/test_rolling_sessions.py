"""Clients of the official SDKs with long sessions, over three replicas of the gateway, while their server is replaced.

The server is on the official SDK, keeps its sessions in memory, and runs as several processes. They are drained and
stopped one after the other, or killed. No call of any session fails but those in flight at a process that was killed.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from counting_replicas import CountingReplicas, counting_replicas
from gateway_replicas import GatewayReplicas, gateway_replicas
from limit_replicas import store_config
from mcp import Client
from mcp_clients import Era, connect, eventually
from redis_servers import redis_server
from typescript_sdk import CLIENTS, Sdk, run_session

CALLERS = 6


@asynccontextmanager
async def scene(tmp_path: Path, **options: Any) -> AsyncIterator[tuple[GatewayReplicas, CountingReplicas]]:
    """Three replicas of the gateway that share the notes of sessions, and three of the server."""
    async with AsyncExitStack() as stack:
        server = stack.enter_context(redis_server(tmp_path))
        gateways = await stack.enter_async_context(gateway_replicas())
        gateways.set(limit_store=store_config(server.address), session_notes="Shared")
        replicas = await stack.enter_async_context(counting_replicas(gateways.gateways, **options))
        await gateways.apply(replicas.entry(gateways))
        replicas.tell()
        yield gateways, replicas


async def called(client: Client, **arguments: Any) -> str:
    """What the tool answers: the name of a replica, and how often it was called in the session there."""
    result = await client.call_tool("count", arguments)
    assert not result.is_error
    return str(getattr(result.content[0], "text", None))


async def calls_while(client: Client, work: "asyncio.Task[None]", seconds: float) -> list[str]:
    """Call again and again until the work is done, and a few times more."""
    answers = []
    while not work.done():
        answers.append(await called(client, seconds=seconds))
    return [*answers, *[await called(client) for _ in range(3)]]


@pytest.mark.parametrize("era", ["legacy", "modern"])
async def test_no_call_of_any_session_fails_while_every_replica_of_the_server_is_replaced(
    tmp_path: Path, era: Era
) -> None:
    async with scene(tmp_path) as (gateways, replicas), AsyncExitStack() as stack:
        before = set(replicas.running)
        clients = [await stack.enter_async_context(connect(gateways.url(), era=era)) for _ in range(CALLERS)]
        rolled = asyncio.create_task(replicas.roll())

        answers = await asyncio.gather(*(calls_while(client, rolled, 0.02) for client in clients))

        await rolled
        assert before.isdisjoint(replicas.running)
        assert {answer.split()[0] for each in answers for answer in each[-3:]} <= set(replicas.running)
        if era == "legacy":
            assert [" ".join(each) for each in answers if not _in_order(each)] == []


def _in_order(answers: list[str]) -> bool:
    """Whether a session stayed where it was for as long as its replica was there: its count never went back there."""
    counts: dict[str, int] = {}
    for answer in answers:
        name, number = answer.split()
        if int(number) != counts.get(name, 0) + 1:
            return False
        counts[name] = int(number)
    return True


async def test_only_calls_in_flight_at_a_killed_replica_fail(tmp_path: Path) -> None:
    async with scene(tmp_path) as (gateways, replicas), AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(connect(gateways.url(), era="legacy")) for _ in range(2 * CALLERS)]
        homes = [(await called(client)).split()[0] for client in clients]
        holds = [tmp_path / f"held-{number}" for number in range(len(clients))]
        flying = [
            asyncio.create_task(client.call_tool("hold", {"path": str(path)}))
            for client, path in zip(clients, holds, strict=True)
        ]
        await eventually(lambda: all(path.exists() for path in holds))

        await replicas.kill(homes[0], is_told=False)
        for path in holds:
            path.unlink()

        for home, ended in zip(homes, await asyncio.gather(*flying, return_exceptions=True), strict=True):
            assert isinstance(ended, Exception) == (home == homes[0])
        for client in clients:
            assert (await called(client)).split()[0] in replicas.running


@pytest.mark.node
@pytest.mark.parametrize(("sdk", "era"), CLIENTS)
async def test_no_call_of_a_typescript_client_fails_while_every_replica_is_replaced(
    tmp_path: Path, sdk: Sdk, era: Era
) -> None:
    running = tmp_path / "rolling"
    running.touch()
    async with scene(tmp_path, number=2) as (gateways, replicas):
        before = set(replicas.running)
        call = {"op": "callTool", "name": "count", "arguments": {"seconds": 0.02}}
        repeated = {"op": "repeatWhile", "file": str(running), "step": call}
        session = asyncio.create_task(run_session(gateways.url(), sdk=sdk, era=era, steps=[call, repeated, call]))
        await eventually(lambda: len(gateways.balancer.chosen) > 3)
        await replicas.roll()
        running.unlink()

        lines = await session

        assert [line for line in lines if not line["ok"]] == []
        assert lines[-1]["result"]["content"][0]["text"].split()[0] not in before
