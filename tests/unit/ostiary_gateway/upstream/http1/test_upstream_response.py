"""A body that is read piece by piece: a slow reader slows the server."""

import asyncio

import pytest
from mcp_clients import eventually
from scripted_server import answering, read_request
from timeouts import TIMEOUT_SECONDS
from upstream_pool import LAST, OK, REQUEST, body, pool_for

from ostiary_gateway.errors import UpstreamFault
from ostiary_gateway.upstream import faults
from ostiary_gateway.upstream.http1.upstream_response import HIGH_WATER


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nff\r\nabc",
    ],
)
async def test_a_body_that_breaks_off_is_given_as_far_as_it_came_and_then_fails(answer: bytes) -> None:
    async with pool_for(answering(answer)) as pool:
        response = await pool.exchange(REQUEST, seconds=TIMEOUT_SECONDS)
        assert await response.read_some(5) == b"abc"
        with pytest.raises(UpstreamFault) as broken:
            await response.read_some(5)

    assert broken.value.kind == faults.RESET


async def test_a_reader_that_does_not_read_stops_the_sender() -> None:
    written = 0
    chunk = b"x" * 65536

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal written
        await read_request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (len(chunk) * 1000))
        for _ in range(1000):
            writer.write(chunk)
            await writer.drain()
            written += len(chunk)

    async with pool_for(script) as pool:
        response = await pool.exchange(REQUEST, seconds=TIMEOUT_SECONDS)
        seen = -1
        while seen != written:  # until the sender has sent nothing for at least a fifth of a second
            seen = written
            await asyncio.sleep(0.2)
        stood_at = written
        total = len(await body(response))

    assert stood_at < HIGH_WATER + 16 * 1024 * 1024  # what two kernels buffer, and not 64 MB
    assert total == len(chunk) * 1000


async def test_an_answer_that_is_read_late_does_not_let_the_next_one_flow() -> None:
    large = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (HIGH_WATER + 1) + b"x" * (HIGH_WATER + 1)

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await answering(large)(reader, writer)
        await read_request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while True:
            writer.write(b"10000\r\n" + b"y" * 0x10000 + b"\r\n")
            await writer.drain()

    async with pool_for(script, limit=1) as pool:
        first = await pool.exchange(REQUEST, seconds=TIMEOUT_SECONDS)
        await eventually(lambda: first.complete)
        second = await pool.exchange(REQUEST, seconds=TIMEOUT_SECONDS)
        (connection,) = pool._all
        transport = connection._transport
        assert isinstance(transport, asyncio.Transport)
        await eventually(lambda: not transport.is_reading())
        assert len(await body(first)) == HIGH_WATER + 1
        assert not transport.is_reading()
        assert await second.read_some(5)
        assert transport.is_reading()
        second.close()


async def test_a_paused_response_continues_when_more_is_awaited() -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nabc")
        await writer.drain()
        await released.wait()
        writer.write(b"def")

    released = asyncio.Event()
    async with pool_for(script) as pool:
        answer = await pool.exchange(REQUEST, seconds=TIMEOUT_SECONDS)
        assert await answer.read_some(5) == b"abc"
        (connection,) = pool._all
        answer.hold_back()
        assert isinstance(connection._transport, asyncio.Transport)
        assert not connection._transport.is_reading()
        released.set()
        assert await answer.read_some(5) == b"def"
        answer.hold_back()  # it is whole: the connection is free
        assert connection._transport.is_reading()


async def test_headers_are_dropped_of_a_response_that_goes_on_and_of_no_other_on_its_connection() -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for text in (OK, b"HTTP/1.1 200 OK\r\nMcp-Session-Id: two\r\nContent-Length: 3\r\n\r\nab"):
            await read_request(reader)
            writer.write(text)
        await reader.read()

    async with pool_for(script, limit=1) as pool:
        first = await pool.exchange(REQUEST, seconds=TIMEOUT_SECONDS)
        await eventually(lambda: first.complete)
        second = await pool.exchange(REQUEST, seconds=TIMEOUT_SECONDS)
        (connection,) = pool._all
        first.forget_headers()
        assert first.header("content-length") == "2"
        assert connection._headers == {b"mcp-session-id": b"two", b"content-length": b"3"}
        second.forget_headers()
        assert second.header("mcp-session-id") is None
        assert not connection._headers
        second.close()


async def test_of_dropped_headers_the_one_stays_that_says_that_a_server_is_about_to_end() -> None:
    async with pool_for(answering(LAST[:-1])) as pool:
        answer = await pool.exchange(REQUEST, seconds=TIMEOUT_SECONDS)
        (connection,) = pool._all
        answer.forget_headers()
        assert connection.is_last


def large(size: int = 4_000_000) -> bytes:
    """A request that no socket takes whole while its server does not read."""
    return b"POST /mcp HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n" % size + b"x" * size
