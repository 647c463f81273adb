"""The example `limits` as users run it: the two limits, official clients of both eras, what the commands show."""

import asyncio
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from api_keys import bearer
from command_line import Ostiary, ostiary_command
from fenced_blocks import ROOT
from local_run import Run, running
from mcp_clients import ERAS, Era, connect

EXAMPLE = ROOT / "examples" / "limits"
TRAVEL, REPORT = "travel-agent-example-key", "report-agent-example-key"
BERLIN = {"city": "Berlin"}


@pytest.fixture
def ostiary(capsys: pytest.CaptureFixture[str]) -> Ostiary:
    return ostiary_command(capsys)


@pytest.fixture
def started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Run]:
    """A run of its own for each test, since each uses budgets up."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    folder = shutil.copytree(EXAMPLE, tmp_path / "limits")
    with running(Path(folder), "--audit-file", str(tmp_path / "weather.jsonl")) as run:
        yield run


@pytest.fixture
async def url(started: Run) -> str:
    await started.opens()
    return f"http://localhost:{started.port}/weather/mcp"


async def outcomes(client: Any, calls: int, tool: str = "get_weather") -> list[bool]:
    """Whether each of some calls was let through; ten at a time."""
    found: list[bool] = []
    while len(found) < calls:
        replies = await asyncio.gather(
            *(client.call_tool(tool, BERLIN if tool == "get_weather" else {}) for _ in range(10))
        )
        found += [not reply.is_error for reply in replies]
    return found


@pytest.mark.parametrize("era", ERAS)
async def test_exactly_a_hundred_calls_of_the_expensive_tool_are_let_through_for_all_agents_together(
    url: str, era: Era, ostiary: Ostiary, started: Run
) -> None:
    async with connect(url, era=era, headers=bearer(TRAVEL)) as client:
        assert sum(await outcomes(client, 80)) == 80
    async with connect(url, era=era, headers=bearer(REPORT)) as client:
        assert sum(await outcomes(client, 70)) == 20
        refused = await client.call_tool("get_weather", BERLIN)
        assert not (await client.call_tool("list_cities", {})).is_error

    assert refused.is_error
    limit = (refused.meta or {})["dev.ostiary/limit"]
    assert (limit["limit"], limit["remaining"], limit["unit"]) == (100, 0, "requests")
    assert limit["retryAfterMs"] > 0
    assert "get_weather" in str(refused.content)
    await the_commands_show_it(ostiary, started)


async def the_commands_show_it(ostiary: Ostiary, started: Run) -> None:
    shown = await asyncio.to_thread(ostiary, "limits", "weather", "-o", "json")
    keys = {(key["limit"], *key["dimensions"].values()): key for key in json.loads(shown.out)["keys"]}
    assert (shown.code, keys["weather-daily", "get_weather"]["used"]) == (0, 100)
    assert {limit for limit, *_ in keys} == {"agent-hourly", "weather-daily"}
    table = await asyncio.to_thread(ostiary, "limits")
    assert "get_weather" in table.out
    trail = started.folder.parent / "weather.jsonl"
    found = await asyncio.to_thread(ostiary, "audit", "query", str(trail), "--tool", "get_weather", "-o", "json")
    assert found.code == 0
    assert "travel-agent" in found.out


async def test_an_agent_has_a_thousand_requests_an_hour_and_others_have_their_own(url: str) -> None:
    async with connect(url, era="modern", headers=bearer(TRAVEL)) as client:
        found = await outcomes(client, 1020, "list_cities")
    assert 0 < found.count(False) <= 30  # the handshake lists tools, or not
    assert sum(found) <= 1000
    async with connect(url, era="modern", headers=bearer(REPORT)) as client:
        assert all(await outcomes(client, 10, "list_cities"))


async def test_a_run_says_that_audit_records_have_no_place_without_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    folder = Path(shutil.copytree(EXAMPLE, tmp_path / "limits"))
    policy = folder / "mcppolicy.yaml"
    policy.write_text(policy.read_text() + "  audit: {level: Metadata}\n")
    with running(folder) as run:
        await run.opens()
    assert run.has_line("warning", "audit records are demanded", "--audit-file FILE")
