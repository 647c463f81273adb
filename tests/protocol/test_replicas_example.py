"""The example `replicas` as users run it: three replicas, of which any may be killed while agents call."""

import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from fenced_blocks import ROOT
from local_run import Run, running
from mcp_caller import mcp_caller, modern
from mcp_clients import ERAS, Era, connect, eventually

EXAMPLE = ROOT / "examples" / "replicas"
#: How far the ports of the replicas are from MOCK_PORT.
OFFSETS = (0, 4, 5)


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    folder = shutil.copytree(EXAMPLE, tmp_path_factory.mktemp("run") / "replicas")
    with running(Path(folder)) as run:
        yield run


@pytest.fixture
async def url(started: Run) -> str:
    await started.opens()
    return f"http://localhost:{started.port}/pool/mcp"


async def kill_replica(run: Run, offset: int) -> None:
    """Kill the process of a replica without notice, by the port that it was told."""
    wanted = ["ostiary_operator.demo.mock_server", "--port", str(run.mock_port + offset)]

    def found() -> list[int]:
        folders = [each for each in Path("/proc").iterdir() if each.name.isdecimal()]
        return [int(each.name) for each in folders if _arguments(each)[-5:-2] == wanted]

    await eventually(lambda: bool(found()))  # an earlier test may have killed it, so that it is on its way
    os.kill(found()[0], signal.SIGKILL)


def _arguments(process: Path) -> list[str]:
    try:
        return (process / "cmdline").read_bytes().decode().split("\0")[:-1]
    except OSError:  # it has ended meanwhile
        return []


@pytest.mark.parametrize("era", ERAS)
async def test_agents_do_not_notice_that_a_replica_is_killed(started: Run, url: str, era: Era) -> None:
    async with connect(url, era=era) as client:
        tools = (await client.list_tools()).tools
        for offset in OFFSETS:
            before = len(started.lines)
            await kill_replica(started, offset)
            for _ in range(20):
                assert not (await client.call_tool("get_users", {})).is_error
                assert len((await client.list_tools()).tools) == len(tools)
            await started.prints("replica" if offset else "the mock MCP server", "is back at", after=before)


async def test_without_any_replica_calls_fail_at_once_as_soon_as_the_circuit_is_open(tmp_path: Path) -> None:
    folder = Path(shutil.copytree(EXAMPLE, tmp_path / "replicas"))
    with running(folder, "--no-mock-server") as run:
        await run.opens()
        async with mcp_caller(f"http://localhost:{run.port}/pool/mcp") as caller:
            replies = [await caller.post(modern("tools/call", {"name": "get_users"})) for _ in range(25)]
    reasons = [reply.error["data"]["reason"] for reply in replies]
    assert reasons == ["UpstreamUnreachable"] * 20 + ["CircuitOpen"] * 5
    assert 0 < replies[-1].error["data"]["retryAfterMs"] <= 10_000
