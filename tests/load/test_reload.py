"""200 reloads under 500 calls a second fail no call and drop no stream."""

import asyncio
from typing import Any

from gateways import RunningGateway, policy
from mcp_clients import eventually
from minimal_http import call_at_rate, minimal_callers, minimal_server
from timeouts import TIMEOUT_SECONDS
from wire import Wire, connected

ALLOW: dict[str, Any] = {"name": "all", "effect": "Allow", "tools": {"names": ["*"]}, "resources": {"names": ["*"]}}
GET = b"GET /%b/mcp HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n"
EVENT = b'data: {"jsonrpc":"2.0","method":"notifications/tools/list_changed"}\n\n'
RELOADS = 200


async def opened(wire: Wire, proxy: bytes) -> None:
    await wire.send(GET % proxy)
    assert (await wire.head()).status == 200


async def test_two_hundred_reloads_under_load_fail_no_call_and_drop_no_stream(gateway: RunningGateway) -> None:
    done = asyncio.Event()
    async with minimal_server() as server, connected(gateway.app.port) as gets, connected(gateway.app.port) as other:
        untouched = gateway.entry("untouched", server.url, [policy("p", ALLOW)])
        await gateway.apply(gateway.entry("mock", server.url), untouched)
        await opened(gets, b"untouched")
        await opened(other, b"mock")  # its entry changes each time, and allows it each time
        async with minimal_callers(gateway.app.port, "mock", 20) as callers:
            calling = asyncio.create_task(call_at_rate(callers, rate=500, until=done))
            for number in range(RELOADS):
                deny = {"name": f"n{number}", "effect": "Deny", "tools": {"names": [f"x{number}"]}}
                await gateway.apply(gateway.entry("mock", server.url, [policy("p", ALLOW, deny)]), untouched)
                await asyncio.sleep(0.01)  # what a reload has to live with between two others
            await eventually(lambda: server.calls >= 1000)
            done.set()
            found = await calling
        assert {status for status, _ in found} == {200}
        assert gateway.app.store.loads == RELOADS + 1
        assert (len(server.streams), server.broken_streams) == (2, 0)
        server.send_event(EVENT)
        for wire in (gets, other):
            async with asyncio.timeout(TIMEOUT_SECONDS):
                assert EVENT in await wire.reader.readuntil(EVENT)
