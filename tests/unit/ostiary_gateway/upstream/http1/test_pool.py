"""Which connection an exchange gets, how long it is kept, and when a request is sent again."""

import asyncio

import pytest
from mcp_clients import eventually
from scripted_server import Script, answering, read_request
from timeouts import TIMEOUT_SECONDS
from upstream_pool import LAST, OK, OTHER, REQUEST, body, pool_for

from ostiary_gateway.errors import UpstreamFault
from ostiary_gateway.upstream import faults


async def test_a_connection_is_used_again_for_the_next_exchange() -> None:
    connections = 0

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        await answering(*[OK] * 10)(reader, writer)

    async with pool_for(script) as pool:
        for _ in range(10):
            assert await body(await pool.exchange(REQUEST, seconds=TIMEOUT_SECONDS)) == b"ok"

    assert connections == 1


async def test_bytes_that_arrive_while_a_connection_is_idle_close_it() -> None:
    sent = asyncio.Event()

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await answering(OK)(reader, writer)
        if not sent.is_set():
            writer.write(OTHER)
            await writer.drain()
            sent.set()
        await answering(OK)(reader, writer)

    async with pool_for(script) as pool:
        assert await body(await pool.exchange(REQUEST, seconds=TIMEOUT_SECONDS)) == b"ok"
        await sent.wait()
        assert await body(await pool.exchange(REQUEST, seconds=TIMEOUT_SECONDS)) == b"ok"


async def test_a_connection_that_died_while_idle_is_replaced_before_a_byte_is_sent() -> None:
    closed = asyncio.Event()

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await answering(OK)(reader, writer)
        writer.close()
        await writer.wait_closed()
        closed.set()

    async with pool_for(script) as pool:
        for _ in range(3):
            closed.clear()
            assert await body(await pool.exchange(REQUEST, seconds=TIMEOUT_SECONDS)) == b"ok"
            await closed.wait()


async def test_what_was_sent_once_is_never_sent_again() -> None:
    requests = 0

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal requests
        await answering(OK)(reader, writer)
        await read_request(reader)
        requests += 1

    async with pool_for(script) as pool:
        await body(await pool.exchange(REQUEST, seconds=TIMEOUT_SECONDS))
        with pytest.raises(UpstreamFault) as broken:
            await pool.exchange(REQUEST, seconds=TIMEOUT_SECONDS)

    assert broken.value.kind == faults.RESET
    assert requests == 1


async def test_beyond_the_limit_an_exchange_waits_for_a_connection() -> None:
    together = most = 0

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal together, most
        while True:
            await read_request(reader)
            together += 1
            most = max(most, together)
            await asyncio.sleep(0.005)
            together -= 1
            writer.write(OK)

    async with pool_for(script, limit=3) as pool:

        async def once() -> bytes:
            return await body(await pool.exchange(REQUEST, seconds=TIMEOUT_SECONDS))

        assert set(await asyncio.gather(*(once() for _ in range(30)))) == {b"ok"}

    assert most == 3


async def test_an_exchange_that_gives_up_waiting_leaves_its_turn_to_the_next() -> None:
    release = asyncio.Event()

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            await read_request(reader)
            await release.wait()
            writer.write(OK)

    async with pool_for(script, limit=1) as pool:
        first = asyncio.create_task(pool.exchange(REQUEST, seconds=TIMEOUT_SECONDS))
        await asyncio.sleep(0)
        impatient = asyncio.create_task(pool.exchange(REQUEST, seconds=TIMEOUT_SECONDS))
        patient = asyncio.create_task(pool.exchange(REQUEST, seconds=TIMEOUT_SECONDS))
        await asyncio.sleep(0.01)
        impatient.cancel()
        release.set()
        assert await body(await first) == b"ok"
        assert await body(await patient) == b"ok"


async def test_idle_connections_are_closed_after_their_time() -> None:
    ended = asyncio.Event()

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await answering(OK)(reader, writer)
        await reader.read()
        ended.set()

    async with pool_for(script, keep_seconds=0.05) as pool:
        await body(await pool.exchange(REQUEST, seconds=TIMEOUT_SECONDS))
        async with asyncio.timeout(TIMEOUT_SECONDS):
            await ended.wait()


