"""Bounds on what one hostile connection may cost: memory, time, and others' responses."""

import asyncio
import errno
import gc
import tracemalloc
from functools import partial

import http_listener
import pytest
from http_listener import echo, flush
from mcp_clients import eventually
from timeouts import TIMEOUT_SECONDS
from wire import Wire, connected, post

from ostiary_gateway.asyncio_internals import READ_BYTES
from ostiary_gateway.errors import CallerGone
from ostiary_gateway.server import connection as connection_module
from ostiary_gateway.server import listener as listener_module
from ostiary_gateway.server.connection import Connection
from ostiary_gateway.server.connection_limits import EARLY_REQUESTS, SLICE_BYTES, Limits
from ostiary_gateway.server.listener import Listener
from ostiary_gateway.server.request import Request
from ostiary_gateway.server.response import Response, ResponseStream

BIG = b"x" * 30_000_000
CHUNKED = "Transfer-Encoding: chunked"


async def big(_: Request) -> Response:
    return Response(200, BIG)


#: What these callers leave behind is not worth waiting for.
serving = partial(http_listener.http_listener, drain=0.1)


@pytest.fixture
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listener_module, "_SWEEP_SECONDS", 0.02)


# -- requests that come early


async def test_requests_that_come_early_wait_as_bytes() -> None:
    go_on = asyncio.Event()

    async def later(_: Request) -> Response:
        await go_on.wait()
        return Response(204)

    tiny = b"GET / HTTP/1.1\r\n\r\n"
    async with serving(later) as (listener, port), connected(port) as wire:
        await wire.send(tiny * 12_000)
        await eventually(lambda: any(each._waiting for each in listener.connections))
        for _ in range(10):
            await asyncio.sleep(0)
        parsed = sum(isinstance(each, Request) for each in gc.get_objects())
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
        await wire.send(b"GET / HTTP/1.1\r\n\r\n" * 3)
        await eventually(lambda: any(each.stalled_since is not None for each in listener.connections))
        for _ in range(10):
            await asyncio.sleep(0)
        assert handled == 1
        for number in range(3):
            assert (await wire.reply()).body == BIG
            assert handled >= number + 1


# -- slow readers


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
        await wire.send(b"GET / HTTP/1.1\r\n" + (b"Connection: close\r\n" if last else b"") + b"\r\n")
        async with asyncio.timeout(TIMEOUT_SECONDS):
            assert await trickle(wire) > len(BIG)


@pytest.mark.usefixtures("often")
@pytest.mark.parametrize("last", [True, False])
async def test_a_client_that_reads_nothing_is_disconnected(last: bool) -> None:
    async with serving(big, Limits(stall_seconds=0.2)) as (listener, port), connected(port) as wire:
        await wire.send(b"GET / HTTP/1.1\r\n" + (b"Connection: close\r\n" if last else b"") + b"\r\n")
        await eventually(lambda: bool(listener.connections))
        await eventually(lambda: not listener.connections)


async def test_stopping_lets_a_slow_reader_receive_its_response() -> None:
    async with connected(await start(listener := Listener(big))) as wire:
        await wire.send(b"GET / HTTP/1.1\r\n\r\n")
        await eventually(lambda: any(each.stalled_since is not None for each in listener.connections))
        stopping = asyncio.create_task(listener.stop(20))
        await asyncio.sleep(0)
        assert (await wire.reply()).body == BIG
    await stopping  # which waits for callers that stay connected though they have their response


async def start(listener: Listener) -> int:
    return await listener.start("127.0.0.1", 0)


# -- bodies


ENDLESS = {
    "a trailer": (b"0\r\nX: ", b"x" * 4096),
    "many trailers": (b"0\r\n", b"X: y\r\n" * 100),
    "an extension": (b"1;", b"x" * 4096),
    "extensions": (b"", b"1;" + b"x" * 4096 + b"\r\nx\r\n"),
    "zeros of a size": (b"", b"0" * 4096),
}


@pytest.mark.parametrize("name", ENDLESS)
async def test_a_body_that_is_all_framing_ends(name: str) -> None:
    ended = asyncio.Event()

    async def read(request: Request) -> Response:
        try:
            return await echo(request)
        except CallerGone:
            ended.set()
            raise

    first, again = ENDLESS[name]
    async with serving(read) as (listener, port), connected(port) as wire:
        sent = 0
        try:
            await wire.send(post("/", b"", CHUNKED, length=-1) + first)
            while not ended.is_set():
                await wire.send(again)
                sent += len(again)
                await asyncio.sleep(0)
        except ConnectionError:
            pass
        assert sent < 8_000_000
        await asyncio.wait_for(ended.wait(), TIMEOUT_SECONDS)
        await eventually(lambda: not listener.connections)


