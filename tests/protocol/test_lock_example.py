"""The example `lock` as users run it: a calculator that changes its tools after their review."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from fenced_blocks import ROOT
from local_run import running
from mcp_clients import ERAS, Era, connect
from timeouts import TIMEOUT_SECONDS


def _example(folder: Path) -> Path:
    return Path(shutil.copytree(ROOT / "examples" / "lock", folder / "lock"))


def _lock(*arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [str(Path(sys.executable).with_name("ostiary")), "lock", "calc", *arguments]
    environment = {**os.environ, "NO_COLOR": "1"}
    return subprocess.run(
        command, capture_output=True, text=True, timeout=TIMEOUT_SECONDS, check=False, env=environment
    )


@pytest.mark.parametrize("era", ERAS)
async def test_a_tool_that_changes_after_its_review_is_gone_and_cannot_be_called(tmp_path: Path, era: Era) -> None:
    with running(_example(tmp_path)) as run:
        await run.opens()
        async with connect(f"http://localhost:{run.port}/calc/mcp", era=era) as client:
            seen = [[tool.name for tool in (await client.list_tools()).tools] for _ in range(4)]
            called = await client.call_tool("add", {"a": 1, "b": 2})

    assert set(map(tuple, seen)) <= {("add",), ()}
    assert seen[-1] == []
    assert called.is_error


async def test_ostiary_lock_writes_checks_and_merges(tmp_path: Path) -> None:
    folder = _example(tmp_path)
    with running(folder) as run:
        await run.opens()
        url = f"http://localhost:{run.mock_port + 3}/mcp"
        changed = _lock("--check", "--url", url, str(folder))
        while not changed.stdout:
            changed = _lock("--check", "--url", url, str(folder))
        merged = _lock("--merge", "--url", url, "-o", str(folder / "mcplock.yaml"), str(folder))
        after = _lock("--check", "--url", url, str(folder))

    assert changed.returncode == 1
    assert "calc: tool add: description: " in changed.stdout
    assert (merged.returncode, after.returncode, after.stdout) == (0, 0, "")


def test_ostiary_lock_names_what_it_cannot_read(tmp_path: Path) -> None:
    folder = _example(tmp_path)
    assert "known: default/calc" in _lock_of("nothing", str(folder)).stderr
    silent = _lock("--url", "http://127.0.0.1:9/mcp", str(folder))
    assert (silent.returncode, "does not answer" in silent.stderr) == (2, True)


def _lock_of(name: str, folder: str) -> "subprocess.CompletedProcess[str]":
    command = [str(Path(sys.executable).with_name("ostiary")), "lock", name, folder]
    return subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_SECONDS, check=False)
