"""The commands that show traffic, as the guide shows them, against a run: a page and a terminal show the same."""

import asyncio
import json
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from command_line import CommandResult, Ostiary, ostiary_command
from documented_commands import commands
from fenced_blocks import ROOT
from local_run import Run, running
from mcp_clients import connect
from timeouts import TIMEOUT_SECONDS

PAGE = "docs/guides/traffic.md"
TOKEN = "a-token-of-the-console-for-tests"
BEARER = {"Authorization": f"Bearer {TOKEN}"}


@pytest.fixture
def ostiary(capsys: pytest.CaptureFixture[str]) -> Ostiary:
    return ostiary_command(capsys)


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Run]:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    folder = shutil.copytree(ROOT / "examples" / "quickstart", tmp_path / "quickstart")
    with running(Path(folder), env={"OSTIARY_CONSOLE_TOKEN": TOKEN}) as started:
        yield started


async def use(run: Run) -> None:
    """Three calls of one tool, and one that a policy denies."""
    async with connect(run.url, era="modern") as client:
        await client.list_tools()  # names are counted once a server has listed them
        for _ in range(3):
            await client.call_tool("get_users", {})
        await client.call_tool("delete_user", {"id": 1})


async def ask(ostiary: Ostiary, line: str) -> CommandResult:
    return await asyncio.to_thread(ostiary, *line.split()[1:])


def counts(report: dict[str, Any]) -> dict[str, int]:
    return {each["name"]: each["calls"] for each in report["names"]["tools"]}


async def test_every_command_of_the_page_shows_what_was_called(run: Run, ostiary: Ostiary) -> None:
    await run.opens()
    await use(run)
    for line in commands(PAGE):
        done = await ask(ostiary, line)
        assert done.code == 0, (line, done.err)
        assert done.out, line


async def test_a_page_its_twin_and_a_terminal_show_the_same_numbers(run: Run, ostiary: Ostiary) -> None:
    await run.opens()
    await use(run)
    shown = json.loads((await ask(ostiary, "ostiary traffic -o json")).out)["report"]
    async with (
        aiohttp.ClientSession(headers=BEARER) as http,
        http.get(f"{run.console_url}/traffic.json") as response,
    ):
        page = (await response.json())["content"]
    assert counts(shown) == {"get_users": 3, "delete_user": 1}
    assert counts(page) == counts(shown)
    assert page["numbers"] == shown["numbers"]
    assert page["outcomes"] == shown["outcomes"]
    assert {each["name"]: each["calls"] for each in shown["outcomes"]}["denied"] == 1


async def test_a_denied_call_is_shown_with_its_rule(run: Run, ostiary: Ostiary) -> None:
    await run.opens()
    await use(run)
    done = await ask(ostiary, "ostiary calls --outcome denied -o json")
    (call,) = map(json.loads, done.out.splitlines())
    assert (call["name"], call["policy"], call["rule"]) == ("delete_user", "default/quickstart", "no-deletions")
    assert (
        (await ask(ostiary, "ostiary calls --outcome denied"))
        .out.rstrip()
        .endswith("by rule no-deletions of policy default/quickstart")
    )


async def test_a_watch_shows_each_call_as_it_comes(run: Run) -> None:
    await run.opens()
    arguments = ("-m", "ostiary_operator.cli", "calls", "--watch", "-o", "json")
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(sys.executable, *arguments, stdout=pipe, stderr=pipe)
    assert process.stdout is not None
    assert process.stderr is not None
    try:
        await asyncio.wait_for(process.stderr.readuntil(b"waiting for new ones"), TIMEOUT_SECONDS)
        await use(run)
        names: list[str] = []
        while names.count("get_users") < 3 or "delete_user" not in names:
            line = await asyncio.wait_for(process.stdout.readline(), TIMEOUT_SECONDS)
            names.append(json.loads(line).get("name", ""))
    finally:
        process.kill()
        await process.wait()
