"""A modern client at a server that speaks legacy revisions only: sessions are the gateway's, questions are asked."""

from collections.abc import AsyncIterator
from typing import Any, Final

import pytest
from gateways import RunningGateway
from mcp_clients import connect
from servers_by_era import everything

from ostiary_operator.demo.served_eras import ServedEras

LEGACY_ONLY: Final[dict[str, Any]] = {"protocol_version": "2025-11-25"}


@pytest.fixture
async def old() -> AsyncIterator[str]:
    """A server on the official Python SDK that speaks legacy revisions only."""
    async with everything(sdk="python", eras=ServedEras.LEGACY) as url:
        yield url


async def test_an_official_client_discovers_lists_and_calls(gateway: RunningGateway, old: str) -> None:
    await gateway.apply(gateway.entry("old", old, server=LEGACY_ONLY))
    async with connect(gateway.url("old"), era="modern") as client:
        tools = (await client.list_tools()).tools
        assert "test_simple_text" in {tool.name for tool in tools}
        result = await client.call_tool("test_simple_text", {})
        assert not result.is_error
        assert result.content
