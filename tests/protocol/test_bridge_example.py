"""The example `bridge` as users run it: official clients of both eras, each with a server of the other era."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fenced_blocks import ROOT
from local_run import Run, running
from mcp.types import ElicitResult
from mcp_clients import ERAS, Era, connect
from typescript_sdk import CLIENTS, Sdk, run_session

from ostiary_operator.demo.served_eras import SERVER_KEY

ENDPOINTS = ("old", "new")


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    folder = shutil.copytree(ROOT / "examples" / "bridge", tmp_path_factory.mktemp("run") / "bridge")
    with running(Path(folder)) as run:
        yield run


@pytest.fixture
async def run(started: Run) -> Run:
    await started.opens()
    return started


def url(run: Run, name: str) -> str:
    return f"http://localhost:{run.port}/{name}/mcp"


async def by_train(*_: Any) -> ElicitResult:
    return ElicitResult(action="accept", content={"means": "train"})


@pytest.mark.parametrize("name", ENDPOINTS)
@pytest.mark.parametrize("era", ERAS)
async def test_a_client_of_either_era_works_with_a_server_of_either_era(run: Run, era: Era, name: str) -> None:
    async with connect(url(run, name), era=era) as client:
        assert len((await client.list_tools()).tools) == 15
        added = await client.call_tool("add", {"a": 2, "b": 3})
        users = await client.read_resource("mock://users")
        prompt = await client.get_prompt("get_started")

    assert added.structured_content == {"sum": 5}
    assert [(each.meta or {}).get(SERVER_KEY) for each in (added, users, prompt)] == [name] * 3


@pytest.mark.parametrize("name", ENDPOINTS)
@pytest.mark.parametrize("era", ERAS)
async def test_a_policy_holds_across_eras(run: Run, era: Era, name: str) -> None:
    before = len(run.lines)
    async with connect(url(run, name), era=era) as client:
        refused = await client.call_tool("delete_user", {"user_id": 1})
    assert refused.is_error
    await run.prints("denied", name, "delete_user", "by rule no-deletions", after=before)


@pytest.mark.parametrize("name", ENDPOINTS)
@pytest.mark.parametrize("era", ERAS)
async def test_a_question_in_mid_call_reaches_the_user_of_either_era(run: Run, era: Era, name: str) -> None:
    async with connect(url(run, f"{name}-trips"), era=era, elicitation_callback=by_train) as client:
        trip = await client.call_tool("plan_trip", {"city": "Oslo"})
    assert trip.structured_content == {"city": "Oslo", "means": "train", "hours": 5}


@pytest.mark.node
@pytest.mark.parametrize("name", ENDPOINTS)
@pytest.mark.parametrize(("sdk", "era"), CLIENTS)
async def test_the_typescript_sdk_works_with_a_server_of_either_era(run: Run, sdk: Sdk, era: Era, name: str) -> None:
    steps: list[dict[str, Any]] = [
        {"op": "listTools"},
        {"op": "callTool", "name": "add", "arguments": {"a": 2, "b": 3}},
        {"op": "readResource", "uri": "mock://users"},
        {"op": "getPrompt", "name": "get_started"},
    ]
    listed, *others = await run_session(url(run, name), sdk=sdk, era=era, steps=steps)
    assert len(listed["result"]["tools"]) == 15
    assert others[0]["result"]["structuredContent"] == {"sum": 5}
    assert [each["result"]["_meta"][SERVER_KEY] for each in others] == [name] * 3
