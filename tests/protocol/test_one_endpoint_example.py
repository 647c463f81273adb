"""The example `one-endpoint` as users run it: three servers of different eras, one list, and a Deny for all of them."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from command_line import Ostiary, ostiary_command
from fenced_blocks import ROOT
from local_run import Run, running
from mcp import MCPError
from mcp_clients import ERAS, Era, connect
from typescript_sdk import CLIENTS, Sdk, run_session

from ostiary_operator.demo.served_eras import SERVER_KEY

EXAMPLE = ROOT / "examples" / "one-endpoint"
SERVERS = ("mock", "old", "new")


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    folder = shutil.copytree(EXAMPLE, tmp_path_factory.mktemp("run") / "one-endpoint")
    with running(Path(folder)) as run:
        yield run


@pytest.fixture
async def url(started: Run) -> str:
    await started.opens()
    return f"http://localhost:{started.port}/tools/mcp"


@pytest.mark.parametrize("era", ERAS)
async def test_agents_see_the_tools_of_three_servers_without_those_that_one_name_denies(url: str, era: Era) -> None:
    async with connect(url, era=era) as client:
        names = [tool.name for tool in (await client.list_tools()).tools]
    assert len(names) == 3 * 15 - 3
    assert [name.partition("_")[0] for name in names] == [server for server in SERVERS for _ in range(14)]
    assert not [name for name in names if name.endswith("delete_user")]


@pytest.mark.parametrize("era", ERAS)
@pytest.mark.parametrize("server", SERVERS)
async def test_a_name_leads_to_the_server_of_its_prefix(url: str, era: Era, server: str) -> None:
    async with connect(url, era=era) as client:
        added = await client.call_tool(f"{server}_add", {"a": 2, "b": 3})
        prompt = await client.get_prompt(f"{server}_get_started")
        users = await client.read_resource(f"mock://{server}/users")
    assert added.structured_content == {"sum": 5}
    assert [(each.meta or {})[SERVER_KEY] for each in (added, prompt, users)] == [server] * 3
    assert users.contents[0].uri == f"mock://{server}/users"


@pytest.mark.parametrize("era", ERAS)
@pytest.mark.parametrize("server", SERVERS)
async def test_what_is_denied_is_unknown_at_every_server(url: str, era: Era, server: str) -> None:
    async with connect(url, era=era) as client:
        with pytest.raises(MCPError, match=f"Unknown tool: {server}_delete_user"):
            await client.call_tool(f"{server}_delete_user", {"user_id": 1})


@pytest.mark.parametrize("era", ERAS)
async def test_resources_templates_and_prompts_are_those_of_all_servers(url: str, era: Era) -> None:
    async with connect(url, era=era) as client:
        resources = [resource.uri for resource in (await client.list_resources()).resources]
        templates = [each.uri_template for each in (await client.list_resource_templates()).resource_templates]
        prompts = [prompt.name for prompt in (await client.list_prompts()).prompts]
    for server in SERVERS:
        assert f"mock://{server}/users" in resources
        assert f"mock://{server}/users/{{id}}" in templates
        assert f"{server}_get_started" in prompts
    assert len(set(resources)) == len(resources)
    assert len(set(prompts)) == len(prompts)


@pytest.mark.node
@pytest.mark.parametrize(("sdk", "era"), CLIENTS)
async def test_the_typescript_sdk_sees_one_catalogue(url: str, sdk: Sdk, era: Era) -> None:
    steps: list[dict[str, Any]] = [
        {"op": "listTools"},
        *({"op": "callTool", "name": f"{server}_add", "arguments": {"a": 2, "b": 3}} for server in SERVERS),
    ]
    listed, *called = await run_session(url, sdk=sdk, era=era, steps=steps)
    assert len(listed["result"]["tools"]) == 42
    assert [each["result"]["_meta"][SERVER_KEY] for each in called] == list(SERVERS)


def test_the_tests_in_its_policy_pass(capsys: pytest.CaptureFixture[str]) -> None:
    ostiary: Ostiary = ostiary_command(capsys)
    answer = ostiary("test", str(EXAMPLE))
    assert (answer.code, "3 tests in 1 policy: all passed" in answer.out) == (0, True), answer.out
