"""Connections that are refused, closed beyond their deadline, or drained."""

import asyncio
from functools import partial

import http_listener
import pytest
from http_listener import echo, new_listener
from mcp_clients import eventually
from timeouts import TIMEOUT_SECONDS
from wire import Wire, connected

from ostiary_gateway.server import listener as listener_module
from ostiary_gateway.server.connection_limits import Limits
from ostiary_gateway.server.host import CountedConnection
from ostiary_gateway.server.listener import Listener
from ostiary_gateway.server.request import Request
from ostiary_gateway.server.response import Response

BIG = b"x" * 30_000_000


async def big(_: Request) -> Response:
    return Response(200, BIG)


#: What these callers leave behind is not worth waiting for.
serving = partial(http_listener.http_listener, drain=0.1)


@pytest.fixture
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listener_module, "_SWEEP_SECONDS", 0.02)


async def trickle(wire: Wire) -> int:
    """Read as slowly as a bad line does, and return how much came."""
    taken = 0
    while data := await wire.reader.read(400_000):
        taken += len(data)
        await asyncio.sleep(0.01)
    return taken


@pytest.mark.usefixtures("often")
@pytest.mark.parametrize("last", [True, False])
async def test_a_slow_reader_receives_its_whole_response(last: bool) -> None:
    limits = Limits(stall_seconds=0.3, linger_seconds=0.1, keep_seconds=0.1)
    async with serving(big, limits) as (_, port), connected(port) as wire:
        await wire.send(b"GET / HTTP/1.1\r\nHost: x\r\n" + (b"Connection: close\r\n" if last else b"") + b"\r\n")
        async with asyncio.timeout(TIMEOUT_SECONDS):
            assert await trickle(wire) > len(BIG)


@pytest.mark.usefixtures("often")
@pytest.mark.parametrize("last", [True, False])
async def test_a_client_that_reads_nothing_is_disconnected(last: bool) -> None:
    async with serving(big, Limits(stall_seconds=0.2)) as (listener, port), connected(port) as wire:
        await wire.send(b"GET / HTTP/1.1\r\nHost: x\r\n" + (b"Connection: close\r\n" if last else b"") + b"\r\n")
        await eventually(lambda: bool(listener.connections))
        await eventually(lambda: not listener.connections)


async def test_stopping_lets_a_slow_reader_receive_its_response() -> None:
    async with connected(await start(listener := new_listener(big))) as wire:
        await wire.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        await eventually(lambda: any(each.stalled_since is not None for each in listener.connections))
        stopping = asyncio.create_task(listener.stop(20))
        await asyncio.sleep(0)
        assert (await wire.reply()).body == BIG
    await stopping  # which waits for callers that stay connected though they have their response


async def start(listener: Listener) -> int:
    return await listener.start("127.0.0.1", 0)


async def test_a_refused_client_gets_one_response_however_much_it_sends(caplog: pytest.LogCaptureFixture) -> None:
    class Closed:
        def opened(self, connection: CountedConnection) -> Response | None:  # noqa: ARG002  as the gate's
            return Response(503, b"full", close=True)

        def response_taken(self, connection: CountedConnection) -> None:
            pass

        def unhandled_changed(self, _: CountedConnection, __: int) -> bool:
            return False

        def closed(self, connection: CountedConnection) -> None:
            pass

    listener = new_listener(echo, gate=Closed())
    async with connected(await start(listener)) as wire:
        await wire.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" * 50 + b"nonsense\r\n\r\n")
        assert (await wire.reply()).body == b"full"
        assert await wire.closed()
    await listener.stop(0.1)
    assert caplog.records == []
