"""Bridges between the eras at a server with several endpoints: sessions and streams find the one that they need."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import pytest
from aiohttp import web
from api_keys import AGENT_KEY, api_key, bearer, keyed
from endpoint_scenes import RETRY, URL, EndpointPool, endpoint_scenes
from gateways import RunningGateway
from mcp.types import ElicitResult
from mcp_caller import McpCaller, legacy, mcp_caller, modern
from mcp_clients import connect, eventually
from modern_server import CAPABILITIES, complete, initialized, modern_server
from upstreams import Arrived, EventStream, Upstream, answer, document, events

from ostiary_core.contract.server_resilience import EndpointConfig

CALL = modern("tools/call", {"name": "search", "arguments": {}}, id=7)
SCHEMA: dict[str, Any] = {"type": "object", "properties": {}}
LISTEN = modern("subscriptions/listen", {"notifications": {"toolsListChanged": True}}, id="listen-1")


@pytest.fixture
async def pool() -> AsyncIterator[EndpointPool]:
    async with endpoint_scenes("a", "b", "c") as pool:
        yield pool


@pytest.fixture
async def agent(gateway: RunningGateway, pool: EndpointPool) -> AsyncIterator[McpCaller]:
    """A modern caller, which the gateway knows, at a server of the handshake revisions."""
    entry, policies = pool.entry(gateway, (keyed(api_key(AGENT_KEY)),))
    servers = [each.model_copy(update={"protocol_version": "2025-11-25"}) for each in entry.servers]
    await gateway.apply((entry.model_copy(update={"servers": servers}), policies))
    async with mcp_caller(gateway.url(), credential=bearer(AGENT_KEY)) as caller:
        yield caller


async def test_calls_of_a_modern_caller_share_a_session_at_one_endpoint(agent: McpCaller, pool: EndpointPool) -> None:
    assert [(await agent.post(CALL)).result["count"] for _ in range(9)] == list(range(1, 10))
    assert sum(each.upstream.count("initialize") for each in pool) == 1


async def test_calls_of_a_modern_caller_go_on_at_another_endpoint(agent: McpCaller, pool: EndpointPool) -> None:
    assert (await agent.post(CALL)).result["count"] == 1
    [first] = [each for each in pool if each.upstream.arrived]
    await first.stop()

    assert [(await agent.post(CALL)).result["count"] for _ in range(3)] == [1, 2, 3]


async def test_a_modern_listener_hears_of_changes_from_another_endpoint(agent: McpCaller, pool: EndpointPool) -> None:
    changed = legacy("notifications/tools/list_changed", id=None)
    async with agent.stream(LISTEN) as stream:
        assert (await stream.message())["method"] == "notifications/subscriptions/acknowledged"
        await eventually(lambda: any(each.scene.streams for each in pool))
        [first] = [each for each in pool if each.scene.streams]
        await first.stop()
        await eventually(lambda: any(each.scene.streams for each in pool if each is not first))
        [second] = [each for each in pool if each is not first and each.scene.streams]
        assert (await stream.message())["method"] == "notifications/tools/list_changed"  # what it may have missed

        await second.scene.streams[0].send(changed)

        heard = await stream.message()
        assert heard["method"] == "notifications/tools/list_changed"
        assert heard["params"]["_meta"]["io.modelcontextprotocol/subscriptionId"] == "listen-1"


class ModernEndpoint:
    """An endpoint that speaks the newest revision only; its listens stay open until they are ended."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.listens: list[EventStream] = []
        self.ended = asyncio.Event()

    async def call(self, request: web.BaseRequest, arrived: Arrived) -> web.StreamResponse:
        if arrived.method != "subscriptions/listen":
            return complete(arrived, {"content": [{"type": "text", "text": self.name}]})
        meta = {"io.modelcontextprotocol/subscriptionId": arrived.message["id"]}
        honoured = {"notifications": arrived.message["params"]["notifications"], "_meta": meta}
        async with events(request) as stream:
            await stream.send(legacy("notifications/subscriptions/acknowledged", honoured, id=None))
            self.listens.append(stream)
            await self.ended.wait()
            result = {"resultType": "complete", "_meta": meta}
            await stream.send({"jsonrpc": "2.0", "id": arrived.message["id"], "result": result})
        return stream.response

    async def changed(self) -> None:
        """Say to the last that listens that the tools have changed."""
        await self.listens[-1].send(legacy("notifications/tools/list_changed", id=None))


class ModernPool:
    """Two of them, behind one server."""

    def __init__(self) -> None:
        self.endpoints = [ModernEndpoint("a"), ModernEndpoint("b")]
        self.stacks = [AsyncExitStack() for _ in self.endpoints]
        self.upstreams: list[Upstream] = []

    async def start(self) -> None:
        for endpoint, stack in zip(self.endpoints, self.stacks, strict=True):
            self.upstreams.append(await stack.enter_async_context(modern_server(endpoint.call)))

    async def stop(self, endpoint: ModernEndpoint) -> None:
        await self.stacks[self.endpoints.index(endpoint)].aclose()

    def entry(self, gateway: RunningGateway) -> Any:
        ports = [int(each.url.rpartition(":")[2].partition("/")[0]) for each in self.upstreams]
        endpoints = [EndpointConfig(address="127.0.0.1", port=port) for port in ports]
        return gateway.entry("mock", URL, server={"endpoints": endpoints, "retry": RETRY})

    def listening(self) -> ModernEndpoint:
        [found] = [each for each in self.endpoints if each.listens]
        return found