def closing_behind_the_first(then: bytes = b"") -> tuple[Script, list[bytes]]:
    """A server that answers once, and ends its first connection when the second request has come, with these bytes."""
    requests: list[bytes] = []

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        is_first = not requests
        while True:
            head, _ = await read_request(reader)
            requests.append(head)
            if is_first and len(requests) > 1:
                writer.write(then)
                return
            writer.write(OK)

    return script, requests


async def test_what_may_be_repeated_is_sent_once_more_where_a_kept_connection_ended() -> None:
    script, requests = closing_behind_the_first()
    async with pool_for(script) as pool:
        for _ in range(2):
            assert await body(await pool.exchange(REQUEST, seconds=5, repeatable=True)) == b"ok"
    assert len(requests) == 3


async def test_it_is_not_sent_again_once_a_byte_of_an_answer_came() -> None:
    script, requests = closing_behind_the_first(b"HTTP/1.1 2")
    async with pool_for(script) as pool:
        await body(await pool.exchange(REQUEST, seconds=5, repeatable=True))
        with pytest.raises(UpstreamFault):
            await pool.exchange(REQUEST, seconds=5, repeatable=True)
    assert len(requests) == 2


async def test_it_is_not_sent_again_over_a_connection_that_was_new() -> None:
    requests = []

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        requests.append(await read_request(reader))

    async with pool_for(script) as pool:
        with pytest.raises(UpstreamFault):
            await pool.exchange(REQUEST, seconds=5, repeatable=True)
    assert len(requests) == 1


async def test_it_is_sent_once_more_and_no_third_time() -> None:
    requests = []

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            requests.append(await read_request(reader))
            if len(requests) > 1:
                return
            writer.write(OK)

    async with pool_for(script) as pool:
        await body(await pool.exchange(REQUEST, seconds=5, repeatable=True))
        with pytest.raises(UpstreamFault):
            await pool.exchange(REQUEST, seconds=5, repeatable=True)
    assert len(requests) == 3


async def test_once_a_server_closes_a_connection_after_its_response_no_idle_one_is_used_again() -> None:
    connections, waiting = 0, asyncio.Event()

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        number = connections
        await read_request(reader)
        if number == 1:
            await waiting.wait()
        writer.write(LAST if number == 1 else OK)
        await reader.read()

    async with pool_for(script) as pool:
        first = asyncio.create_task(pool.exchange(REQUEST, seconds=TIMEOUT_SECONDS))
        await eventually(lambda: connections == 1)
        assert await body(await pool.exchange(REQUEST, seconds=TIMEOUT_SECONDS)) == b"ok"
        waiting.set()
        await body(await first)
        await eventually(lambda: pool.open_connections == 0)
        assert await body(await pool.exchange(REQUEST, seconds=TIMEOUT_SECONDS)) == b"ok"

    assert connections == 3


async def test_connections_are_kept_again_once_that_is_wanted() -> None:
    async with pool_for(answering(OK, OK)) as pool:
        pool.keep_none()
        await body(await pool.exchange(REQUEST, seconds=TIMEOUT_SECONDS))
        await eventually(lambda: pool.open_connections == 0)
        pool.keep_again()
        await body(await pool.exchange(REQUEST, seconds=TIMEOUT_SECONDS))
        assert pool.open_connections == 1


async def test_a_fault_says_whether_its_connection_was_kept_and_ended_without_a_word() -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await answering(OK)(reader, writer)
        await read_request(reader)
        writer.close()

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.close()

    async def stammers(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await answering(OK)(reader, writer)
        await read_request(reader)
        writer.write(OK[:12])
        writer.close()

    found = []
    for each, before in ((script, 1), (silent, 0), (stammers, 1)):
        async with pool_for(each) as pool:
            for _ in range(before):
                await body(await pool.exchange(REQUEST, seconds=TIMEOUT_SECONDS))
            with pytest.raises(UpstreamFault) as broken:
                await pool.exchange(REQUEST, seconds=TIMEOUT_SECONDS)
        assert broken.value.kind == faults.RESET
        found.append(broken.value.of_idle_connection)
    assert found == [True, False, False]
