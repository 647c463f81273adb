"""Bounds on what one connection may send early."""

import asyncio
import gc
import tracemalloc
from functools import partial

import http_listener
from http_listener import echo, flush
from mcp_clients import eventually
from timeouts import TIMEOUT_SECONDS
from waiting import for_ever
from wire import connected, post

from ostiary_gateway.asyncio_internals import READ_BYTES
from ostiary_gateway.server.connection_limits import EARLY_REQUESTS, SLICE_BYTES
from ostiary_gateway.server.listener import Listener
from ostiary_gateway.server.llhttp.connection import LlhttpConnection
from ostiary_gateway.server.request import Request
from ostiary_gateway.server.response import Response, ResponseStream

BIG = b"x" * 30_000_000


CHUNKED = "Transfer-Encoding: chunked"


async def big(_: Request) -> Response:
    return Response(200, BIG)


#: What these callers leave behind is not worth waiting for.
serving = partial(http_listener.http_listener, drain=0.1)


def connections_of(listener: Listener) -> list[LlhttpConnection]:
    """The open connections, whose input these tests look into."""
    return [each for each in listener.connections if isinstance(each, LlhttpConnection)]


def requests_in_memory() -> int:
    """Count the requests of this process; other tests may have left some."""
    return sum(isinstance(each, Request) for each in gc.get_objects())


async def test_requests_that_come_early_wait_as_bytes() -> None:
    go_on = asyncio.Event()

    async def later(_: Request) -> Response:
        await go_on.wait()
        return Response(204)

    tiny = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
    others = requests_in_memory()
    async with serving(later) as (listener, port), connected(port) as wire:
        await wire.send(tiny * 12_000)
        await eventually(lambda: any(each._waiting for each in connections_of(listener)))
        for _ in range(10):
            await asyncio.sleep(0)
        parsed = requests_in_memory() - others
        assert parsed <= EARLY_REQUESTS + SLICE_BYTES // len(tiny) + 2
        go_on.set()
        for _ in range(12_000):
            assert (await wire.head()).status == 204


async def test_the_next_request_waits_until_the_answer_before_it_was_taken() -> None:
    handled = 0

    async def counted(request: Request) -> Response:
        nonlocal handled
        handled += 1
        return await big(request)

    async with serving(counted) as (listener, port), connected(port) as wire:
        await wire.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" * 3)
        await eventually(lambda: any(each.stalled_since is not None for each in connections_of(listener)))
        for _ in range(10):
            await asyncio.sleep(0)
        assert handled == 1
        for number in range(3):
            assert (await wire.reply()).body == BIG
            assert handled >= number + 1


async def test_a_body_in_the_smallest_chunks_is_accepted_and_costs_its_content() -> None:
    size = 600_000
    body = b"".join(b"2\r\nab\r\n" for _ in range(size // 2)) + b"0\r\n\r\n"
    seen = asyncio.Event()
    go_on = asyncio.Event()

    async def late(request: Request) -> Response:
        seen.set()
        await go_on.wait()
        traced = tracemalloc.get_traced_memory()[0]
        assert traced < 4_000_000
        return await echo(request)

    async with serving(late) as (listener, port), connected(port) as wire:
        tracemalloc.start()
        try:
            sending = asyncio.create_task(wire.send(post("/", b"", CHUNKED, length=-1) + body))
            await seen.wait()
            await eventually(lambda: all(each._paused for each in connections_of(listener)))
            go_on.set()
            assert len((await wire.reply()).body) == size
            await sending
        finally:
            tracemalloc.stop()


async def test_after_a_request_for_a_long_stream_bytes_are_dropped_and_a_disconnect_is_noticed() -> None:
    begun, gone = asyncio.Event(), asyncio.Event()

    async def listen(request: Request) -> None:
        stream = ResponseStream(request, {})
        request.connection.accept_no_more()
        stream.begin()
        await flush(stream)
        begun.set()
        try:
            request.bind_to_caller()
            await for_ever()
        finally:
            gone.set()

    early = post("/", b"x" * 50_000, length=10**9)
    async with serving(listen) as (listener, port):
        async with connected(port) as wire:
            await wire.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" + early)
            assert (await wire.head()).headers["connection"] == "close"
            await begun.wait()
            await wire.send(b"x" * 1_000_000)
            [connection] = connections_of(listener)
            assert not connection._waiting
            assert not connection._unparsed
            assert not connection._paused
        await asyncio.wait_for(gone.wait(), TIMEOUT_SECONDS)


async def test_of_early_data_one_piece_is_buffered() -> None:
    go_on = asyncio.Event()

    async def later(request: Request) -> Response:
        await go_on.wait()
        return Response(200, b"%d" % len(await request.read_some()))

    async with serving(later) as (listener, port), connected(port) as wire:
        sending = asyncio.create_task(wire.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" + post("/", b"x" * 5_000_000)))
        await eventually(lambda: any(each._paused for each in connections_of(listener)))
        [connection] = connections_of(listener)
        assert sum(len(each._body) for each in connection._waiting) <= READ_BYTES
        go_on.set()
        assert (await wire.reply()).body == b"0"
        assert (await wire.reply()).status == 200
        await sending
