"""Requests of modern clients to the endpoints of a legacy server: sent again as those of other clients are."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from api_keys import AGENT_KEY, api_key, bearer, keyed
from endpoint_scenes import EndpointPool, endpoint_scenes
from faulty_endpoints import Fault, faulty_endpoints
from gateways import RunningGateway, running_gateway
from mcp_caller import LEGACY, McpCaller, mcp_caller, modern

#: Large enough for its parsed form to be dropped once it is sent.
ARGUMENTS = {"text": "x" * 10_000}


@pytest.fixture
async def gateway() -> AsyncIterator[RunningGateway]:
    async with running_gateway() as gateway:
        yield gateway


@pytest.fixture
async def pool(gateway: RunningGateway) -> AsyncIterator[EndpointPool]:
    async with endpoint_scenes("a", "b") as pool:
        entry, policies = pool.entry(gateway, (keyed(api_key(AGENT_KEY, "default/agent")),))
        [server] = entry.servers
        server = server.model_copy(update={"protocol_version": LEGACY})
        await gateway.apply((entry.model_copy(update={"servers": [server]}), policies))
        yield pool


async def called(caller: McpCaller) -> dict[str, Any]:
    reply = await caller.post(modern("tools/call", {"name": "count", "arguments": ARGUMENTS}), bearer(AGENT_KEY))
    return reply.result


def arguments(pool: EndpointPool) -> list[Any]:
    """The arguments of each call that arrived."""
    return [
        arrived.message.get("params", {}).get("arguments")
        for each in pool
        for arrived in each.upstream.arrived
        if arrived.method == "tools/call"
    ]


async def test_a_call_goes_to_another_endpoint_when_that_of_its_session_is_gone(
    gateway: RunningGateway, pool: EndpointPool
) -> None:
    async with mcp_caller(gateway.url()) as caller:
        first = (await called(caller))["by"]
        await pool[first].stop()
        last = await called(caller)
        assert {first, last["by"]} == {"a", "b"}
        assert arguments(pool) == [ARGUMENTS] * 2


async def test_a_call_whose_session_is_forgotten_is_sent_again_as_it_was(
    gateway: RunningGateway, pool: EndpointPool
) -> None:
    async with mcp_caller(gateway.url()) as caller:
        first = (await called(caller))["by"]
        pool[first].scene.forgotten |= set(pool[first].scene.sessions)
        assert (await called(caller))["by"]
        assert arguments(pool) == [ARGUMENTS] * 3


@pytest.mark.parametrize(
    "fault", [Fault.RESET, Fault.HALF_BODY, Fault.NO_EVENT, Fault.HALF_EVENT, Fault.BAD_GATEWAY, Fault.UNAVAILABLE_JSON]
)
@pytest.mark.parametrize("dead", [0, 2])
async def test_a_read_is_sent_again_and_a_call_is_not(gateway: RunningGateway, fault: Fault, dead: int) -> None:
    async with faulty_endpoints(2, dead=dead) as server, mcp_caller(gateway.url()) as caller:
        described = server.document() | {"protocol_version": LEGACY}
        await gateway.apply(gateway.entry("mock", server.url, server=described))
        read = modern("resources/read", {"uri": f"file:///{'a' * 1000}"}, id="read")
        call = modern("tools/call", {"name": "count", "arguments": ARGUMENTS}, id="call")
        for message in (read, call):
            assert (await caller.post(message)).result
            method = message["method"]
            server.plan(fault, method=method)
            reply = await caller.post(message)
            assert reply.messages[-1]["id"] == message["id"]
            assert ("result" in reply.messages[-1]) == (method == "resources/read"), reply
            assert server.count(method) == (2 if method == "resources/read" else 1)
            sent = [each["params"] for _, each in server.received if each.get("method") == method]
            assert all({**each, "_meta": None} == {**message["params"], "_meta": None} for each in sent)
