"""A gateway of several workers as real processes (``--workers``), and what its admin port says of them.

async with started(directory, upstream, workers=2) as gateway, callers_of_each_worker(gateway) as callers: …
"""

import re
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
from configs import ConfigWriter, entry
from gated_scene import RESULT
from gateway_process import GatewayProcess, gateway_process
from gateways import LONG_TIMEOUTS, LOOPBACK
from mcp_caller import McpCaller, mcp_caller, modern
from mcp_clients import eventually
from upstreams import Upstream
from volumes import swap_in_config

from ostiary_core.contract.documents import PolicyDocument, ServerConfig

CALL = modern("tools/call", {"name": "get_users", "arguments": {}})
ADMIN = {"Authorization": "Bearer admin-for-tests"}


@asynccontextmanager
async def started(
    directory: Path,
    upstream: Upstream,
    *,
    workers: int = 2,
    operator: ConfigWriter | None = None,
    policies: Sequence[PolicyDocument] = (),
    **options: Any,
) -> AsyncIterator[GatewayProcess]:
    """A gateway of several workers in front of the upstream, ready."""
    operator = operator or ConfigWriter()
    server = ServerConfig(name="up", url=upstream.url, timeouts=LONG_TIMEOUTS, addresses=LOOPBACK)
    files = operator.files(entry("mock", policies, servers=[server]), policies=policies)
    swap_in_config(directory, files, secret=operator.secret)
    async with gateway_process(directory, workers=workers, **options) as gateway:

        async def ready() -> bool:
            return (await page(gateway, "/readyz"))[0] == 200

        await eventually(ready)
        yield gateway


async def page(gateway: GatewayProcess, path: str, **headers: str) -> tuple[int, str]:
    """What the admin port answers."""
    async with (
        aiohttp.ClientSession() as http,
        http.get(f"http://127.0.0.1:{gateway.admin_port}{path}", headers={**ADMIN, **headers}) as response,
    ):
        return response.status, await response.text()


async def samples(gateway: GatewayProcess, name: str) -> dict[str, float]:
    """The samples of a metric by their labels, as text."""
    _, text = await page(gateway, "/metrics")
    lines = re.findall(rf"^{name}(\{{.*\}})? (\S+)$", text, re.MULTILINE)
    return {labels: float(value) for labels, value in lines}


async def total(gateway: GatewayProcess, name: str) -> float:
    """The sum of a metric's samples."""
    return sum((await samples(gateway, name)).values())


@asynccontextmanager
async def callers_of_each_worker(gateway: GatewayProcess) -> AsyncIterator[list[McpCaller]]:
    """Callers whose connections are at every worker: the kernel spreads them, so more come until that is so."""
    async with AsyncExitStack() as stack:
        callers: list[McpCaller] = []

        async def everywhere() -> bool:
            caller = await stack.enter_async_context(mcp_caller(f"http://127.0.0.1:{gateway.port}/mock/mcp"))
            assert (await caller.post(CALL)).result == RESULT
            callers.append(caller)
            at = await samples(gateway, "ostiary_worker_connections_open")
            return len(at) == len(pids(gateway)) and all(at.values())

        await eventually(everywhere)
        yield callers


def pids(gateway: GatewayProcess) -> list[int]:
    """The processes that the supervisor started."""
    found = Path(f"/proc/{gateway.process.pid}/task/{gateway.process.pid}/children").read_text()
    return [int(pid) for pid in found.split()]
