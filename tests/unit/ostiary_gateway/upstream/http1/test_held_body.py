"""A request to a server that is about to end: its body is sent only once the server takes it."""

import asyncio

import pytest
from scripted_server import answering, read_request
from timeouts import TIMEOUT_SECONDS
from upstream_pool import OK, REQUEST, body, pool_for

from ostiary_gateway.errors import UpstreamFault
from ostiary_gateway.upstream import faults
from ostiary_gateway.upstream.http1.request_head import Transmission

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
HEAD, _, BODY = REQUEST.partition(b"\r\n\r\n")


async def read_head(reader: asyncio.StreamReader) -> bytes:
    return await reader.readuntil(b"\r\n\r\n")


async def test_the_body_is_sent_once_the_server_asks_for_it() -> None:
    written: list[bool] = []

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await read_head(reader)
        assert head == HEAD + b"\r\nExpect: 100-continue\r\n\r\n"
        written.append(transmission.is_written)
        writer.write(CONTINUE)
        assert await reader.readexactly(len(BODY)) == BODY
        writer.write(OK)

    transmission = Transmission()
    async with pool_for(script) as pool:
        pool.keep_none()
        response = await pool.exchange(REQUEST, seconds=TIMEOUT_SECONDS, transmission=transmission)
        assert await body(response) == b"ok"
    assert (written, transmission.is_written) == ([False], True)


async def test_a_connection_that_ends_before_the_body_was_sent_has_carried_out_nothing() -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_head(reader)

    transmission = Transmission()
    async with pool_for(script) as pool:
        pool.keep_none()
        with pytest.raises(UpstreamFault) as ended:
            await pool.exchange(REQUEST, seconds=TIMEOUT_SECONDS, transmission=transmission)
    assert (ended.value.kind, transmission.is_written) == (faults.UNREACHABLE, False)


async def test_a_connection_that_ends_after_the_body_was_sent_may_have_carried_it_out() -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_head(reader)
        writer.write(CONTINUE)
        await reader.readexactly(len(BODY))

    transmission = Transmission()
    async with pool_for(script) as pool:
        pool.keep_none()
        with pytest.raises(UpstreamFault) as ended:
            await pool.exchange(REQUEST, seconds=TIMEOUT_SECONDS, transmission=transmission)
    assert (ended.value.kind, transmission.is_written) == (faults.RESET, True)


async def test_a_server_that_does_not_know_of_it_gets_the_body_all_the_same() -> None:
    async with pool_for(answering(OK)) as pool:
        pool.keep_none()
        assert await body(await pool.exchange(REQUEST, seconds=TIMEOUT_SECONDS)) == b"ok"


async def test_a_server_that_refuses_the_expectation_gets_the_request_without_it() -> None:
    requests: list[bytes] = []

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        requests.append(await read_head(reader))
        if b"Expect" in requests[-1]:
            writer.write(b"HTTP/1.1 417 Expectation Failed\r\nContent-Length: 0\r\n\r\n")
            return
        await reader.readexactly(len(BODY))
        writer.write(OK)

    async with pool_for(script) as pool:
        pool.keep_none()
        assert await body(await pool.exchange(REQUEST, seconds=TIMEOUT_SECONDS)) == b"ok"
    assert [b"Expect" in each for each in requests] == [True, False]


async def test_a_connection_whose_body_was_not_asked_for_is_not_used_again() -> None:
    connections = 0

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        await read_head(reader)
        writer.write(OK)
        assert await reader.read() == b"", "nothing follows, which the server could take for the body"

    transmission = Transmission()
    async with pool_for(script) as pool:
        pool.keep_none()
        for _ in range(2):
            response = await pool.exchange(REQUEST, seconds=TIMEOUT_SECONDS, transmission=transmission)
            pool.keep_again()
            assert await body(response) == b"ok"
            pool.keep_none()
    assert (connections, transmission.is_written) == (2, True)


async def test_what_may_be_repeated_or_has_no_body_is_sent_at_once() -> None:
    heads: list[bytes] = []

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head, _ = await read_request(reader)
        heads.append(head)
        writer.write(OK)

    async with pool_for(script) as pool:
        pool.keep_none()
        await body(await pool.exchange(REQUEST, seconds=TIMEOUT_SECONDS, repeatable=True))
        await body(await pool.exchange(b"GET /mcp HTTP/1.1\r\nHost: h\r\n\r\n", seconds=TIMEOUT_SECONDS))
    assert [b"Expect" in head for head in heads] == [False, False]
