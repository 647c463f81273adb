"""A response whose head is known is what llhttp would make of it, and nothing else is taken for it."""

import asyncio
from typing import Any, cast

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ostiary_gateway.errors import UpstreamFault
from ostiary_gateway.upstream.http1.known_heads import KnownHeads
from ostiary_gateway.upstream.http1.upstream_connection import UpstreamConnection


def answer(body: bytes = b"{}", *, more: str = "", length: str = "", status: str = "200 OK", second: int = 0) -> bytes:
    date = f"Mon, 30 Nov 2026 12:00:{second:02} GMT"
    head = f"HTTP/1.1 {status}\r\nDate: {date}\r\n{more}Content-Length: {length or len(body)}\r\n\r\n"
    return head.encode("utf-8", "surrogateescape") + body


class ForgetfulHeads(KnownHeads):
    """Knows no head."""

    def read(self, data: bytes) -> None:
        """Return None."""


class QuietTransport(asyncio.Transport):
    """Writes to no one."""

    def write(self, data: object) -> None:
        """Do nothing."""

    def abort(self) -> None:
        """Do nothing."""

    def pause_reading(self) -> None:
        """Do nothing."""

    def is_closing(self) -> bool:
        """Return that it is open."""
        return False


async def read(answers: list[bytes], heads: KnownHeads) -> list[object]:
    """Return what a connection makes of the answers to one exchange after the other."""
    connection = UpstreamConnection()
    connection.known_heads = heads
    connection.connection_made(QuietTransport())
    found: list[object] = []
    for each in answers:
        exchange = asyncio.ensure_future(connection.exchange(b"POST", seconds=60))
        await asyncio.sleep(0)
        if exchange.done():
            found.append(str(exchange.exception()))
            break
        connection.data_received(each)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        if not exchange.done():
            connection.close()
            connection.connection_lost(None)
            found.append("waits")
            await asyncio.wait([exchange])
            break
        try:
            response = exchange.result()
        except UpstreamFault as fault:
            found.append(fault.message)
            break
        found.append((response.status, response._headers, response.ready(), response.complete, connection.usable))
    connection.deadlines.close()
    return found


@pytest.mark.parametrize("heads", [KnownHeads, ForgetfulHeads])
def test_a_connection_whose_exchange_was_cancelled_as_the_response_came_is_not_used_again(
    heads: type[KnownHeads],
) -> None:
    async def run() -> int:
        idle: list[UpstreamConnection] = []
        connection = UpstreamConnection()
        connection.known_heads, connection.on_idle = heads(), idle.append
        connection.connection_made(QuietTransport())
        for second, is_cancelled in enumerate((False, False, True)):
            exchange = asyncio.ensure_future(connection.exchange(b"POST", seconds=60))
            await asyncio.sleep(0)
            if is_cancelled:
                exchange.cancel()
            connection.data_received(answer(second=second))
            await asyncio.wait([exchange])
            assert exchange.cancelled() is is_cancelled
        connection.deadlines.close()
        assert not connection.usable
        return len(idle)

    assert asyncio.run(run()) == 2


def both(answers: list[bytes]) -> tuple[list[object], list[object]]:
    async def run() -> tuple[list[object], list[object]]:
        return await read(answers, KnownHeads()), await read(answers, ForgetfulHeads())

    return asyncio.run(run())


def test_the_third_response_with_a_head_is_not_parsed_whatever_its_length_and_date() -> None:
    heads = KnownHeads()
    asyncio.run(read([answer(), answer(second=1)], heads))

    assert heads.read(answer(b"[1, 2]", second=2)) == (
        {b"date": b"Mon, 30 Nov 2026 12:00:02 GMT", b"content-length": b"6"},
        b"[1, 2]",
    )


@pytest.mark.parametrize(
    "last",
    [
        answer(status="201 Created"),
        answer(status="500 Oh"),
        answer(b"", status="204 No Content"),
        answer(more="X: y\r\n"),
        answer(more="Connection: close\r\n"),
        answer(length="02"),
        answer(length="3"),
        answer(length="1"),
        answer(length="-2"),
        answer(length="2\r\nContent-Length: 2"),
        answer(length="2\r\nTransfer-Encoding: chunked"),
        answer() + answer(),
        b"HTTP/1.1 100 Continue\r\n\r\n" + answer(),
        answer()[:-1],
        answer()[:10],
        answer().replace(b"HTTP/1.1", b"HTTP/1.0"),
        answer().replace(b"HTTP/1.1", b"RTSP/1.1"),
    ],
)
def test_what_differs_is_left_to_the_parser(last: bytes) -> None:
    ours, parsed = both([answer(), answer(second=1), answer(second=2), last, answer()])
    assert ours == parsed


@pytest.mark.parametrize(
    "interim",
    [
        b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\nConnection: close\r\n\r\n",
        b"HTTP/1.0 100 Continue\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\nContent-Length: 60\r\n\r\n",
        b"HTTP/1.1 103 Early Hints\r\nTransfer-Encoding: chunked\r\n\r\n",
    ],
)
def test_a_known_head_after_an_interim_response_in_a_read_of_its_own_is_left_to_the_parser(interim: bytes) -> None:
    async def run(heads: KnownHeads) -> list[object]:
        connection = UpstreamConnection()
        connection.known_heads = heads
        connection.connection_made(QuietTransport())
        found: list[object] = []
        for before in (b"", b"", b"", interim, b"", b""):
            exchange = asyncio.ensure_future(connection.exchange(b"POST", seconds=60))
            await asyncio.sleep(0)
            for data in filter(None, (before, answer())):
                connection.data_received(data)
            await asyncio.wait([exchange])
            failure = exchange.exception()
            found.append((failure is None, connection.usable))
        connection.deadlines.close()
        return found

    assert asyncio.run(run(KnownHeads())) == asyncio.run(run(ForgetfulHeads()))


@pytest.mark.parametrize("more", ["Connection: close\r\n", "X: 1\r\nX: 2\r\n", "Date: x\r\n", "Upgrade: h2c\r\n"])
def test_a_head_that_says_more_is_parsed_each_time(more: str) -> None:
    heads = KnownHeads()
    asyncio.run(read([answer(more=more)] * 4, heads))
    assert heads.read(answer(more=more)) is None


def test_headers_of_one_response_do_not_change_with_the_next() -> None:
    ours, parsed = both([answer(second=number) for number in range(6)])
    assert ours == parsed
    headers = [cast("Any", each)[1][b"date"] for each in ours]
    assert headers == [f"Mon, 30 Nov 2026 12:00:{number:02} GMT".encode() for number in range(6)]


varied = st.builds(
    lambda body, more, length, second: answer(body, more=more, length=length, second=second),
    st.sampled_from([b"{}", b"[1]", b"", b"x" * 500]),
    st.sampled_from(["", "", "", "Mcp-Session-Id: a\r\n", "Mcp-Session-Id: b\r\n", "Connection: keep-alive\r\n"]),
    st.sampled_from(["", "", "", "", "2", "02", "500", "-1", "2x"]),
    st.integers(0, 59),
)


@given(st.lists(varied, min_size=3, max_size=8), st.integers(0, 7), st.integers(0, 200), st.integers(0, 255))
@example([answer(), answer(), answer(b"[1]"), answer()], 7, 0, 72)
def test_whatever_a_server_answers_a_known_head_changes_nothing(
    answers: list[bytes], which: int, place: int, byte: int
) -> None:
    data = answers[which % len(answers)]
    at = place % len(data)
    answers[which % len(answers)] = data[:at] + bytes([byte]) + data[at + 1 :]

    ours, parsed = both(answers)
    assert ours == parsed
