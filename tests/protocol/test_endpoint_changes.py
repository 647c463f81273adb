"""The list of a server's endpoints changes under calls: none fails, and nothing is left of those that are gone."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest
from aiohttp import web
from gateways import RunningGateway, running_gateway
from mcp_caller import McpCaller, mcp_caller, modern
from mcp_clients import eventually
from upstreams import Arrived, Upstream, answer, document, events, serving

from ostiary_gateway.upstream.endpoint_place import EndpointPlace
from ostiary_gateway.upstream.endpoint_set import EndpointSet

CALL = modern("tools/call", {"name": "get_users", "arguments": {}}, id=7)
LISTEN = modern("subscriptions/listen", {"notifications": {"toolsListChanged": True}}, id="listen")
SERVERS, CALLERS, CALLS = 5, 8, 25


class Scene:
    """Several replicas of a server, of which the test says which are listed."""

    def __init__(self, gateway: RunningGateway, replicas: list[Upstream]) -> None:
        self.gateway = gateway
        self.replicas = replicas

    @property
    def endpoints(self) -> EndpointSet:
        """The endpoints of the server in force."""
        snapshot = self.gateway.app.store.snapshot
        assert snapshot is not None
        found = snapshot.proxies["default/mock"].server.endpoints
        assert found is not None
        return found

    def list(self, *numbers: int, draining: frozenset[int] = frozenset()) -> None:
        """List these replicas, as an observed change of EndpointSlices does."""
        self.endpoints.set_places([self.place(each, is_draining=each in draining) for each in numbers])

    def place(self, number: int, *, is_draining: bool) -> EndpointPlace:
        port = int(self.replicas[number].url.rpartition(":")[2].partition("/")[0])
        return EndpointPlace("127.0.0.1", port, f"uid-{number}", is_draining=is_draining)


async def answers(request: web.BaseRequest, arrived: Arrived) -> web.StreamResponse:
    if arrived.method == "subscriptions/listen":
        async with events(request) as stream:
            await stream.send({"jsonrpc": "2.0", "method": "notifications/subscriptions/acknowledged", "params": {}})
            await asyncio.Event().wait()
    await asyncio.sleep(random.random() * 0.01)  # noqa: S311  some of them overlap with a change
    return document(answer(arrived, {"content": []}))


@pytest.fixture
async def scene() -> AsyncIterator[Scene]:
    async with AsyncExitStack() as stack:
        gateway = await stack.enter_async_context(running_gateway())
        replicas = [await stack.enter_async_context(serving(answers)) for _ in range(SERVERS)]
        listed = [{"address": "127.0.0.1", "port": 1}]
        await gateway.apply(gateway.entry("mock", "http://mock.example/mcp", server={"endpoints": listed}))
        yield Scene(gateway, replicas)


async def test_calls_succeed_while_endpoints_come_drain_and_go(scene: Scene) -> None:
    everyone = range(SERVERS)
    scene.list(*everyone)
    dice = random.Random(7)  # noqa: S311  the same changes each time
    ended = asyncio.Event()

    async def call_again_and_again(caller: McpCaller) -> None:
        for _ in range(CALLS):
            assert (await caller.post(CALL)).result == {"content": []}

    async def change_again_and_again() -> None:
        while not ended.is_set():
            numbers = dice.sample(everyone, dice.randint(1, SERVERS))
            draining = frozenset(each for each in numbers[1:] if dice.random() < 0.4)
            scene.list(*numbers, draining=draining)
            await asyncio.sleep(0.002)

    async with AsyncExitStack() as stack:
        callers = [await stack.enter_async_context(mcp_caller(scene.gateway.url())) for _ in range(CALLERS)]
        changing = asyncio.create_task(change_again_and_again())
        await asyncio.gather(*map(call_again_and_again, callers))
        ended.set()
        await changing
        scene.list(0)

    assert sum(each.count("tools/call") for each in scene.replicas) == CALLERS * CALLS, "each was sent once"
    await eventually(lambda: len(list(scene.endpoints)) == 1)
    assert scene.endpoints.open_requests == 0
    assert sum(each.open_connections for each in scene.endpoints) <= CALLERS


async def test_a_call_in_flight_ends_at_an_endpoint_that_is_gone_meanwhile(scene: Scene) -> None:
    gate = asyncio.Event()

    async def waits(request: web.BaseRequest, arrived: Arrived) -> web.StreamResponse:
        await gate.wait()
        return await answers(request, arrived)

    async with serving(waits) as old, mcp_caller(scene.gateway.url()) as caller:
        scene.replicas.append(old)
        scene.list(SERVERS)
        call = asyncio.create_task(caller.post(CALL))
        await old.first("tools/call")
        scene.list(0)
        assert (await caller.post(CALL)).result == {"content": []}
        gate.set()
        assert (await call).result == {"content": []}
    assert len(old.arrived) == 1
    await eventually(lambda: len(list(scene.endpoints)) == 1)


async def test_an_open_stream_counts_as_load_of_its_endpoint(scene: Scene) -> None:
    scene.list(0)
    async with mcp_caller(scene.gateway.url()) as caller, caller.stream(LISTEN):
        await scene.replicas[0].first("subscriptions/listen")
        scene.list(0, 1)
        for _ in range(20):
            assert (await caller.post(CALL)).result == {"content": []}
        assert scene.endpoints.open_requests == 1
    assert scene.replicas[0].count("tools/call") == 0
    assert scene.replicas[1].count("tools/call") == 20
    await eventually(lambda: scene.endpoints.open_requests == 0)
