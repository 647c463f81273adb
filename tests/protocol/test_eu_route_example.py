"""The example `eu-route` as users run it: the key decides which region's server answers."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from api_keys import bearer, exposed
from fenced_blocks import ROOT
from local_run import Run, running
from mcp import MCPError
from mcp_clients import ERAS, Era, connect
from typescript_sdk import CLIENTS, Sdk, run_session

from ostiary_operator.demo.served_eras import SERVER_KEY

EXAMPLE = ROOT / "examples" / "eu-route"
EU, US = "eu-agent-example-key", "us-agent-example-key"
SERVER = {EU: "old", US: "new"}
"""Which mock server is the one of the region."""


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    folder = shutil.copytree(EXAMPLE, tmp_path_factory.mktemp("run") / "eu-route")
    with running(Path(folder)) as run:
        yield run


@pytest.fixture
async def url(started: Run) -> str:
    await started.opens()
    return f"http://localhost:{started.port}/records/mcp"


@pytest.mark.parametrize("era", ERAS)
@pytest.mark.parametrize("key", [EU, US])
async def test_the_agents_of_a_region_reach_its_server_and_no_other(url: str, era: Era, key: str) -> None:
    async with connect(url, era=era, headers=bearer(key)) as client:
        names = {tool.name for tool in (await client.list_tools()).tools}
        found = await client.call_tool("get_users", {})
    assert "get_users" in names
    assert not {name for name in names if not name.startswith(("get_", "search_"))}
    assert (found.meta or {})[SERVER_KEY] == SERVER[key]


@pytest.mark.parametrize("era", ERAS)
async def test_a_caller_without_a_key_gets_nothing(url: str, era: Era) -> None:
    with pytest.raises(MCPError):
        async with connect(url, era=era) as client:
            await client.list_tools()


@pytest.mark.node
@pytest.mark.parametrize("key", [EU, US])
@pytest.mark.parametrize(("sdk", "era"), CLIENTS)
async def test_the_typescript_sdk_reaches_the_server_of_its_region(url: str, sdk: Sdk, era: Era, key: str) -> None:
    steps: list[dict[str, Any]] = [{"op": "listTools"}, {"op": "callTool", "name": "get_users", "arguments": {}}]
    _, called = await run_session(url, sdk=sdk, era=era, steps=steps, headers=bearer(key))
    assert called["result"]["_meta"][SERVER_KEY] == SERVER[key]


async def test_the_terminal_shows_no_key(started: Run, url: str) -> None:
    assert url
    assert exposed(started.lines, EU, US) == []