async def test_a_body_in_the_smallest_chunks_is_accepted_and_costs_its_content() -> None:
    size = 600_000
    body = b"".join(b"2\r\nab\r\n" for _ in range(size // 2)) + b"0\r\n\r\n"
    seen = asyncio.Event()
    go_on = asyncio.Event()

    async def late(request: Request) -> Response:
        seen.set()
        await go_on.wait()
        held = tracemalloc.get_traced_memory()[0]
        assert held < 4_000_000
        return await echo(request)

    async with serving(late) as (listener, port), connected(port) as wire:
        tracemalloc.start()
        try:
            sending = asyncio.create_task(wire.send(post("/", b"", CHUNKED, length=-1) + body))
            await seen.wait()
            await eventually(lambda: all(each._paused for each in listener.connections))
            go_on.set()
            assert len((await wire.reply()).body) == size
            await sending
        finally:
            tracemalloc.stop()


async def test_a_length_of_thousands_of_zeros_is_a_number() -> None:
    async def length(request: Request) -> Response:
        return Response(200, b"%d" % request.declared_length)

    async with serving(length) as (_, port), connected(port) as wire:
        await wire.send(post("/", b"", f"Content-Length: {'0' * 5000}7", length=-1))
        assert (await wire.reply()).body == b"7"


@pytest.mark.parametrize("asked", [True, False])
async def test_after_a_refusal_before_100_continue_the_connection_is_not_read_further(asked: bool) -> None:
    """The client may send the body or the next request, and a proxy in between may read it otherwise."""

    async def early(request: Request) -> Response:
        if asked:
            request.send_continue()
        return Response(404)

    async with serving(early, Limits(linger_seconds=0.1)) as (_, port), connected(port) as wire:
        await wire.send(post("/", b"", "Expect: 100-continue", length=18))
        if asked:
            assert (await wire.head()).status == 100
        assert ("connection" in (await wire.reply()).headers) is not asked
        await wire.send(b"GET / HTTP/1.1\r\n\r\n" * 2)
        if asked:
            assert (await wire.reply()).status == 404
        else:
            assert await wire.closed()


# -- framing that others might read otherwise


@pytest.mark.parametrize(
    "coding",
    ["gzip, chunked", "identity, chunked", ",chunked", "chunked, chunked", "chunked;q=1", "xchunked", '"chunked"', ""],
)
@pytest.mark.parametrize("wish", [(), ("Connection: upgrade", "Upgrade: h2c")])
async def test_the_only_transfer_coding_is_chunked(coding: str, wish: tuple[str, ...]) -> None:
    async with serving(echo) as (_, port), connected(port) as wire:
        await wire.send(post("/", b"2\r\n{}\r\n0\r\n\r\n", f"Transfer-Encoding: {coding}", *wish, length=-1))
        answer = await wire.reader.read()
    assert not answer or answer.startswith(b"HTTP/1.1 400 ")


async def test_two_codings_in_two_headers_are_two_codings() -> None:
    async with serving(echo) as (_, port), connected(port) as wire:
        lines = ("Transfer-Encoding: gzip", CHUNKED)
        await wire.send(post("/", b"2\r\n{}\r\n0\r\n\r\n", *lines, length=-1))
        assert (await wire.reply()).status == 400
        assert await wire.closed()


@pytest.mark.parametrize("coding", ["Chunked", "CHUNKED", "\tchunked", "chunked "])
async def test_it_may_be_written_in_any_case_and_padded(coding: str) -> None:
    async with serving(echo) as (_, port), connected(port) as wire:
        await wire.send(post("/", b"2\r\n{}\r\n0\r\n\r\n", f"Transfer-Encoding: {coding}", length=-1))
        assert (await wire.reply()).body == b"{}"


OTHER_PROTOCOLS = [
    *[b"POST / RTSP/1.0", b"OPTIONS * RTSP/1.1", b"DESCRIBE / RTSP/1.0", b"SOURCE / ICE/1.0"],
    *[b"GET / HTTP/2.0", b"GET / HTTP/0.9", b"GET /"],
]


@pytest.mark.parametrize("line", OTHER_PROTOCOLS)
@pytest.mark.parametrize("cut", [0, 3, 9, 12])
async def test_other_protocols_than_http_1_are_refused_however_they_are_cut(line: bytes, cut: int) -> None:
    async with serving(echo) as (_, port), connected(port) as wire:
        for piece in (line[:cut], line[cut:] + b"\r\nHost: a\r\n\r\n"):
            if piece:
                await wire.send(piece)
                await asyncio.sleep(0.01)
        assert (await wire.reply()).status == 400
        assert await wire.closed()


async def test_another_protocol_behind_a_request_is_refused_too() -> None:
    first = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n{}"
    async with serving(echo) as (_, port), connected(port) as wire:
        await wire.send(first + b"POST / RTSP/1.1\r\nHost: a\r\n\r\n")
        assert [(await wire.reply()).status for _ in range(2)] == [200, 400]
        assert await wire.closed()


async def test_a_body_may_speak_of_other_protocols() -> None:
    text = b'{"x": "GET /stream RTSP/1.0",\n"y": "SOURCE / ICE/1.0"}'
    head = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % len(text)
    async with serving(echo) as (_, port), connected(port) as wire:
        for pieces in ([head + text], [head, text], [head[:20], head[20:] + text[:9], text[9:]]):
            for piece in pieces:
                await wire.send(piece)
            assert (await wire.reply()).status == 200


@pytest.mark.parametrize("keep", ["keep-alive", "close"])
async def test_http_1_0_has_no_transfer_codings(keep: str) -> None:
    async with serving(echo) as (_, port), connected(port) as wire:
        head = f"POST / HTTP/1.0\r\nConnection: {keep}\r\n{CHUNKED}\r\n\r\n"
        await wire.send(head.encode() + b"2\r\n{}\r\n0\r\n\r\n")
        assert (await wire.reply()).status == 400
        assert await wire.closed()


async def test_a_bug_of_ours_in_a_callback_is_not_called_a_bad_request(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def bug(*_: object) -> None:
        raise RuntimeError("ours")

    async with serving(echo) as (_, port), connected(port) as wire:
        monkeypatch.setattr(connection_module.Connection, "_start", bug)
        await wire.send(b"GET / HTTP/1.1\r\n\r\n")
        assert (await wire.reply()).json == {"error": "InternalError", "message": "Internal error"}
        assert await wire.closed()
    assert "this is a bug of the gateway" in caplog.text


async def test_a_trailer_is_no_header() -> None:
    async def told(request: Request) -> Response:
        await echo(request)
        return Response(200, repr(sorted(request.headers)).encode())

    trailers = [b"Mcp-Name: x", b"Authorization: Bearer x", b"Host: evil", b"Origin: null", b"X-Forwarded-For: 1"]
    body = b"2\r\n{}\r\n0\r\n" + b"".join(line + b"\r\n" for line in trailers) + b"\r\n"
    async with serving(told) as (_, port), connected(port) as wire:
        await wire.send(post("/", body, CHUNKED, length=-1))
        reply = await wire.reply()
        assert reply.body == b"['accept', 'content-type', 'host', 'transfer-encoding']"
        await wire.send(post("/", b"{}"))
        assert b"mcp-name" not in (await wire.reply()).body


async def test_behind_a_stream_that_stays_nothing_is_kept_and_who_goes_is_noticed() -> None:
    begun, gone = asyncio.Event(), asyncio.Event()

    async def listen(request: Request) -> None:
        stream = ResponseStream(request, {})
        request.connection.accept_no_more()
        stream.begin()
        await flush(stream)
        begun.set()
        try:
            request.bind_to_caller()
            await asyncio.Event().wait()
        finally:
            gone.set()

    early = post("/", b"x" * 50_000, length=10**9)
    async with serving(listen) as (listener, port):
        async with connected(port) as wire:
            await wire.send(b"GET / HTTP/1.1\r\n\r\n" + early)
            assert (await wire.head()).headers["connection"] == "close"
            await begun.wait()
            await wire.send(b"x" * 1_000_000)
            [connection] = listener.connections
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
        sending = asyncio.create_task(wire.send(b"GET / HTTP/1.1\r\n\r\n" + post("/", b"x" * 5_000_000)))
        await eventually(lambda: any(each._paused for each in listener.connections))
        [connection] = listener.connections
        assert sum(len(each._body) for each in connection._waiting) <= READ_BYTES
        go_on.set()
        assert (await wire.reply()).body == b"0"
        assert (await wire.reply()).status == 200
        await sending


async def test_a_refused_client_gets_one_response_however_much_it_sends(caplog: pytest.LogCaptureFixture) -> None:
    class Closed:
        def opened(self, connection: Connection) -> Response | None:  # noqa: ARG002  as the gate's
            return Response(503, b"full", close=True)

        def response_taken(self, connection: Connection) -> None:
            pass

        def unhandled_changed(self, _: Connection, __: int) -> bool:
            return False

        def closed(self, connection: Connection) -> None:
            pass

    listener = Listener(echo, gate=Closed())
    async with connected(await start(listener)) as wire:
        await wire.send(b"GET / HTTP/1.1\r\n\r\n" * 50 + b"nonsense\r\n\r\n")
        assert (await wire.reply()).body == b"full"
        assert await wire.closed()
    await listener.stop(0.1)
    assert caplog.records == []


@pytest.mark.parametrize("sent", [b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n", b"nonsense\r\n\r\n"])
async def test_a_client_that_resets_the_connection_during_its_request_leaves_no_log_line(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, sent: bytes
) -> None:
    def reset(_: object) -> None:  # what shutdown says where the reset arrived and was not reported yet
        raise OSError(errno.ENOTCONN, "Transport endpoint is not connected")

    async with serving(echo) as (listener, port), connected(port) as wire:
        await eventually(lambda: bool(listener.connections))
        [connection] = listener.connections
        monkeypatch.setattr(type(connection._transport), "can_write_eof", lambda _: True)
        monkeypatch.setattr(type(connection._transport), "write_eof", reset)
        await wire.send(sent)
        await eventually(lambda: not listener.connections)
    assert caplog.records == []
