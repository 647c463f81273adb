"""Clients of both eras at one endpoint of servers of both eras."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import pytest
from gateways import RunningGateway, running_gateway
from mcp import Client
from mcp.types import CallToolResult, ElicitRequestParams, ElicitResult, TextContent
from mcp_clients import ERAS, Era, connect
from merged_proxies import merged
from sdk_server import asking_server

from ostiary_operator.demo.served_eras import ServedEras

SERVERS = {"old": ServedEras.LEGACY, "new": ServedEras.MODERN, "both": ServedEras.BOTH}


def text(result: CallToolResult) -> str:
    """The text of a tool's result."""
    (content,) = result.content
    assert isinstance(content, TextContent)
    return content.text


async def accept(_: object, __: ElicitRequestParams) -> ElicitResult:
    return ElicitResult(action="accept", content={"name": "Ada"})


@asynccontextmanager
async def endpoint() -> AsyncIterator[RunningGateway]:
    """A gateway with one endpoint for a server of each kind."""
    async with AsyncExitStack() as stack:
        urls = {name: await stack.enter_async_context(asking_server(eras=eras)) for name, eras in SERVERS.items()}
        gateway = await stack.enter_async_context(running_gateway())
        await gateway.apply(merged(gateway, urls))
        yield gateway


@asynccontextmanager
async def client(gateway: RunningGateway, era: Era) -> AsyncIterator[Client]:
    async with connect(gateway.url(), era=era, elicitation_callback=accept) as found:
        yield found


@pytest.mark.parametrize("era", ERAS)
async def test_a_client_of_either_era_sees_and_calls_the_tools_of_servers_of_both(era: Era) -> None:
    async with endpoint() as gateway, client(gateway, era) as found:
        names = {tool.name for tool in (await found.list_tools()).tools}
        assert {f"{server}_cancelled" for server in SERVERS} <= names
        for server in SERVERS:
            assert text(await found.call_tool(f"{server}_cancelled", {})) == "0"


@pytest.mark.parametrize("era", ERAS)
@pytest.mark.parametrize("server", SERVERS)
async def test_a_question_in_mid_call_crosses_eras_from_every_server(era: Era, server: str) -> None:
    async with endpoint() as gateway, client(gateway, era) as found:
        assert text(await found.call_tool(f"{server}_greet", {})) == "Hello Ada"
