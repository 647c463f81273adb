"""``--workers N``: a worker that the kernel kills under load costs its own callers a call each, and no one else any."""

import asyncio
import json
import os
import re
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import pytest
from gated_scene import RESULT, GatedScene
from gateway_process import GatewayProcess
from limits import limit_config, limiting
from mcp_caller import mcp_caller
from mcp_clients import eventually
from upstreams import Upstream
from worker_gateway import CALL, page, pids, samples, started, total

CALLERS = 16
BOTH_UP = (200, "ok\n2 of 2 workers up\n")
#: What a metric counts, and never takes back.
_COUNTS = re.compile(r"^(\S+?(?:_total|_count|_sum|_bucket)(?:\{.*\})?) (\S+)$", re.MULTILINE)
#: Those of one process: they begin again with the one that takes its place.
_OF_ONE_PROCESS = ("process_", "python_gc_", "ostiary_worker_cpu_seconds_total")


@pytest.fixture
def scene() -> GatedScene:
    return GatedScene()


@dataclass
class Load:
    """A caller with one connection, which calls again and again until that breaks, or it is told to stop."""

    passed: int = 0
    is_broken: bool = False

    async def run(self, gateway: GatewayProcess, stop: asyncio.Event) -> None:
        with suppress(aiohttp.ClientError, ConnectionError):
            async with mcp_caller(f"http://127.0.0.1:{gateway.port}/mock/mcp") as caller:
                while not stop.is_set():
                    assert (await caller.post(CALL)).result == RESULT
                    self.passed += 1
                return
        self.is_broken = True


async def counted(gateway: GatewayProcess) -> dict[str, float]:
    """What all metrics have counted."""
    _, text = await page(gateway, "/metrics")
    return {name: float(value) for name, value in _COUNTS.findall(text) if not name.startswith(_OF_ONE_PROCESS)}


@asynccontextmanager
async def counters_watched(gateway: GatewayProcess) -> AsyncIterator[list[str]]:
    """Read metrics again and again until the block ends; yields those that went back."""
    shrunk: list[str] = []

    async def watch() -> None:
        before = await counted(gateway)
        while True:
            now = await counted(gateway)
            shrunk.extend(f"{name} from {value}" for name, value in before.items() if now.get(name, 0) < value)
            before = now

    watching = asyncio.create_task(watch())
    try:
        yield shrunk
    finally:
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)


async def units_used(gateway: GatewayProcess) -> int:
    """How many calls the limit has counted."""
    [key] = json.loads((await page(gateway, "/limits"))[1])["keys"]
    return int(key["used"])


async def test_a_worker_that_is_killed_under_load_is_replaced_and_no_call_of_another_one_fails(
    tmp_path: Path, upstream: Upstream
) -> None:
    policy = limiting(limit_config(requests=10**6, per=["Gateway"]))
    stop = asyncio.Event()
    async with started(tmp_path, upstream, policies=[policy]) as gateway, counters_watched(gateway) as shrunk:
        loads = [Load() for _ in range(CALLERS)]
        running = [asyncio.create_task(load.run(gateway, stop)) for load in loads]
        await eventually(lambda: all(load.passed > 1 for load in loads))
        [first, _] = before = pids(gateway)
        at_first = (await samples(gateway, "ostiary_worker_connections_open"))['{worker="0"}']
        os.kill(first, signal.SIGKILL)

        async def replaced() -> bool:
            return first not in pids(gateway) and await page(gateway, "/readyz") == BOTH_UP

        await eventually(replaced)
        assert pids(gateway) != before
        late = [Load() for _ in range(CALLERS)]  # some of them reach the one that took its place
        running += [asyncio.create_task(load.run(gateway, stop)) for load in late]
        await eventually(lambda: all(load.passed > 1 for load in late))
        stop.set()
        await asyncio.gather(*running)

        assert sum(load.is_broken for load in loads) == at_first
        assert not any(load.is_broken for load in late)
        assert not shrunk, "\n".join(shrunk)
        passed = sum(load.passed for load in (*loads, *late))
        assert passed <= await units_used(gateway) <= passed + at_first, "its callers may have lost an answer each"

        async def quiet() -> bool:
            names = ("ostiary_requests_in_flight", "ostiary_connections_open")
            return not any([await total(gateway, name) for name in names])

        await eventually(quiet)
        gateway.terminate()
        assert await gateway.ended() == 0
