"""Replicas that share keys and reach each other at real ports: what waits in one is answered at another."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

from aiohttp import web

from ostiary_gateway.pipeline.continuations.continuations import Continuations
from ostiary_gateway.pipeline.continuations.hop_endpoint import HopEndpoint
from ostiary_gateway.pipeline.continuations.hop_frames import PATH
from ostiary_gateway.pipeline.continuations.replica_hops import ReplicaHops
from ostiary_gateway.seal import Sealer

KEYS: Mapping[int, bytes] = {1: b"k" * 32}
LIMIT = 4 * 1024 * 1024


@dataclass
class HopReplica:
    """One replica: what waits in it, and its port for others."""

    continuations: Continuations
    runner: web.AppRunner

    @property
    def url(self) -> str:
        """Where it takes answers of other replicas."""
        return f"http://{self.continuations.address}{PATH}"


@asynccontextmanager
async def hop_replica(keys: Mapping[int, bytes] = KEYS) -> AsyncIterator[HopReplica]:
    """One replica with these keys."""
    sealer = Sealer(lambda: keys)
    hops = ReplicaHops(sealer, limit=lambda: LIMIT)
    continuations = Continuations(sealer, hops=hops)
    app = web.Application()
    app.add_routes([HopEndpoint(sealer, continuations, limit=lambda: LIMIT).route])
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0, handler_cancellation=True)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    continuations.address = f"127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield HopReplica(continuations, runner)
    finally:
        continuations.close()
        await hops.close()
        await runner.cleanup()
