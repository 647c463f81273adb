"""A supervisor ends what hangs, and gives up with a reason where no worker stays alive."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from mcp_clients import eventually

from ostiary_gateway.errors import StartupError
from ostiary_gateway.options import GatewayOptions
from ostiary_gateway.workers import supervisor, worker_process, worker_slot
from ostiary_gateway.workers.supervisor import Supervisor


@asynccontextmanager
async def supervised(directory: Path) -> AsyncIterator[Supervisor]:
    """Two workers without a config yet, which listen."""
    stopping = asyncio.Event()
    found = Supervisor(GatewayOptions(config=directory, port=0, admin_port=0, workers=2, drain_seconds=1.0))
    running = asyncio.create_task(found.run(stopping))

    async def is_up() -> bool:
        assert not running.done(), running.exception()
        return found.is_up

    await eventually(is_up)
    try:
        yield found
    finally:
        stopping.set()
        await running


async def test_a_worker_whose_event_loop_does_not_answer_is_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor, "_CHECK_SECONDS", 0.2)
    monkeypatch.setattr(supervisor, "_CHECK_TIMEOUT", 0.5)
    monkeypatch.setattr(worker_process, "_TRACEBACK_SECONDS", 0.1)
    async with supervised(tmp_path) as found:
        slot = found.slots[1]
        assert slot.pid is not None
        os.kill(slot.pid, signal.SIGSTOP)

        async def is_replaced() -> bool:
            return slot.generation > 0 and slot.ends["hanging"] > 0

        await eventually(is_replaced)
    assert all(each.pid is None for each in found.slots)


async def test_a_gateway_none_of_whose_workers_stays_alive_ends_with_the_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker_process, "_MODULE", "ostiary_gateway.no_such_module")
    monkeypatch.setattr(worker_slot, "_LONGEST_PAUSE", 0.01)
    found = Supervisor(GatewayOptions(config=tmp_path, port=0, admin_port=0, workers=2))
    with pytest.raises(StartupError, match=r"no worker stays alive; worker [01], the last one: exit code 1"):
        await found.run(asyncio.Event())


async def test_a_folder_for_sockets_that_cannot_be_made_is_named_with_the_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "none"))
    found = Supervisor(GatewayOptions(config=tmp_path, port=0, admin_port=0, workers=2))
    with pytest.raises(StartupError, match="Set TMPDIR"):
        await found.run(asyncio.Event())


async def test_a_folder_whose_path_is_too_long_for_a_socket_is_named_with_the_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    long = tmp_path / ("n" * 100)
    long.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(long))
    found = Supervisor(GatewayOptions(config=tmp_path, port=0, admin_port=0, workers=2))
    with pytest.raises(StartupError, match=r"too long.*Set TMPDIR"):
        await found.run(asyncio.Event())
    assert not list(long.iterdir())
