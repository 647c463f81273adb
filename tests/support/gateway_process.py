"""A gateway as a process of its own, for what only a signal can show.

async with gateway_process(directory) as gateway:
    gateway.port, gateway.admin_port, gateway.terminate(), await gateway.ended()
"""

import asyncio
import os
import re
import resource
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from timeouts import TIMEOUT_SECONDS

_PROGRAM = """
import os
import sys
from pathlib import Path
from ostiary_gateway.process import run
from ostiary_gateway.options import AuditOptions, GatewayOptions
directory, drain, delay, audit_file, workers = sys.argv[1:]
options = GatewayOptions(config=Path(directory), port=0, admin_port=0, drain_seconds=float(drain),
                         drain_delay_seconds=float(delay), workers=int(workers),
                         http_server=os.environ.get("HTTP_SERVER", "llhttp"),
                         audit=AuditOptions(file=Path(audit_file) if audit_file else None))
sys.exit(run(options))
"""
_ANNOUNCED = re.compile(r"data port \S+:(\d+), admin port \S+:(\d+)")


@dataclass
class GatewayProcess:
    """A running gateway, and what it has said."""

    process: asyncio.subprocess.Process
    port: int = 0
    admin_port: int = 0
    log: str = ""

    def terminate(self) -> None:
        """Send SIGTERM, as the kubelet does."""
        self.process.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """Send SIGKILL, as the kernel does where memory is short."""
        self.process.kill()

    def fill_disk_at(self, size: int) -> None:
        """Refuse to let a file of the process grow beyond this many bytes; -1 lifts that again."""
        _, most = resource.prlimit(self.process.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(self.process.pid, resource.RLIMIT_FSIZE, (size, most))

    async def ended(self, *, seconds: float = TIMEOUT_SECONDS) -> int:
        """Wait for the end and return the exit code."""
        async with asyncio.timeout(seconds):
            return await self.process.wait()


@asynccontextmanager
async def gateway_process(
    directory: Path,
    *,
    drain_seconds: float = 5.0,
    drain_delay_seconds: float = 0.0,
    audit_file: Path | None = None,
    workers: int = 1,
    stdout: int | None = None,
) -> AsyncIterator[GatewayProcess]:
    """Run a gateway on free ports of loopback with the config in this directory.

    With ``workers`` it is that many processes, of which the supervisor is ``process``. ``audit_file`` is its own file
    for audit records, ``stdout`` a descriptor in place of the test's standard output.
    """
    environment = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", _PROGRAM, str(directory), str(drain_seconds), str(drain_delay_seconds)),
        str(audit_file or ""),
        str(workers),
        stdout=stdout,
        stderr=asyncio.subprocess.PIPE,
        env=environment | {"OTEL_SDK_DISABLED": "true"},
    )
    gateway = GatewayProcess(process)
    reading: asyncio.Task[None] | None = None
    try:
        async with asyncio.timeout(TIMEOUT_SECONDS):
            await _read_until_announced(gateway)
        reading = asyncio.create_task(_read_on(gateway))
        yield gateway
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
        if reading is not None:
            await reading


async def _read_until_announced(gateway: GatewayProcess) -> None:
    assert gateway.process.stderr is not None
    while not gateway.port:
        line = (await gateway.process.stderr.readline()).decode()
        assert line, f"the gateway ended: {gateway.log}"
        gateway.log += line
        if (found := _ANNOUNCED.search(line)) is not None:
            gateway.port, gateway.admin_port = int(found[1]), int(found[2])


async def _read_on(gateway: GatewayProcess) -> None:
    assert gateway.process.stderr is not None
    async for line in gateway.process.stderr:
        gateway.log += line.decode()
