"""A real server that knows sessions only (the official Python SDK 1.x) behind the gateway; clients of every era."""

import subprocess
from collections.abc import AsyncIterator, Iterator
from typing import Any, Literal

import pytest
from gateways import RunningGateway, running_gateway
from mcp import Client
from mcp_caller import legacy, mcp_caller, modern
from mcp_clients import Era
from typescript_sdk import run_session

from ostiary_tools.conformance import installs

pytestmark = [pytest.mark.timeout(240)]


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """Its endpoint."""
    python = installs.virtual_environment("python-v1")
    command = [python, installs.DRIVERS / "server_v1.py"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip()
        finally:
            process.terminate()


@pytest.fixture
async def gateway(server: str) -> AsyncIterator[RunningGateway]:
    async with running_gateway() as gateway:
        await gateway.apply(gateway.entry("mock", server))
        yield gateway


async def test_a_request_without_a_session_is_400_with_its_own_id_and_the_message_of_the_server(
    gateway: RunningGateway,
) -> None:
    async with mcp_caller(gateway.url()) as caller:
        reply = await caller.post(legacy("tools/list", id=7))
        assert (reply.status, reply.json["id"]) == (400, 7)
        assert reply.error == {"code": -32600, "message": "Bad Request: Missing session ID"}


async def test_a_request_of_the_stateless_revision_is_answered_in_a_session_of_the_gateway(
    gateway: RunningGateway,
) -> None:
    async with mcp_caller(gateway.url()) as caller:
        for message in (modern("tools/list", id=7), modern("server/discover", id=7)):
            reply = await caller.post(message)
            assert (reply.status, reply.json["id"]) == (200, 7)
            assert reply.json["result"]["resultType"] == "complete"


async def test_a_session_that_the_server_has_forgotten_is_404(gateway: RunningGateway) -> None:
    async with mcp_caller(gateway.url()) as caller:
        await caller.initialize()
        assert (await caller.request("DELETE")).status == 200
        reply = await caller.post(legacy("tools/list", id=7))
        assert (reply.status, reply.json["id"], reply.error["code"]) == (404, 7, -32001)


@pytest.mark.parametrize(("mode", "revision"), [("legacy", "2025-11-25"), ("auto", "2026-07-28")])
async def test_the_official_python_client_works_in_its_own_era(
    gateway: RunningGateway, mode: Literal["legacy", "auto"], revision: str
) -> None:
    async with Client(gateway.url(), mode=mode) as client:
        assert client.protocol_version == revision
        assert (await client.call_tool("add", {"a": 1, "b": 2})).structured_content == {"result": 3}


@pytest.mark.node
@pytest.mark.parametrize(("era", "revision"), [("legacy", "2025-11-25"), ("auto", "2026-07-28")])
async def test_the_official_typescript_client_works_in_its_own_era(
    gateway: RunningGateway, era: Era | Literal["auto"], revision: str
) -> None:
    steps: list[dict[str, Any]] = [{"op": "server"}, {"op": "callTool", "name": "add", "arguments": {"a": 1, "b": 2}}]
    found, called = await run_session(gateway.url(), sdk="v2", era=era, steps=steps)

    assert found["result"]["protocolVersion"] == revision
    assert called["result"]["structuredContent"] == {"result": 3}
