"""A server that is down delays only its own callers."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path

from configs import entry
from mcp_clients import eventually
from minimal_http import MinimalCaller, call_at_rate, minimal_callers, minimal_server, tcp_server
from ready_gateway import ready_gateway, upstream_at

from ostiary_core.mcp import codes

RATE = 100
CALLS = 200
#: How long callers of a dead server wait. Any other caller that is blocked by them would wait as long.
DEAD_SECONDS = 2.0


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


async def p99(callers: list[MinimalCaller]) -> float:
    """The 99th percentile of some hundred calls, in seconds; none may fail."""
    done = asyncio.Event()
    calling = asyncio.create_task(call_at_rate(callers, rate=RATE, until=done))
    await asyncio.sleep(CALLS / RATE)
    done.set()
    found = await calling
    assert {status for status, _ in found} == {200}
    took = sorted(seconds for _, seconds in found)
    return took[int(len(took) * 0.99) - 1]


class Hanging:
    """A server that takes connections and says nothing."""

    def __init__(self) -> None:
        self.connections: set[asyncio.BaseTransport] = set()

    def __call__(self) -> asyncio.Protocol:
        connections = self.connections

        class Silent(asyncio.Protocol):
            def connection_made(self, transport: asyncio.BaseTransport) -> None:
                connections.add(transport)

        return Silent()

    def close(self) -> None:
        for transport in self.connections:
            transport.close()


@asynccontextmanager
async def calling_dead_servers(callers: list[MinimalCaller]) -> AsyncIterator[None]:
    """A hundred calls a second to a dead server, each of which must get an error."""
    done = asyncio.Event()
    in_vain = asyncio.create_task(call_at_rate(callers, rate=RATE, until=done))
    yield
    done.set()
    assert {code for code, _ in await in_vain} <= {codes.UPSTREAM_TIMEOUT, codes.UPSTREAM_UNAVAILABLE}


async def test_a_dead_server_does_not_slow_the_others(tmp_path: Path) -> None:
    hanging = Hanging()
    async with minimal_server() as server, tcp_server(hanging) as silent, full_backlog() as full:
        ports = {"hangs": silent, "refuses": 1, "accepts-none": full}
        gone = [
            entry(
                name,
                servers=[
                    upstream_at(
                        f"http://127.0.0.1:{port}/mcp",
                        connect=int(DEAD_SECONDS * 1000),
                        request=int(DEAD_SECONDS * 1000),
                    )
                ],
            )
            for name, port in ports.items()
        ]
        async with (
            ready_gateway(tmp_path, entry("alive", servers=[upstream_at(server.url)]), *gone) as gateway,
            minimal_callers(gateway.port, "alive", 10) as callers,
        ):
            await p99(callers)
            before, loaded = await p99(callers), {}
            for name in ports:
                async with minimal_callers(gateway.port, name, 100) as unlucky, calling_dead_servers(unlucky):
                    if name == "hangs":
                        await eventually(lambda: len(hanging.connections) > 20)
                    loaded[name] = await p99(callers)
            assert max(loaded.values()) < 5 * before + DEAD_SECONDS / 2, (before, loaded)
        hanging.close()
