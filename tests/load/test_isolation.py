"""A server that is dead slows nobody but its own callers (issue 4 §3)."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path

import pytest
from configs import entry
from lean import LeanCaller, at_a_rate, lean_callers, lean_server, listening
from mcp_clients import eventually
from started import started, upstream_at

from ostiary_core.mcp import codes

RATE = 100
CALLS = 200
#: Of a p99 that is a few milliseconds: what a busy machine adds of its own.
NOISE_SECONDS = 0.05


@asynccontextmanager
async def full_backlog() -> AsyncIterator[int]:
    """A port whose queue of connections is full: another is neither taken nor refused."""
    with socket.socket() as listener, ExitStack() as waiting:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(4):
            queued = waiting.enter_context(socket.socket())
            queued.setblocking(False)
            queued.connect_ex(listener.getsockname())
        yield int(listener.getsockname()[1])


async def p99(callers: list[LeanCaller]) -> float:
    """The 99th percentile of some hundred calls, in seconds; none may fail."""
    done = asyncio.Event()
    calling = asyncio.create_task(at_a_rate(callers, rate=RATE, until=done))
    await asyncio.sleep(CALLS / RATE)
    done.set()
    found = await calling
    assert {status for status, _ in found} == {200}
    took = sorted(seconds for _, seconds in found)
    return took[int(len(took) * 0.99) - 1]


@pytest.mark.parametrize("death", ["hangs", "refuses", "does not accept"])
async def test_a_dead_server_does_not_slow_the_others(tmp_path: Path, death: str) -> None:
    hanging: set[asyncio.BaseTransport] = set()

    class Hanging(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            hanging.add(transport)

    async with lean_server() as server, listening(Hanging) as port, full_backlog() as full:
        dead = {"hangs": port, "refuses": 1, "does not accept": full}[death]
        alive = entry("alive", servers=[upstream_at(server.url)])
        gone = upstream_at(f"http://127.0.0.1:{dead}/mcp", connect=1000, request=1000)
        async with (
            started(tmp_path, alive, entry("dead", servers=[gone])) as gateway,
            lean_callers(gateway.port, "alive", 10) as callers,
            lean_callers(gateway.port, "dead", 100) as unlucky,
        ):
            await p99(callers)
            before = await p99(callers)
            done = asyncio.Event()
            in_vain = asyncio.create_task(at_a_rate(unlucky, rate=RATE, until=done))
            if death == "hangs":
                await eventually(lambda: len(hanging) > 20)
            meanwhile = await p99(callers)
            done.set()
            assert {code for code, _ in await in_vain} <= {codes.UPSTREAM_TIMEOUT, codes.UPSTREAM_UNAVAILABLE}
            assert meanwhile < 5 * before + NOISE_SECONDS
        for transport in hanging:
            transport.close()
