"""The recipe of docs/guides/stdio-servers.md as it stands there: a server that speaks stdio, behind a bridge."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import yaml
from fenced_blocks import fenced_blocks
from gateways import RunningGateway, running_gateway
from mcp import MCPError
from mcp_clients import ERAS, Era, connect
from node_packages import installed_package
from operator_objects import until
from redis_servers import free_port
from typescript_sdk import CLIENTS, Sdk, run_session

from ostiary_operator.api.load import parse_proxy
from ostiary_tools.toolchain import node

PAGE = "docs/guides/stdio-servers.md"
PACKAGE = Path(__file__).parents[1] / "clients" / "stdio"
VALUES, PROXY = map(yaml.safe_load, fenced_blocks(PAGE, "yaml"))
pytestmark = pytest.mark.node


def container() -> dict[str, Any]:
    """The bridge's container as the page shows it."""
    (gateway,) = VALUES["gateways"]
    (found,) = gateway["sidecar"]["containers"]
    return dict(found)


@asynccontextmanager
async def bridge() -> AsyncIterator[str]:
    """Run the bridge with the page's command, at a free port; yields its origin."""
    home, port = installed_package(PACKAGE), free_port()
    command = [str(port) if word == "8000" else word for word in container()["command"]]
    environment = os.environ | node.ensure().environment()
    process = await asyncio.create_subprocess_exec(
        *command, cwd=home, env=environment, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE
    )
    origin = f"http://127.0.0.1:{port}"
    try:
        await until(lambda: _is_healthy(origin), what="the health of the bridge")
        yield origin
    finally:
        process.send_signal(signal.SIGTERM)
        printed, _ = await process.communicate()
        assert b"canary" not in printed, "the bridge writes messages to its log"


async def _is_healthy(origin: str) -> bool:
    path = container()["readinessProbe"]["httpGet"]["path"]
    try:
        async with aiohttp.ClientSession() as session, session.get(f"{origin}{path}") as answer:
            return answer.status == 200
    except aiohttp.ClientError:
        return False


@asynccontextmanager
async def served() -> AsyncIterator[RunningGateway]:
    """A gateway with the page's MCPProxy, in front of the bridge."""
    async with bridge() as origin, running_gateway() as gateway:
        (server,) = parse_proxy(PROXY).spec.servers
        assert server.url is not None
        assert server.protocol_version is not None
        url = server.url.replace("http://localhost:8000", origin)
        await gateway.apply(gateway.entry("mock", url, server={"protocol_version": server.protocol_version.value}))
        yield gateway


@pytest.mark.parametrize("era", ERAS)
async def test_a_server_that_speaks_stdio_works_for_clients_of_both_eras(era: Era) -> None:
    async with served() as gateway, connect(gateway.url(), era=era) as client:
        assert "echo" in {tool.name for tool in (await client.list_tools()).tools}
        answer = await client.call_tool("echo", {"message": "canary-of-the-recipe"})
        assert "canary-of-the-recipe" in str(answer.content)
        assert (await client.list_resources()).resources


@pytest.mark.parametrize(("sdk", "era"), CLIENTS)
async def test_it_works_for_the_typescript_clients(sdk: Sdk, era: Era) -> None:
    steps: list[dict[str, Any]] = [
        {"op": "listTools"},
        {"op": "callTool", "name": "echo", "arguments": {"message": "hi"}},
    ]
    async with served() as gateway:
        _, called = await run_session(gateway.url(), sdk=sdk, era=era, steps=steps)
    assert "hi" in str(called)


async def test_each_session_has_a_process_of_its_own() -> None:
    async with (
        served() as gateway,
        connect(gateway.url(), era="legacy") as one,
        connect(gateway.url(), era="legacy") as other,
    ):
        await one.call_tool("toggle-simulated-logging", {})
        answers = [await each.call_tool("toggle-simulated-logging", {}) for each in (one, other)]
        assert "Stopped" in str(answers[0].content)
        assert "Started" in str(answers[1].content)


async def test_a_request_beyond_the_bound_of_the_bridge_is_an_answer_that_the_page_names() -> None:
    async with served() as gateway, connect(gateway.url(), era="legacy") as client:
        with pytest.raises(MCPError) as refused:
            await client.call_tool("echo", {"message": "x" * 200_000})
        assert "UpstreamInvalidAnswer" in str(refused.value.error.data)
        assert "100 kB" in (Path(__file__).parents[2] / PAGE).read_text()
        assert (await client.call_tool("echo", {"message": "x" * 90_000})).is_error in {False, None}
