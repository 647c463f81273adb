"""A hundred hostile callers at their bounds: others are served, the probe is answered, and memory stays bounded.

Nothing here measures the machine: what is counted is how many hostile messages were worked on while another waited.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import pytest
from configs import entry
from gateway_process import GatewayProcess
from mcp_clients import eventually
from minimal_http import MinimalServer, minimal_callers, minimal_server
from ready_gateway import ready_gateway, resident_memory, upstream_at
from wire import connected, post

from ostiary_operator.api.settings import GatewaySettings
from ostiary_operator.compile.gateway_settings import settings_document

CALLERS: Final = 100
SIZE: Final = (4 << 20) - 1024
#: What the chart gives a gateway, in KiB.
LIMIT: Final = 512 * 1024


def call(argument: bytes) -> bytes:
    return (
        b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"get_users","arguments":{"a":%b}}}' % argument
    )


def array(unit: bytes, size: int) -> bytes:
    return b"[" + (unit * (size // len(unit)))[:-1] + b"]"


ATTACKS: Final = {
    "bodies that cost much": call(array(b"[[]],", SIZE)),
    "bodies at the bound of values": call(array(b"{},", 79_000 * 3)),
    "large bodies": call(b'"' + b"x" * SIZE + b'"'),
}


class Attack:
    """Callers that repeat one request; ``answered`` counts the responses."""

    def __init__(self, port: int, body: bytes) -> None:
        self.answered = 0
        self._port = port
        self._request = post("/slow/mcp", body)

    async def go_on(self) -> None:
        while True:
            try:
                async with connected(self._port) as wire:
                    await wire.send(self._request)
                    await wire.reader.readuntil(b"\r\n\r\n")
                    self.answered += 1
            except (OSError, asyncio.IncompleteReadError):
                self.answered += 1  # refused before all of it was taken


@asynccontextmanager
async def attacked(directory: Path, body: bytes, server: MinimalServer) -> AsyncIterator[tuple[GatewayProcess, Attack]]:
    """A gateway under the default bounds, and its hostile callers; what they call does not answer."""
    async with minimal_server() as slow:
        slow.gate.clear()
        proxies = [entry("mock", servers=[upstream_at(server.url)]), entry("slow", servers=[upstream_at(slow.url)])]
        async with ready_gateway(directory, *proxies, bounds=settings_document(GatewaySettings()).bounds) as gateway:
            attack = Attack(gateway.port, body)
            callers = [asyncio.create_task(attack.go_on()) for _ in range(CALLERS)]
            try:
                yield gateway, attack
            finally:
                for each in callers:
                    each.cancel()
                await asyncio.gather(*callers, return_exceptions=True)


@pytest.mark.parametrize("kind", ATTACKS)
async def test_between_hostile_messages_others_are_served_the_probe_is_answered_and_memory_stays_within_the_chart(
    kind: str, tmp_path: Path
) -> None:
    async with minimal_server() as server, attacked(tmp_path, ATTACKS[kind], server) as (gateway, attack):
        await eventually(lambda: attack.answered > 20 or kind != "bodies that cost much")
        async with minimal_callers(gateway.port, "mock", 1) as [caller]:
            for _ in range(20):
                before = attack.answered
                assert await caller.call() == 200
                assert attack.answered - before <= 2 * CALLERS
                assert await probed(gateway) == 200
                assert resident_memory(gateway) < LIMIT


async def probed(gateway: GatewayProcess) -> int:
    """The status of the liveness probe."""
    async with connected(gateway.admin_port) as wire:
        await wire.send(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        return (await wire.head()).status
