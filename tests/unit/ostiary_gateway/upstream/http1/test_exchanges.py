import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager

import pytest
from mcp_clients import eventually
from scripted_server import Script, answering, read_request, scripted
from timeouts import TIMEOUT_SECONDS

from ostiary_gateway.errors import UpstreamFault
from ostiary_gateway.upstream import faults
from ostiary_gateway.upstream.allowed_addresses import OwnEndpoints, networks
from ostiary_gateway.upstream.http1.connection import UpstreamConnection
from ostiary_gateway.upstream.http1.dialer import Dialer, Resolver
from ostiary_gateway.upstream.http1.pool import Pool
from ostiary_gateway.upstream.http1.response import HIGH_WATER, UpstreamResponse

REQUEST = b"POST /mcp HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\n{}"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
OTHER = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nother"


@asynccontextmanager
async def pool_for(
    script: Script, *, limit: int = 4, keep_seconds: float = 30, wait_seconds: float = 5
) -> AsyncIterator[Pool]:
    async with scripted(script) as port:
        granted = networks(["127.0.0.0/8"])
        dialer = Dialer("127.0.0.1", port, 2.0, None, None, granted, OwnEndpoints())
        pool = Pool(dialer.dial, limit=limit, keep_seconds=keep_seconds, wait_seconds=wait_seconds)
        try:
            yield pool
        finally:
            pool.close()


async def body(response: UpstreamResponse) -> bytes:
    pieces = []
    while piece := await response.read_some(5):
        pieces.append(piece)
    return b"".join(pieces)


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


async def test_loopback_is_not_connected_to_without_a_grant() -> None:
    async with scripted(answering(OK)) as port:
        dialer = Dialer("localhost", port, 2.0, None, None, (), OwnEndpoints())
        with pytest.raises(UpstreamFault) as refused:
            await dialer.dial()

    assert refused.value.kind == faults.ADDRESS_FORBIDDEN


async def test_a_port_without_a_listener_is_unreachable() -> None:
    async with scripted(answering(OK)) as port:
        pass
    dialer = Dialer("127.0.0.1", port, 2.0, None, None, networks(["127.0.0.0/8"]), OwnEndpoints())
    with pytest.raises(UpstreamFault) as refused:
        await dialer.dial()

    assert refused.value.kind == faults.UNREACHABLE


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
        await held.wait()
        writer.write(b"def")

    held = asyncio.Event()
    async with pool_for(script) as pool:
        answer = await pool.exchange(REQUEST, seconds=TIMEOUT_SECONDS)
        assert await answer.read_some(5) == b"abc"
        (connection,) = pool._all
        answer.hold_back()
        assert isinstance(connection._transport, asyncio.Transport)
        assert not connection._transport.is_reading()
        held.set()
        assert await answer.read_some(5) == b"def"
        answer.hold_back()  # it is whole: the connection is free
        assert connection._transport.is_reading()


async def test_an_address_that_does_not_answer_does_not_use_up_the_timeout(monkeypatch: pytest.MonkeyPatch) -> None:
    async with scripted(answering(OK)) as port, deaf_at("127.0.0.2", port):
        dialer = dialing(monkeypatch, port, "127.0.0.2", "127.0.0.1")
        connection = await dialer.dial()
        assert await body(await connection.exchange(REQUEST, seconds=TIMEOUT_SECONDS)) == b"ok"
        connection.close()


async def test_an_address_that_refuses_is_followed_by_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    async with scripted(answering(OK)) as port:
        dialer = dialing(monkeypatch, port, "127.0.0.3", "127.0.0.4", "127.0.0.1")
        connection = await dialer.dial()
        assert await body(await connection.exchange(REQUEST, seconds=TIMEOUT_SECONDS)) == b"ok"
        connection.close()


async def test_where_every_address_refuses_the_last_one_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    async with scripted(answering(OK)) as port:
        with pytest.raises(UpstreamFault, match=r"127\.0\.0\.4") as refused:
            await dialing(monkeypatch, port, "127.0.0.3", "127.0.0.4").dial()
    assert refused.value.kind == faults.UNREACHABLE


async def test_of_two_addresses_that_answer_at_once_one_connection_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    connect, both, made = Dialer._connect, asyncio.Barrier(2), []

    async def together(dialer: Dialer, _: str) -> UpstreamConnection:
        connection = await connect(dialer, "127.0.0.1")
        made.append(connection)
        await both.wait()
        return connection

    monkeypatch.setattr(Dialer, "_connect", together)
    async with scripted(answering(OK)) as port:
        kept = await dialing(monkeypatch, port, "127.0.0.1", "127.0.0.2").dial()
        await eventually(lambda: [connection for connection in made if connection.usable] == [kept])
        kept.close()
    assert len(made) == 2


def dialing(monkeypatch: pytest.MonkeyPatch, port: int, *addresses: str) -> Dialer:
    """A dialer for a name that resolves to these."""
    found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in addresses]
    monkeypatch.setattr("socket.getaddrinfo", lambda *_, **__: found)
    return Dialer("upstream.example", port, 5.0, None, None, networks(["127.0.0.0/8"]), OwnEndpoints())


@asynccontextmanager
async def deaf_at(address: str, port: int) -> AsyncIterator[None]:
    """A port whose backlog is full, so that a connection to it hangs."""
    with socket.socket() as server, ExitStack() as waiting:
        server.bind((address, port))
        server.listen(0)
        for _ in range(4):
            each = waiting.enter_context(socket.socket())
            each.setblocking(False)
            each.connect_ex((address, port))
        yield


def large(size: int = 4_000_000) -> bytes:
    """A request that no socket takes whole while its server does not read."""
    return b"POST /mcp HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n" % size + b"x" * size


async def answer_unread(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer each request as soon as its head is there; read none of a large body."""
    while True:
        head = await reader.readuntil(b"\r\n\r\n")
        writer.write(OK)
        if b"Content-Length: 2\r\n" not in head:
            await asyncio.Event().wait()
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


async def test_a_name_of_the_internet_is_asked_for_as_it_stands_before_its_search_domains(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[str] = []

    def resolver(host: str, *_: object, **__: object) -> list[object]:
        asked.append(host)
        if host in {"none.example.com.", "db.internal.corp."}:
            raise socket.gaierror(socket.EAI_NONAME, "no such name")
        if host == "again.example.com.":
            raise socket.gaierror(socket.EAI_AGAIN, "come again")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("192.0.2.1", 80))]

    monkeypatch.setattr("socket.getaddrinfo", resolver)
    for host in ("api.example.com", "crm.tools.svc.cluster.local", "crm.tools.svc", "crm.tools", "crm"):
        assert await Resolver(host, 80).addresses() == ["192.0.2.1"]
    assert asked == ["api.example.com.", "crm.tools.svc.cluster.local.", "crm.tools.svc", "crm.tools", "crm"]
    assert await Resolver("db.internal.corp", 80).addresses() == ["192.0.2.1"]
    assert asked[5:] == ["db.internal.corp.", "db.internal.corp"]
    with pytest.raises(socket.gaierror, match="come again"):
        await Resolver("again.example.com", 80).addresses()
