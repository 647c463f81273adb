"""From anonymous callers to keys, and an allow-list of one tool, with official clients and servers."""

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import everything_server
import httpx2
import pytest
from api_keys import AGENT_KEY, api_key, bearer, keyed
from gateways import RunningGateway, policy
from mcp import Client, MCPError
from mcp.client.streamable_http import streamable_http_client
from mcp_clients import ERAS, Era, connect, eventually
from timeouts import TIMEOUT_SECONDS

from ostiary_tools.common.ports import reserve_port

TOOL = "test_simple_text"
ONE_TOOL = {"name": "one-tool", "effect": "Allow", "tools": {"names": [TOOL]}}


@asynccontextmanager
async def everything() -> AsyncIterator[str]:
    """Run the test server of the conformance suite; yields its endpoint."""
    port = reserve_port()
    script = Path(str(everything_server.__file__))
    process = await asyncio.create_subprocess_exec(sys.executable, script, "--port", str(port))

    async def listens() -> bool:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            return False
        writer.close()
        return True

    try:
        await eventually(listens)
        yield f"http://127.0.0.1:{port}/mcp"
    finally:
        process.terminate()
        await asyncio.wait_for(process.wait(), TIMEOUT_SECONDS)


@pytest.mark.parametrize("era", ERAS)
async def test_an_allow_list_of_one_tool_shows_and_permits_that_tool_alone(gateway: RunningGateway, era: Era) -> None:
    async with everything() as url:
        await gateway.apply(gateway.entry("mock", url, [policy("one-tool", ONE_TOOL)]))
        async with connect(gateway.url(), era=era) as client:
            assert [tool.name for tool in (await client.list_tools()).tools] == [TOOL]
            assert not (await client.call_tool(TOOL, {})).is_error
            with pytest.raises(MCPError, match="Unknown tool: test_error_handling"):
                await client.call_tool("test_error_handling", {})
            assert (await client.list_resources()).resources == []
            assert (await client.list_prompts()).prompts == []


@asynccontextmanager
async def client_with(http: httpx2.AsyncClient, url: str, era: Era) -> AsyncIterator[Client]:
    """An official client whose HTTP headers the test changes on the way."""
    transport = streamable_http_client(url, http_client=http)
    async with Client(transport, mode="legacy" if era == "legacy" else "auto", cache=None) as client:
        yield client


async def test_a_stateless_client_goes_on_with_a_key(gateway: RunningGateway, mock: str) -> None:
    await gateway.apply(gateway.entry("mock", mock))
    async with httpx2.AsyncClient(trust_env=False) as http, client_with(http, gateway.url(), "modern") as client:
        assert not (await client.call_tool("get_users", {})).is_error
        await gateway.apply(gateway.entry("mock", mock, [keyed(api_key(AGENT_KEY))]))
        with pytest.raises(MCPError):
            await client.call_tool("get_users", {})
        http.headers.update(bearer(AGENT_KEY))
        assert not (await client.call_tool("get_users", {})).is_error


async def test_the_session_of_an_anonymous_client_is_over_and_with_a_key_it_opens_a_new_one(
    gateway: RunningGateway, mock: str
) -> None:
    await gateway.apply(gateway.entry("mock", mock))
    streams = gateway.app.pipeline.limiter
    async with httpx2.AsyncClient(trust_env=False) as http:
        with contextlib.suppress(MCPError):  # the SDK ends its session with a DELETE, which is refused
            async with client_with(http, gateway.url(), "legacy") as client:
                assert not (await client.call_tool("get_users", {})).is_error
                await eventually(lambda: streams.streams == 1)
                await gateway.apply(gateway.entry("mock", mock, [keyed(api_key(AGENT_KEY))]))
                await eventually(lambda: streams.streams == 0)
                with pytest.raises(MCPError):
                    await client.call_tool("get_users", {})
                http.headers.update(bearer(AGENT_KEY))
                with pytest.raises(MCPError, match="Session"):  # 404: the session was that of another principal
                    await client.call_tool("get_users", {})
        async with client_with(http, gateway.url(), "legacy") as client:
            assert not (await client.call_tool("get_users", {})).is_error
