"""``--workers N``: real processes count limits together, also where one of them is killed."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest
from configs import ConfigWriter, entry
from gated_scene import RESULT, GatedScene
from gateway_process import GatewayProcess, gateway_process
from gateways import LONG_TIMEOUTS, LOOPBACK
from limits import limit_config, limiting
from mcp_caller import mcp_caller, modern
from mcp_clients import eventually
from upstreams import Upstream
from volumes import swap_in_config

from ostiary_core.contract.documents import PolicyDocument, ServerConfig

CALL = modern("tools/call", {"name": "get_users", "arguments": {}})


@pytest.fixture
def scene() -> GatedScene:
    return GatedScene()


@asynccontextmanager
async def started(directory: Path, upstream: Upstream, policy: PolicyDocument) -> AsyncIterator[GatewayProcess]:
    """A gateway of two workers with a policy, ready."""
    operator = ConfigWriter()
    server = ServerConfig(name="up", url=upstream.url, timeouts=LONG_TIMEOUTS, addresses=LOOPBACK)
    files = operator.files(entry("mock", [policy], servers=[server]), policies=[policy])
    swap_in_config(directory, files, secret=operator.secret)
    async with gateway_process(directory, workers=2) as gateway:

        async def ready() -> bool:
            url = f"http://127.0.0.1:{gateway.admin_port}/readyz"
            async with aiohttp.ClientSession() as http, http.get(url) as response:
                return (await response.text()) == "ok\n2 of 2 workers up\n"

        await eventually(ready)
        yield gateway


def worker_pids(gateway: GatewayProcess) -> list[int]:
    found = Path(f"/proc/{gateway.process.pid}/task/{gateway.process.pid}/children").read_text()
    return [int(pid) for pid in found.split()]


async def passes(gateway: GatewayProcess) -> bool:
    """Whether a call over a connection of its own passes."""
    async with mcp_caller(f"http://127.0.0.1:{gateway.port}/mock/mcp") as caller:
        return bool((await caller.post(CALL)).result == RESULT)


async def test_a_limit_lets_exactly_its_amount_through_whatever_comes_at_once(
    tmp_path: Path, upstream: Upstream
) -> None:
    async with started(tmp_path, upstream, limiting(limit_config(requests=25, per=["Gateway"]))) as gateway:
        passed = [result for _ in range(4) for result in await asyncio.gather(*(passes(gateway) for _ in range(10)))]
        assert sum(passed) == 25


async def test_requests_in_flight_of_a_worker_that_is_killed_count_no_more(
    tmp_path: Path, upstream: Upstream, scene: GatedScene
) -> None:
    async with started(tmp_path, upstream, limiting(limit_config(concurrency=4, per=["Gateway"]))) as gateway:
        scene.gate.clear()
        waiting = [asyncio.create_task(passes(gateway)) for _ in range(4)]
        await eventually(lambda: upstream.count("tools/call") == 4)
        assert not await passes(gateway)
        for pid in worker_pids(gateway):
            os.kill(pid, signal.SIGKILL)
        await asyncio.gather(*waiting, return_exceptions=True)
        scene.gate.set()

        async def all_pass() -> bool:
            found = await asyncio.gather(*(passes(gateway) for _ in range(4)), return_exceptions=True)
            return found == [True] * 4

        await eventually(all_pass)
