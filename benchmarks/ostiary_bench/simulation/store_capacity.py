"""What limits cost the shared store: the gateway's own counters and script at a real Redis.

The processor time is the store's own account of it, so other work on the machine does not change it.
"""

import asyncio
import shutil
import socket
import tempfile
import time
from collections.abc import Awaitable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from ostiary_bench.simulation.lease_traffic import daily_quota
from ostiary_core.contract.limit_store import LimitStoreConfig, RedisConfig
from ostiary_core.limits.charge import Charge
from ostiary_core.secret_bytes import SecretBytes
from ostiary_gateway.errors import CredentialMissing
from ostiary_gateway.policy_limits.local_counters import LocalCounters
from ostiary_gateway.policy_limits.shared_counters import SharedCounters
from ostiary_tools.common.ports import reserve_port
from ostiary_tools.common.processes import Process, wait_until

_CALLS: Final = 20_000
_AT_ONCE: Final = 64
_TIMEOUT_MS: Final = 10_000


def measure() -> float | None:
    """Return the store's processor time for a message about two counters, in µs; None where there is no Redis."""
    with running_redis() as port:
        if port is None:
            return None
        before = cpu(port)
        asyncio.run(_take(port, range(_CALLS), limits=2))
        return (cpu(port) - before) / _CALLS * 1e6


@contextmanager
def running_redis() -> Iterator[int | None]:
    """Run a Redis and yield its port; None where none is installed."""
    server = shutil.which("redis-server")
    if server is None:
        yield None
        return
    port = reserve_port()
    with tempfile.TemporaryDirectory() as directory:
        options = ["--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", directory]
        process = Process("redis", [server, *options], log=Path(directory) / "redis.log")
        try:
            wait_until(lambda: cpu(port) > 0, what="Redis", processes=[process])
            yield port
        finally:
            process.stop(grace=5)


async def _take(port: int, callers: Iterable[int], *, limits: int) -> None:
    """Take of counters of its own for each caller, so that each call needs a message."""
    counters = SharedCounters(LocalCounters(), replica="simulation", credential=_no_credential)
    redis = RedisConfig(mode="Standalone", addresses=[f"127.0.0.1:{port}"])
    counters.configure(LimitStoreConfig(redis=redis, timeout=_TIMEOUT_MS, leases="Off"))
    quotas = [daily_quota(f"daily-{number}") for number in range(limits)]
    waiting = iter(callers)

    async def call() -> None:
        for number in waiting:
            charges = [Charge(limit, f"{limit.uid}/{limit.name}/caller-{number}", 1) for limit in quotas]
            taken = counters.take(charges, time.time())
            if isinstance(taken, Awaitable):
                await taken

    await asyncio.gather(*(call() for _ in range(_AT_ONCE)))
    await counters.close()


def _no_credential(name: str) -> SecretBytes:
    raise CredentialMissing(name)


def cpu(port: int) -> float:
    """Return the processor time that Redis has used, in seconds; 0 before it answers."""
    return info(port, "cpu", "used_cpu_user") + info(port, "cpu", "used_cpu_sys")


def info(port: int, section: str, name: str) -> float:
    """Return a figure that Redis tells of itself; 0 before it answers."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
            connection.sendall(f"INFO {section}\r\nQUIT\r\n".encode())
            text = b"".join(iter(lambda: connection.recv(65536), b""))
    except OSError:
        return 0.0
    found = dict(line.split(":", 1) for line in text.decode().splitlines() if ":" in line)
    return float(found.get(name, 0))
