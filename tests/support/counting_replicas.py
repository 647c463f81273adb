"""Replicas of a stateful server on the official SDK, each a process, behind gateways that know them as endpoints.

async with counting_replicas(gateways, number=3) as replicas:
    await gateway.apply(replicas.entry(gateway))
    await replicas.roll()            # one after the other is replaced, as a Deployment does
    await replicas.kill("r1")
"""

import asyncio
import signal
import socket
import sys
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

from endpoint_scenes import RETRY, URL
from gateways import RunningGateway
from mcp_clients import eventually

from ostiary_core.contract.documents import EntryDocument, PolicyDocument
from ostiary_core.contract.server_resilience import EndpointConfig
from ostiary_gateway.upstream.endpoint_place import EndpointPlace
from ostiary_operator.demo.served_eras import ServedEras
from ostiary_tools.common.ports import reserve_port

_SCRIPT = Path(__file__).with_name("counting_server.py")


@dataclass(slots=True)
class CountingReplica:
    """One process. ``is_draining`` once it is about to be stopped."""

    name: str
    port: int
    process: asyncio.subprocess.Process
    is_draining: bool = False

    @property
    def place(self) -> EndpointPlace:
        """What its Service's slices would say of it."""
        return EndpointPlace("127.0.0.1", self.port, identity=self.name, is_draining=self.is_draining)

    def is_listening(self) -> bool:
        """Whether it takes connections."""
        assert self.process.returncode is None, f"{self.name} ended with {self.process.returncode}"
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0


class CountingReplicas:
    """The processes that run now, and the gateways that are told of them."""

    def __init__(self, gateways: Iterable[RunningGateway], era: ServedEras) -> None:
        self.running: dict[str, CountingReplica] = {}
        self._gateways = list(gateways)
        self._era = era
        self._names = (f"r{number}" for number in count(1))

    async def start(self) -> CountingReplica:
        """Start one more process, and wait until it serves."""
        name, port = next(self._names), reserve_port()
        process = await asyncio.create_subprocess_exec(
            sys.executable, str(_SCRIPT), name, str(port), "--era", self._era.value
        )
        replica = self.running[name] = CountingReplica(name, port, process)
        await eventually(replica.is_listening)
        return replica

    async def stop(self, name: str) -> None:
        """End a process as Kubernetes does: it drains first, then gets SIGTERM, then it is gone."""
        replica = self.running[name]
        replica.is_draining = True
        self.tell()
        replica.process.send_signal(signal.SIGTERM)
        await replica.process.wait()
        del self.running[name]
        self.tell()

    async def kill(self, name: str, *, is_told: bool = True) -> None:
        """End a process at once; the gateways find that out unless they are told."""
        replica = self.running.pop(name)
        replica.process.kill()
        await replica.process.wait()
        if is_told:
            self.tell()

    async def roll(self) -> None:
        """Replace every process, one after the other."""
        for name in list(self.running):
            await self.start()
            self.tell()
            await self.stop(name)

    def tell(self) -> None:
        """Tell the gateways which endpoints there are now."""
        for gateway in self._gateways:
            snapshot = gateway.app.store.snapshot
            for proxy in snapshot.proxies.values() if snapshot is not None else ():
                for server in proxy.servers:
                    if server.endpoints is not None:
                        server.endpoints.set_places([each.place for each in self.running.values()])

    def entry(
        self, gateway: Any, policies: tuple[PolicyDocument, ...] = (), **more: Any
    ) -> tuple[EntryDocument, dict[str, PolicyDocument]]:
        """A proxy with one server that has these endpoints."""
        places = [EndpointConfig(address="127.0.0.1", port=each.port) for each in self.running.values()]
        server = {"host": "127.0.0.1:80", "endpoints": places, "retry": RETRY}
        found: tuple[EntryDocument, dict[str, PolicyDocument]] = gateway.entry(
            "mock", URL, policies, server=server, **more
        )
        return found


@asynccontextmanager
async def counting_replicas(
    gateways: Iterable[RunningGateway], *, number: int = 3, era: ServedEras = ServedEras.BOTH
) -> AsyncIterator[CountingReplicas]:
    """Run so many processes; all that are left are killed at the end."""
    replicas = CountingReplicas(gateways, era)
    try:
        await asyncio.gather(*(replicas.start() for _ in range(number)))
        yield replicas
    finally:
        for each in replicas.running.values():
            each.process.kill()
        await asyncio.gather(*(each.process.wait() for each in replicas.running.values()))
