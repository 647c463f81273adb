"""A gateway in a process of its own with the config of the test, ready; and its memory.

async with ready_gateway(directory, entry("mock", servers=[upstream_at(url)])) as gateway:
    gateway.port ; gateway.terminate() ; resident_memory(gateway)
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Protocol

from configs import ConfigWriter, settings
from gateway_process import GatewayProcess, gateway_process
from gateways import BOUNDS, LOOPBACK
from mcp_clients import eventually
from volumes import swap_in_config

from ostiary_core.contract.bounds import BoundsConfig
from ostiary_core.contract.documents import EntryDocument, ServerConfig, TimeoutsConfig


class HasAdminPort(Protocol):
    """A gateway, however it was started."""

    admin_port: int


def upstream_at(url: str, *, connect: int = 5000, request: int = 30_000, idle: int = 30_000) -> ServerConfig:
    """A server on loopback; timeouts in milliseconds."""
    timeouts = TimeoutsConfig(connect=connect, request=request, idle=idle)
    return ServerConfig(name="up", url=url, timeouts=timeouts, addresses=LOOPBACK)


@asynccontextmanager
async def ready_gateway(
    directory: Path, *entries: EntryDocument, bounds: BoundsConfig = BOUNDS, drain: float = 5.0, delay: float = 0.0
) -> AsyncIterator[GatewayProcess]:
    """Run a gateway and wait until it is ready."""
    operator = ConfigWriter()
    documents = operator.files(*entries, settings=settings().model_copy(update={"bounds": bounds}))
    swap_in_config(directory, documents, secret=operator.secret)
    async with gateway_process(directory, drain_seconds=drain, drain_delay_seconds=delay) as gateway:

        async def ready() -> bool:
            return await readiness(gateway) == 200

        await eventually(ready)
        yield gateway


async def readiness(gateway: HasAdminPort) -> int:
    """The status of /readyz."""
    reader, writer = await asyncio.open_connection("127.0.0.1", gateway.admin_port)
    writer.write(b"GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    try:
        return int((await reader.readline()).split()[1])
    finally:
        writer.close()


def resident_memory(gateway: GatewayProcess) -> float:
    """The memory of the process, in KiB."""
    lines = Path(f"/proc/{gateway.process.pid}/status").read_text().splitlines()
    return next(float(line.split()[1]) for line in lines if line.startswith("VmRSS"))
