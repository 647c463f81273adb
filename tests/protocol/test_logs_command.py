"""`ostiary logs` shows exchanges of an `ostiary run`, and of a gateway whose admin port is named."""

import asyncio
import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from command_line import CommandResult, Ostiary, ostiary_command
from gateways import RunningGateway
from local_run import Run, running_before
from mcp_caller import mcp_caller, modern
from mcp_clients import connect, eventually

from ostiary_core.contract.debug_capture import DebugCaptureConfig

PROXY = """\
apiVersion: ostiary.dev/v1alpha1
kind: MCPProxy
metadata: {name: mock}
spec:
  path: /mock-mcp-server
  servers: [{name: mock, url: "http://localhost:7878/mcp"}]
"""
END = (datetime.now(UTC) + timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")


@pytest.fixture
def ostiary(capsys: pytest.CaptureFixture[str]) -> Ostiary:
    return ostiary_command(capsys)


@pytest.fixture
def run(mock: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Run]:
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "mcpproxy.yaml").write_text(f'{PROXY}  debugCapture: {{until: "{END}"}}\n')
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "no-kubeconfig"))
    with running_before(mock, folder) as started:
        yield started


@pytest.fixture
async def token(gateway: RunningGateway, mock: str, tmp_path: Path) -> str:
    """The file with the token of a gateway that captures the proxy `mock`."""
    config = DebugCaptureConfig.model_validate({"until": int(time.time() + 3600) * 1000, "contents": "Redacted"})
    await gateway.apply(gateway.entry("mock", mock, debug_capture=config), gateway.entry("other", mock))
    file = tmp_path / "token"
    file.write_text("admin-for-tests\n")
    return str(file)


async def test_a_run_on_this_machine_is_found_and_its_exchanges_are_shown_as_a_person_reads_them(
    run: Run, ostiary: Ostiary
) -> None:
    await run.opens()
    async with connect(run.url, era="modern") as client:
        await client.call_tool("echo", {"message": "hello", "password": "pass-canary"})
    done = await asyncio.to_thread(ostiary, "logs", "mock")

    assert done.code == 0, done.err
    lines = done.out.splitlines()
    head = next(line for line in lines if "tools/call echo" in line)
    assert "anonymous > server  tools/call echo  ok  " in head
    assert '              arguments {"message": "hello", "password": "[redacted]"}' in lines
    assert "pass-canary" not in done.out
    assert "goes on until" in done.err


async def test_a_proxy_of_a_run_without_a_capture_is_told_how_to_begin_one(run: Run, ostiary: Ostiary) -> None:
    await run.opens()
    done = await asyncio.to_thread(ostiary, "logs", "another", "--local")
    assert (done.code, done.out) == (1, "")
    assert "MCPProxy default/another has no debug capture. Add to its spec" in done.err


async def test_an_object_per_line_has_every_field(gateway: RunningGateway, token: str, ostiary: Ostiary) -> None:
    async with mcp_caller(gateway.url()) as caller:
        await caller.post(modern("tools/call", {"name": "echo", "arguments": {"message": "hello"}}))
    done = await logs(gateway, token, ostiary, "-o", "json", "--since", "1h")
    (record,) = [json.loads(line) for line in done.out.splitlines()]

    assert (record["kind"], record["method"], record["name"]) == ("Exchange", "tools/call", "echo")
    assert record["replica"] == f"http://127.0.0.1:{gateway.app.admin_port}"


async def test_following_ends_with_the_capture(
    gateway: RunningGateway, mock: str, token: str, ostiary: Ostiary
) -> None:
    following = asyncio.create_task(logs(gateway, token, ostiary, "-f"))
    async with mcp_caller(gateway.url()) as caller:
        await caller.post(modern("tools/call", {"name": "echo", "arguments": {"message": "hello"}}))
    ring = next(iter(gateway.app.pipeline.captures)).ring
    await eventually(lambda: bool(ring._waiting._events))
    await gateway.apply(gateway.entry("mock", mock))
    done = await following

    assert done.code == 0
    assert "tools/call echo" in done.out
    assert "the capture has ended (Removed)" in done.err


async def test_a_wrong_token_and_an_unreachable_port_are_told_apart(
    gateway: RunningGateway, token: str, ostiary: Ostiary
) -> None:
    wrong = Path(token).with_name("wrong")
    wrong.write_text("wrong-token")
    refused = await logs(gateway, str(wrong), ostiary)
    assert (refused.code, "refuses the token with 401" in refused.err) == (2, True)

    silent = await asyncio.to_thread(ostiary, "logs", "mock", "--admin", "http://127.0.0.1:1", "--token-file", token)
    assert (silent.code, "Connection refused" in silent.err) == (2, True)


@pytest.mark.parametrize("content", ["", "two\nlines", "ü"])
async def test_a_file_without_a_token_is_named(
    gateway: RunningGateway, tmp_path: Path, ostiary: Ostiary, content: str
) -> None:
    file = tmp_path / "no-token"
    file.write_text(content)
    done = await logs(gateway, str(file), ostiary)
    assert (done.code, "does not hold one token" in done.err) == (2, True)


async def logs(gateway: RunningGateway, token: str, ostiary: Ostiary, *more: str) -> CommandResult:
    url = f"http://127.0.0.1:{gateway.app.admin_port}"
    return await asyncio.to_thread(ostiary, "logs", "mock", "--admin", url, "--token-file", token, *more)
