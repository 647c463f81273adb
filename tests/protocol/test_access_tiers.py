"""The example `access-tiers` as users run it: `ostiary run`, and official clients with its keys."""

import asyncio
import json
import shlex
import shutil
import subprocess
from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from api_keys import bearer, exposed
from command_line import Ostiary, ostiary_command
from fenced_blocks import ROOT
from local_run import Run, running
from mcp import MCPError
from mcp_caller import McpCaller, mcp_caller, modern
from mcp_clients import ERAS, Era, connect
from timeouts import TIMEOUT_SECONDS
from typescript_sdk import CLIENTS, Sdk, run_session

EXAMPLE = ROOT / "examples" / "access-tiers"
SUPPORT, ADMIN = "support-agent-example-key", "admin-example-key"
TOOLS = {SUPPORT: ["read_ticket"], ADMIN: ["read_ticket", "delete_ticket"]}


@pytest.fixture
def ostiary(capsys: pytest.CaptureFixture[str]) -> Ostiary:
    return ostiary_command(capsys)


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    folder = shutil.copytree(EXAMPLE, tmp_path_factory.mktemp("tiers") / "access-tiers")
    with running(Path(folder)) as run:
        yield run


@pytest.fixture
async def run(started: Run) -> Run:
    await started.opens()
    return started


@pytest.fixture
def url(run: Run) -> str:
    return f"http://localhost:{run.port}/tickets/mcp"


@pytest.fixture
async def caller(url: str) -> AsyncIterator[McpCaller]:
    async with mcp_caller(url) as caller:
        yield caller


def call(tool: str, ticket: int) -> Mapping[str, Any]:
    return modern("tools/call", {"name": tool, "arguments": {"ticket_id": ticket}})


@pytest.mark.parametrize("era", ERAS)
async def test_the_support_agent_reads_tickets_and_neither_sees_nor_deletes(url: str, era: Era) -> None:
    async with connect(url, era=era, headers=bearer(SUPPORT)) as client:
        assert [tool.name for tool in (await client.list_tools()).tools] == TOOLS[SUPPORT]
        read = await client.call_tool("read_ticket", {"ticket_id": 1})
        assert read.structured_content["subject"] == "Cannot log in after the update"
        with pytest.raises(MCPError, match="Unknown tool: delete_ticket"):
            await client.call_tool("delete_ticket", {"ticket_id": 1})
        assert not (await client.call_tool("read_ticket", {"ticket_id": 1})).is_error


@pytest.mark.parametrize(("era", "ticket"), [("legacy", 2), ("modern", 3)])
async def test_the_administrator_reads_and_deletes_tickets(url: str, era: Era, ticket: int) -> None:
    async with connect(url, era=era, headers=bearer(ADMIN)) as client:
        assert [tool.name for tool in (await client.list_tools()).tools] == TOOLS[ADMIN]
        assert not (await client.call_tool("read_ticket", {"ticket_id": ticket})).is_error
        deleted = await client.call_tool("delete_ticket", {"ticket_id": ticket})
        assert deleted.structured_content["deleted"]["id"] == ticket
        assert (await client.call_tool("read_ticket", {"ticket_id": ticket})).is_error


@pytest.mark.node
@pytest.mark.parametrize("key", [SUPPORT, ADMIN])
@pytest.mark.parametrize(("sdk", "era"), CLIENTS)
async def test_the_typescript_sdk_sees_and_calls_what_the_key_allows(url: str, sdk: Sdk, era: Era, key: str) -> None:
    # A ticket that does not exist: the administrator's calls reach the server, and change nothing for other tests.
    steps: list[dict[str, Any]] = [
        {"op": "listTools"},
        {"op": "callTool", "name": "delete_ticket", "arguments": {"ticket_id": 99}},
    ]
    listed, deleted = await run_session(url, sdk=sdk, era=era, steps=steps, headers=bearer(key))
    assert [tool["name"] for tool in listed["result"]["tools"]] == TOOLS[key]
    if key == ADMIN:
        assert "There is no ticket 99" in deleted["result"]["content"][0]["text"]
    else:
        assert deleted["error"]["code"] == -32602
        assert "Unknown tool: delete_ticket" in deleted["error"]["message"]


@pytest.mark.parametrize("headers", [{}, bearer("no-key-of-this-example"), {"X-Api-Key": ADMIN}])
async def test_a_caller_without_a_valid_key_gets_401(caller: McpCaller, headers: Mapping[str, str]) -> None:
    reply = await caller.post(call("read_ticket", 1), headers)
    assert (reply.status, reply.headers["WWW-Authenticate"].split()[0]) == (401, "Bearer")


async def test_the_terminal_shows_calls_and_refusals_and_no_key(run: Run, caller: McpCaller) -> None:
    before = len(run.lines)
    for tool in ("read_ticket", "delete_ticket"):
        await caller.post(call(tool, 1), bearer(SUPPORT))
    await run.prints("ok  ", "tickets", "read_ticket", after=before)
    await run.prints("hidden", "tickets", "delete_ticket", "no rule of policy default/tickets-support", after=before)
    assert exposed(run.lines, SUPPORT, ADMIN) == []


async def test_the_command_that_it_shows_works_once_a_key_is_set(run: Run, url: str) -> None:
    first = next(number for number, line in enumerate(run.lines) if line.startswith("  curl "))
    command = "\n".join(run.lines[first : run.lines.index("", first)])
    shown = ["/bin/sh", "-c", f"KEY={shlex.quote(SUPPORT)}\n{command}"]
    answer = json.loads(await asyncio.to_thread(subprocess.check_output, shown, timeout=TIMEOUT_SECONDS))
    assert answer["result"]["structuredContent"]["id"] == 1
    assert run.has_line(f'OSTIARY_KEY="$KEY" ostiary whoami {url}')
    assert run.has_line(f"claude mcp add --transport http tickets {url} --header ", '"Authorization: Bearer $KEY"')


def test_the_tests_in_its_policies_pass(ostiary: Ostiary) -> None:
    answer = ostiary("test", str(EXAMPLE))
    assert (answer.code, "8 tests in 2 policies: all passed" in answer.out) == (0, True), answer.out
