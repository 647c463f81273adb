"""What one hostile connection may cost, over TLS: asyncio closes and buffers otherwise there."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from http_listener import new_listener
from mcp_clients import eventually
from timeouts import TIMEOUT_SECONDS
from tls_secrets import MountedSecret
from wire import Wire, post

from ostiary_gateway.server import listener as listener_module
from ostiary_gateway.server.connection_limits import Limits
from ostiary_gateway.server.host import Handler
from ostiary_gateway.server.listener import Listener
from ostiary_gateway.server.request import Request
from ostiary_gateway.server.response import Response

BIG = b"x" * 30_000_000
LAST = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"


@pytest.fixture
def secret(tmp_path: Path) -> MountedSecret:
    secret = MountedSecret(tmp_path)
    secret.renew("localhost")
    return secret


@asynccontextmanager
async def serving(
    answer: Handler, secret: MountedSecret, limits: Limits | None = None
) -> AsyncIterator[tuple[Listener, int]]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(secret.files.certificate, secret.files.key)
    listener = new_listener(answer, limits)
    port = await listener.start("127.0.0.1", 0, tls=context)
    try:
        yield listener, port
    finally:
        await listener.stop(0.1)
        assert not listener.connections


@asynccontextmanager
async def connected(port: int, secret: MountedSecret) -> AsyncIterator[Wire]:
    context = ssl.create_default_context(cafile=str(secret.authority))
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context, server_hostname="localhost")
    try:
        yield Wire(reader, writer)
    finally:
        writer.transport.abort()


async def big(_: Request) -> Response:
    return Response(200, BIG)


async def early(_: Request) -> Response:
    return Response(404)


async def test_an_answer_that_is_the_last_arrives_whole(secret: MountedSecret) -> None:
    async with serving(big, secret) as (_, port), connected(port, secret) as wire:
        await wire.send(LAST)
        assert (await wire.reply()).body == BIG
        assert await wire.closed()


@pytest.mark.parametrize("last", [True, False])
async def test_a_client_that_reads_nothing_is_disconnected(
    secret: MountedSecret, monkeypatch: pytest.MonkeyPatch, last: bool
) -> None:
    monkeypatch.setattr(listener_module, "_SWEEP_SECONDS", 0.02)
    async with (
        serving(big, secret, Limits(stall_seconds=0.2, keep_seconds=0.2)) as (listener, port),
        connected(port, secret) as wire,
    ):
        await wire.send(LAST if last else b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        await eventually(lambda: bool(listener.connections))
        await eventually(lambda: not listener.connections)


@pytest.mark.parametrize("last", [True, False])
async def test_a_slow_reader_receives_its_whole_response(
    secret: MountedSecret, monkeypatch: pytest.MonkeyPatch, last: bool
) -> None:
    monkeypatch.setattr(listener_module, "_SWEEP_SECONDS", 0.02)
    limits = Limits(stall_seconds=1.0, linger_seconds=0.1, keep_seconds=1.0)
    async with serving(big, secret, limits) as (_, port), connected(port, secret) as wire:
        await wire.send(LAST if last else b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        await wire.head()
        taken = 0
        async with asyncio.timeout(TIMEOUT_SECONDS):
            while taken < len(BIG) and (data := await wire.reader.read(400_000)):
                taken += len(data)
                await asyncio.sleep(0.01)
        assert taken == len(BIG)


async def test_the_next_request_waits_until_the_answer_before_it_was_taken(secret: MountedSecret) -> None:
    handled = 0

    async def counted(request: Request) -> Response:
        nonlocal handled
        handled += 1
        return await big(request)

    async with serving(counted, secret) as (listener, port), connected(port, secret) as wire:
        await wire.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" * 3)
        await eventually(lambda: any(each.stalled_since is not None for each in listener.connections))
        for _ in range(10):
            await asyncio.sleep(0)
        assert handled <= 2  # asyncio lets one pass before it counts
        for _ in range(3):
            assert (await wire.reply()).body == BIG


async def test_thousands_of_early_requests_are_answered_in_their_order(secret: MountedSecret) -> None:
    async def target(request: Request) -> Response:
        return Response(200, request.target.encode())

    async with serving(target, secret) as (_, port), connected(port, secret) as wire:
        await wire.send(b"".join(b"GET /%d HTTP/1.1\r\nHost: x\r\n\r\n" % number for number in range(5000)))
        assert [(await wire.reply()).body for _ in range(5000)] == [b"/%d" % number for number in range(5000)]


async def test_an_early_refusal_arrives_though_the_body_is_still_coming(secret: MountedSecret) -> None:
    limits = Limits(linger_seconds=0.5)
    async with serving(early, secret, limits) as (_, port), connected(port, secret) as wire:
        await wire.send(post("/", b"x" * 1000, "Connection: close", length=5_000_000))
        assert (await wire.reply()).status == 404
        sending = asyncio.create_task(wire.send(b"x" * 4_999_000))
        assert await wire.closed()
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)
