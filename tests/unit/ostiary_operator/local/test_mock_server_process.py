import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from mcp_clients import connect, eventually

from ostiary_operator.local.mock_server_process import MockServerError, MockServerProcess


def lives(pid: int) -> bool:
    """Whether a process runs; one that ended and was not waited for yet does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.fixture
async def mock() -> AsyncIterator[tuple[MockServerProcess, list[str]]]:
    output: list[str] = []
    server = MockServerProcess(0, say=output.append)
    await server.start()
    yield server, output
    await server.stop()


async def test_it_answers_and_ends_with_its_parent(mock: tuple[MockServerProcess, list[str]]) -> None:
    server, output = mock
    async with connect(server.url, era="modern") as client:
        assert len((await client.list_tools()).tools) == 15
    pid = server.pid
    await server.stop()
    assert pid is not None
    assert not lives(pid)
    assert output == []


async def test_it_comes_back_at_the_same_port_when_it_dies(mock: tuple[MockServerProcess, list[str]]) -> None:
    server, output = mock
    url, pid = server.url, server.pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    await eventually(lambda: len(output) == 2)
    assert output == [
        "the mock MCP server ended (killed by SIGKILL); starting it again",
        f"the mock MCP server is back at {url}",
    ]
    async with connect(url, era="legacy") as client:
        assert (await client.call_tool("echo", {"message": "hi"})).structured_content == {"message": "hi"}


async def test_a_port_in_use_has_an_error_message_of_its_own() -> None:
    listener = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0)
    port = listener.sockets[0].getsockname()[1]
    server = MockServerProcess(port, say=lambda _: None)
    with pytest.raises(MockServerError, match=f"cannot listen on 127.0.0.1, port {port}: Address already in use"):
        await server.start()
    await server.stop()
    listener.close()
    await listener.wait_closed()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux ties a child to its parent's life")
async def test_it_dies_with_a_parent_that_is_killed() -> None:
    pid = await asyncio.to_thread(orphan)
    await eventually(lambda: not lives(pid))


def orphan() -> int:
    """Start a process that starts a mock server, and kill it. Returns the mock server's process id."""
    code = """
import asyncio
from ostiary_operator.local.mock_server_process import MockServerProcess
async def main():
    server = MockServerProcess(0, say=print)
    await server.start()
    print(server.pid, flush=True)
    await asyncio.Event().wait()
asyncio.run(main())
"""
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    with parent, parent.stdout:
        pid = int(parent.stdout.readline())
        assert lives(pid)
        parent.kill()
    return pid
