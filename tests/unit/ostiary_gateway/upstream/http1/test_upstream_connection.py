"""One exchange over one connection: what is understood, what is refused, what makes it unusable."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from scripted_server import answering, read_request
from timeouts import TIMEOUT_SECONDS
from upstream_pool import OK, OTHER, REQUEST, body, pool_for
from waiting import for_ever

from ostiary_gateway.errors import UpstreamFault
from ostiary_gateway.upstream import faults
from ostiary_gateway.upstream.http1.pool import Pool


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\nTrailer: x\r\n\r\n",
            b"abcde",
        ),
        (b"HTTP/1.1 200 OK\r\n\r\nuntil the end", b"until the end"),
        (b"HTTP/1.0 200 OK\r\nConnection: close\r\n\r\nold", b"old"),
        (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + OK, b"ok"),
        (b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n", b""),
        (b"HTTP/1.1 204 No Content\r\n\r\n", b""),
    ],
)
async def test_every_way_to_end_a_body_is_understood(answer: bytes, expected: bytes) -> None:
    async with pool_for(answering(answer)) as pool:
        assert await body(await pool.exchange(REQUEST, seconds=TIMEOUT_SECONDS)) == expected


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: identity\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\nA: b\r\n folded\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\nContent-Length: 3\n\nabc",
        b"HTTP/1.1 200 OK\r\nContent-Length : 3\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\nContent-Length: +3\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\t\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
        b"HTTP/1.1 000 OK\r\nContent-Length: 3\r\n\r\nabc",
        b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\n" + b"X: " + b"y" * 200_000 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"".join(b"X%d: y\r\n" % n for n in range(300)) + b"\r\n",
        b"SSH-2.0-OpenSSH\r\n",
        b"RTSP/1.0 200 OK\r\nContent-Length: 3\r\n\r\nabc",
        b"RTSP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc",
        b"ICE/1.0 200 OK\r\nContent-Length: 3\r\n\r\nabc",
        b"HTTP/2.0 200 OK\r\nContent-Length: 3\r\n\r\nabc",
        b"HTTP/0.9 200 OK\r\nContent-Length: 3\r\n\r\nabc",
        b"HTTP/1.1 100 Continue\r\n\r\nRTSP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc",
        b"HTTP/1.1 103 Early\r\nLink: x\r\n\r\nHTTP/2.0 200 OK\r\nContent-Length: 3\r\n\r\nabc",
        b"\r\nHTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc",
    ],
)
async def test_what_is_not_strict_http_is_refused(answer: bytes) -> None:
    async with pool_for(answering(answer)) as pool:
        with pytest.raises(UpstreamFault) as refused:
            await body(await pool.exchange(REQUEST, seconds=TIMEOUT_SECONDS))

    assert refused.value.kind == faults.INVALID


@pytest.mark.parametrize("size", [1, 2, 3, 7, 11, 40])
@pytest.mark.parametrize("interim", [b"", b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"])
async def test_an_answer_is_understood_however_it_is_cut_and_whatever_stands_before_it(
    size: int, interim: bytes
) -> None:
    whole = interim + OK

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        for place in range(0, len(whole), size):
            writer.write(whole[place : place + size])
            await asyncio.sleep(0)

    async with pool_for(script) as pool:
        assert await body(await pool.exchange(REQUEST, seconds=TIMEOUT_SECONDS)) == b"ok"


@pytest.mark.parametrize("beginning", [b"", b"1\r\na\r\n"])
@pytest.mark.parametrize("endless", [b"0\r\nX: ", b"0\r\n", b"1;"])
async def test_endless_trailers_and_extensions_are_not_buffered(beginning: bytes, endless: bytes) -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + beginning + endless)
        line = b"X: y\r\n" if endless == b"0\r\n" else b"y" * 6
        while not writer.is_closing():
            writer.write(line * 1000)
            await writer.drain()

    async with pool_for(script) as pool:
        with pytest.raises(UpstreamFault, match="too large"):
            await body(await pool.exchange(REQUEST, seconds=TIMEOUT_SECONDS))


async def test_a_body_in_tiny_chunks_is_not_taken_for_a_head_without_end() -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"1;note=x\r\na\r\n" * 50_000 + b"0\r\n\r\n"
        )
        await writer.drain()

    async with pool_for(script) as pool:
        assert len(await body(await pool.exchange(REQUEST, seconds=TIMEOUT_SECONDS))) == 50_000


async def test_a_second_answer_to_one_request_never_reaches_the_next_exchange() -> None:
    async with pool_for(answering(OK + OTHER, OK)) as pool:
        assert await body(await pool.exchange(REQUEST, seconds=TIMEOUT_SECONDS)) == b"ok"
        assert await body(await pool.exchange(REQUEST, seconds=TIMEOUT_SECONDS)) == b"ok"


@asynccontextmanager
async def never_answered() -> AsyncIterator[tuple[Pool, asyncio.Event]]:
    """A pool for a server that reads and says nothing, and the end of the connection as that server sees it."""
    ended = asyncio.Event()

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        assert await reader.read() == b""
        ended.set()

    async with pool_for(script) as pool:
        yield pool, ended


async def test_cancelling_an_exchange_closes_its_connection() -> None:
    async with never_answered() as (pool, ended):
        task = asyncio.create_task(pool.exchange(REQUEST, seconds=TIMEOUT_SECONDS))
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asyncio.shield(task), 0.1)
        task.cancel()
        async with asyncio.timeout(TIMEOUT_SECONDS):
            await ended.wait()


async def test_an_answer_that_does_not_come_in_time_closes_the_connection() -> None:
    async with never_answered() as (pool, ended):
        with pytest.raises(UpstreamFault) as late:
            await pool.exchange(REQUEST, seconds=0.05)
        async with asyncio.timeout(TIMEOUT_SECONDS):
            await ended.wait()

    assert late.value.kind == faults.TIMEOUT


def large(size: int = 4_000_000) -> bytes:
    """A request that no socket takes whole while its server does not read."""
    return b"POST /mcp HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n" % size + b"x" * size


async def answer_unread(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer each request as soon as its head is there; read none of a large body."""
    while True:
        head = await reader.readuntil(b"\r\n\r\n")
        writer.write(OK)
        if b"Content-Length: 2\r\n" not in head:
            await for_ever()
        await reader.readexactly(2)


