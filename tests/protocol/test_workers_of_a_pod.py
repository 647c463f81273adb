"""What holds over the workers of one pod, where every request goes to another worker than the one before."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from aiohttp import web
from asking_server import AskingServer
from asking_server import called as tool_called
from gateway_replicas import GatewayReplicas
from gateways import BOUNDS
from limits import limit_config, limiting
from mcp_caller import mcp_caller, modern
from pod_workers import pod_workers
from servers_by_era import everything
from upstreams import Arrived, Upstream, answer, document, serving

from ostiary_operator.demo.served_eras import ServedEras
from ostiary_tools.conformance import clients
from ostiary_tools.conformance.clients import LEGACY, MODERN, Client

REVISIONS = {"legacy": LEGACY, "modern": MODERN}
PYTHON_CLIENTS = [each for each in clients.CLIENTS if each.driver == "python_v2"]
RESULT = {"content": [{"type": "text", "text": "done"}]}
CALL = {"name": "get_users", "arguments": {}}


class Scene:
    """A server whose calls wait while the gate is closed."""

    def __init__(self) -> None:
        self.gate = asyncio.Event()
        self.gate.set()
        self.calls = asyncio.Semaphore(0)

    async def script(self, _: web.BaseRequest, arrived: Arrived) -> web.StreamResponse:
        self.calls.release()
        await self.gate.wait()
        return document(answer(arrived, RESULT))


@pytest.fixture
def scene() -> Scene:
    return Scene()


@pytest.fixture
async def workers(tmp_path: Path) -> AsyncIterator[GatewayReplicas]:
    async with pod_workers(tmp_path) as found:
        yield found


async def called(workers: GatewayReplicas, times: int) -> list[bool]:
    """Whether each call of one caller passed."""
    passed = []
    async with mcp_caller(workers.url()) as caller:
        for _ in range(times):
            result = (await caller.post(modern("tools/call", CALL))).result
            passed.append(result == RESULT)
    return passed


async def test_a_limit_lets_its_amount_through_whichever_workers_the_calls_reach(
    workers: GatewayReplicas, upstream: Upstream
) -> None:
    policy = limiting(limit_config(requests=5, per=["Gateway"]), limit_config("minute", requests=100, window=60_000))
    await workers.apply(workers.entry("mock", upstream.url, [policy]))
    assert await called(workers, 8) == [True] * 5 + [False] * 3
    assert set(workers.balancer.chosen) == {0, 1}


async def test_concurrency_counts_over_workers(workers: GatewayReplicas, upstream: Upstream, scene: Scene) -> None:
    scene.gate.clear()
    policy = limiting(limit_config(concurrency=2, per=["Gateway"]))
    await workers.apply(workers.entry("mock", upstream.url, [policy]))
    async with asyncio.TaskGroup() as group:
        flying = [group.create_task(called(workers, 1)) for _ in range(2)]
        for _ in flying:
            await scene.calls.acquire()
        assert await called(workers, 2) == [False, False]
        scene.gate.set()
    assert [each.result() for each in flying] == [[True], [True]]
    assert await called(workers, 2) == [True, True]


async def test_an_answer_as_large_as_a_request_may_be_is_brought_to_the_worker_where_its_call_waits(
    workers: GatewayReplicas,
) -> None:
    size = BOUNDS.request_bytes - 2048  # what else is in the request
    server = AskingServer()
    async with serving(server.script) as upstream, mcp_caller(workers.url("old")) as caller:
        await workers.apply(workers.entry("old", upstream.url, server={"protocol_version": "2025-11-25"}))
        asked = (await caller.post(tool_called("ask"))).result
        told = {"input-1": {"action": "accept", "content": {"name": "x" * size}}}
        reply = await caller.post(tool_called("ask", inputResponses=told, requestState=asked["requestState"]))
        assert reply.result["content"][0]["text"].count("x") >= size, "it came back, too, from worker to worker"
        assert set(workers.balancer.chosen) == {0, 1}


@pytest.mark.timeout(300)
@pytest.mark.parametrize("era", REVISIONS)
@pytest.mark.parametrize("client", PYTHON_CLIENTS, ids=lambda each: f"{each.name}, {each.revision}")
async def test_a_client_does_all_that_it_can_do_at_whichever_worker_its_requests_arrive(
    workers: GatewayReplicas, client: Client, era: str
) -> None:
    async with AsyncExitStack() as stack:
        url = await stack.enter_async_context(everything(sdk="python", eras=ServedEras(era)))
        await workers.apply(workers.entry("mock", url))
        known = client.across_eras() if client.other_era == era else client
        found = await asyncio.to_thread(clients.run, known, workers.url(), server_revision=REVISIONS[era])
        assert clients.failures(known, found) == []
        assert set(workers.balancer.chosen) == {0, 1}