@pytest.fixture
async def modern_pool(gateway: RunningGateway) -> AsyncIterator[ModernPool]:
    pool = ModernPool()
    await pool.start()
    await gateway.apply(pool.entry(gateway))
    yield pool
    for endpoint in pool.endpoints:
        endpoint.ended.set()
        await pool.stop(endpoint)


@pytest.mark.parametrize("is_killed", [True, False])
async def test_a_listen_goes_on_at_another_endpoint(
    caller: McpCaller, modern_pool: ModernPool, is_killed: bool
) -> None:
    async with caller.stream(LISTEN) as stream:
        assert (await stream.message())["method"] == "notifications/subscriptions/acknowledged"
        await eventually(lambda: any(each.listens for each in modern_pool.endpoints))
        first = modern_pool.listening()
        [second] = [each for each in modern_pool.endpoints if each is not first]
        if not is_killed:
            first.ended.set()  # it ends its listens, as a server does that is told to stop
        await modern_pool.stop(first)
        await eventually(lambda: bool(second.listens))

        # It is not acknowledged twice, and not ended: lists may have changed meanwhile.
        assert (await stream.message())["method"] == "notifications/tools/list_changed"
        await second.changed()
        assert (await stream.message())["method"] == "notifications/tools/list_changed"


async def test_the_stream_of_a_bridged_session_goes_on_at_another_endpoint(
    caller: McpCaller, modern_pool: ModernPool
) -> None:
    reply = await initialized(caller)
    assert reply.result["capabilities"]["tools"] == CAPABILITIES["tools"]
    async with caller.listen() as stream:
        await eventually(lambda: any(each.listens for each in modern_pool.endpoints))
        first = modern_pool.listening()
        [second] = [each for each in modern_pool.endpoints if each is not first]
        await modern_pool.stop(first)
        await eventually(lambda: bool(second.listens))
        await second.changed()

        heard = {(await stream.message())["method"] for _ in range(2)}
        assert "notifications/tools/list_changed" in heard
    call = legacy("tools/call", {"name": "who", "arguments": {}})
    assert (await caller.post(call)).result["content"][0]["text"] == second.name


class AskingEndpoint:
    """A modern endpoint whose state no other one can read, as the official SDK's servers have it by default."""

    def __init__(self, name: str) -> None:
        self.name = name

    async def call(self, _request: web.BaseRequest, arrived: Arrived) -> web.StreamResponse:
        """Ask once, then answer."""
        state = arrived.message["params"].get("requestState")
        if state is None:
            question = {"method": "elicitation/create", "params": {"message": "?", "requestedSchema": SCHEMA}}
            asked = {"resultType": "input_required", "inputRequests": {"q": question}, "requestState": self.name}
            return document(answer(arrived, asked))
        if state != self.name:
            return document({"jsonrpc": "2.0", "id": arrived.message["id"], "error": {"code": -32602, "message": "no"}})
        return complete(arrived, {"content": [{"type": "text", "text": self.name}]})


async def test_what_was_asked_is_answered_to_the_endpoint_that_asked(gateway: RunningGateway) -> None:
    async with AsyncExitStack() as stack:
        upstreams = [await stack.enter_async_context(modern_server(AskingEndpoint(name).call)) for name in "abcd"]
        caller = await stack.enter_async_context(mcp_caller(gateway.url()))
        ports = [int(each.url.rpartition(":")[2].partition("/")[0]) for each in upstreams]
        endpoints = [EndpointConfig(address="127.0.0.1", port=port) for port in ports]
        await gateway.apply(gateway.entry("mock", URL, server={"endpoints": endpoints, "retry": RETRY}))
        answered = {"inputResponses": {"q": {"action": "accept", "content": {}}}}
        for _ in range(12):
            call = {"name": "ask", "arguments": {}}
            asked = (await caller.post(_with_elicitation(modern("tools/call", call)))).result
            again = {**call, **answered, "requestState": asked["requestState"]}
            reply = await caller.post(_with_elicitation(modern("tools/call", again, id=2)))
            assert reply.result["content"]


def _with_elicitation(message: dict[str, Any]) -> dict[str, Any]:
    message["params"]["_meta"]["io.modelcontextprotocol/clientCapabilities"] = {"elicitation": {}}
    return message


async def test_a_bridged_client_answers_the_endpoint_that_asked(gateway: RunningGateway) -> None:
    async with AsyncExitStack() as stack:
        upstreams = [await stack.enter_async_context(modern_server(AskingEndpoint(name).call)) for name in "abcd"]
        ports = [int(each.url.rpartition(":")[2].partition("/")[0]) for each in upstreams]
        endpoints = [EndpointConfig(address="127.0.0.1", port=port) for port in ports]
        await gateway.apply(gateway.entry("mock", URL, server={"endpoints": endpoints, "retry": RETRY}))

        async def accept(*_: Any) -> ElicitResult:
            return ElicitResult(action="accept", content={})

        client = await stack.enter_async_context(connect(gateway.url(), era="legacy", elicitation_callback=accept))
        for _ in range(12):
            assert (await client.call_tool("ask", {})).content