async def test_a_connection_whose_request_was_not_wholly_sent_is_not_used_again() -> None:
    async with pool_for(answer_unread) as pool:
        assert await body(await pool.exchange(large(), seconds=5)) == b"ok"
        assert await body(await pool.exchange(REQUEST, seconds=TIMEOUT_SECONDS)) == b"ok"


async def test_a_large_request_that_was_read_whole_keeps_its_connection() -> None:
    connections = 0

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        await answering(*[OK] * 3)(reader, writer)

    async with pool_for(script) as pool:
        for _ in range(3):
            assert await body(await pool.exchange(large(), seconds=5)) == b"ok"
    assert connections == 1


async def test_an_answer_that_begins_before_and_ends_behind_its_request_leaves_no_connection() -> None:
    connections = 0

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        head = await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\no")
        await begun.wait()
        await reader.readexactly(4_000_000 if b"Content-Length: 4000000" in head else 2)
        writer.write(b"k")
        await reader.read()

    begun = asyncio.Event()
    async with pool_for(script) as pool:
        first = await pool.exchange(large(), seconds=5)
        begun.set()
        assert await body(first) == b"ok"
        assert await body(await pool.exchange(REQUEST, seconds=TIMEOUT_SECONDS)) == b"ok"
    assert connections == 2


LEFT_OVER = {
    "junk behind a length": OK + b"junk",
    "junk behind the last chunk": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\njunk",
    "a body behind 204": b"HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\nother",
    "a body behind 304": b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\nother",
    "an interim answer behind the final one": OK + b"HTTP/1.1 103 Early Hints\r\n\r\n",
    "half an answer behind the whole one": OK + OTHER[:20],
}


@pytest.mark.parametrize("what", LEFT_OVER)
async def test_what_is_left_over_behind_an_answer_reaches_no_other_exchange(what: str) -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(LEFT_OVER[what] if not served else OK)
        served.append(1)
        await answering(OK)(reader, writer)

    served: list[int] = []
    async with pool_for(script) as pool:
        assert await body(await pool.exchange(REQUEST, seconds=TIMEOUT_SECONDS)) in {b"ok", b""}
        assert await body(await pool.exchange(REQUEST, seconds=TIMEOUT_SECONDS)) == b"ok"
    assert len(served) == 2, "the second exchange has a connection of its own"
