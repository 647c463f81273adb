"""Workers of one pod, in this process, behind a load balancer that takes them in turn.

They share what the workers of ``--workers N`` share: memory, a folder with their sockets, keys and config. Two requests
one after the other never reach the same worker.
"""

import os
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

from gateway_replicas import GatewayReplicas, in_turn, load_balancer
from gateways import running_gateway

from ostiary_gateway.options import WorkerOptions
from ostiary_gateway.pod_state.notes_server import NotesServer
from ostiary_gateway.pod_state.shared_memory import create_shared_state

_SHARED_KEYS = ("mac_key", "session_key", "audit_key", "assertion_keys", "credentials")


def worker_options(folder: Path, shared: Mapping[str, int], index: int, *, count: int = 2) -> WorkerOptions:
    """What one of the workers is told."""
    return WorkerOptions(index=index, count=count, folder=folder, shared=shared)


@asynccontextmanager
async def pod_workers(folder: Path, count: int = 2, **options: Any) -> AsyncIterator[GatewayReplicas]:
    """Run so many workers of one pod, which have no config yet, and a load balancer."""
    shared = create_shared_state(workers=count)
    async with AsyncExitStack() as stack:
        for file in shared.values():
            stack.callback(os.close, file)
        notes = NotesServer(folder)
        await notes.start()
        stack.push_async_callback(notes.close)
        gateways = []
        for index in range(count):
            worker = worker_options(folder, shared, index, count=count)
            running = running_gateway(replica=f"pod-w{index}", worker=worker, **options)
            gateways.append(await stack.enter_async_context(running))
        for gateway in gateways[1:]:
            for key in _SHARED_KEYS:
                setattr(gateway, key, getattr(gateways[0], key))
        balancer = await stack.enter_async_context(load_balancer([each.app.port for each in gateways], choice=in_turn))
        yield GatewayReplicas(gateways, balancer)
