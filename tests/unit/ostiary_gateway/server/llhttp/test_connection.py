"""The data port's HTTP server by itself: order, bounds, deadlines, and the ways in which callers go."""

import asyncio
import errno
from functools import partial

import pytest
from http_listener import HTTP_SERVER, echo, flush, http_listener, new_listener
from mcp_clients import eventually
from timeouts import TIMEOUT_SECONDS
from wire import connected, post

from ostiary_gateway.errors import CallerGone
from ostiary_gateway.server.connection import Connection
from ostiary_gateway.server.connection_limits import Limits
from ostiary_gateway.server.http_servers import LLHTTP
from ostiary_gateway.server.llhttp import connection as connection_module
from ostiary_gateway.server.request import Request
from ostiary_gateway.server.response import Response, ResponseStream


def request(*lines: str, target: str = "/", method: str = "GET", version: str = "1.1") -> bytes:
    return "\r\n".join([f"{method} {target} HTTP/{version}", "Host: x", *lines, "", ""]).encode()


@pytest.mark.parametrize("size", [1, 3, 7, 1000])
async def test_however_bytes_are_cut_the_requests_are_the_same(size: int) -> None:
    sent = b"".join(post(f"/{number}", b"body %d" % number) for number in range(5))
    async with http_listener(echo) as (_, port), connected(port) as wire:
        for place in range(0, len(sent), size):
            await wire.send(sent[place : place + size])
            await asyncio.sleep(0)
        replies = [await wire.reply() for _ in range(5)]

    assert [(reply.headers["x-target"], reply.body) for reply in replies] == [
        (f"/{number}", b"body %d" % number) for number in range(5)
    ]


async def test_requests_of_one_connection_are_handled_one_at_a_time() -> None:
    running = most = 0

    async def slowly(request: Request) -> Response:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0)
        running -= 1
        return Response(200, request.target.encode())

    async with http_listener(slowly) as (_, port), connected(port) as wire:
        await wire.send(b"".join(request(target=f"/{number}") for number in range(50)))
        assert [(await wire.reply()).body for _ in range(50)] == [b"/%d" % number for number in range(50)]
    assert most == 1


async def test_names_of_headers_are_lower_case_and_repeated_ones_are_known() -> None:
    seen: list[Request] = []

    async def keep(request: Request) -> Response:
        seen.append(request)
        return Response(204)

    async with http_listener(keep) as (_, port), connected(port) as wire:
        await wire.send(request("ACCEPT: a", "accept: b", "X-Odd: \t v \t", "X-Bytes: é"))
        assert (await wire.head()).status == 204

    [found] = seen
    assert found.headers["accept"] == "a, b"
    assert found.repeated == {"accept"}
    assert found.headers["x-odd"] == "v"
    assert found.headers["x-bytes"] == "é"


@pytest.mark.skipif(HTTP_SERVER != LLHTTP, reason="a known difference: docs/reference/http-servers.md")
async def test_a_request_for_an_upgrade_is_answered_in_http_1_1() -> None:
    asking = ("Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA")
    async with http_listener(echo) as (_, port), connected(port) as wire:
        await wire.send(post("/one", b"first", *asking) + request(*asking, target="/two") + post("/three", b"third"))
        assert [(await wire.reply()).headers["x-target"] for _ in range(3)] == ["/one", "/two", "/three"]


@pytest.mark.skipif(HTTP_SERVER != LLHTTP, reason="a known difference: docs/reference/http-servers.md")
async def test_thousands_of_such_requests_in_one_piece_are_thousands_of_answers() -> None:
    asking = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: a\r\n\r\n"
    async with http_listener(echo) as (_, port), connected(port) as wire:
        await wire.send(asking * 3000)
        assert {(await wire.reply()).status for _ in range(3000)} == {200}


@pytest.mark.parametrize(
    "framing", ["Transfer-Encoding: gzip", "Transfer-Encoding: chunked, gzip", "Content-Length: x"]
)
async def test_a_request_for_an_upgrade_with_bad_framing_is_refused(framing: str) -> None:
    async with http_listener(echo) as (_, port), connected(port) as wire:
        await wire.send(request("Connection: upgrade", "Upgrade: h2c", framing, method="POST") + b"5\r\nhello\r\n")
        answer = await wire.reader.read()
    assert not answer or answer.startswith(b"HTTP/1.1 400 ")


async def test_http_1_0_is_answered_and_closed_unless_it_asks_to_be_kept() -> None:
    async with http_listener(echo) as (_, port), connected(port) as wire:
        await wire.send(request("Connection: keep-alive", version="1.0"))
        assert (await wire.reply()).headers["connection"] == "keep-alive"
        await wire.send(request(version="1.0"))
        assert (await wire.reply()).headers["connection"] == "close"
        assert await wire.closed()


async def streamed(request: Request) -> None:
    stream = ResponseStream(request, {"Content-Type": "text/event-stream"})
    stream.begin()
    for number in range(3):
        stream.write(b"data: %d\n\n" % number)
        await flush(stream)
    stream.end()
    await flush(stream)


async def test_a_stream_comes_in_chunks_and_the_connection_goes_on() -> None:
    async with http_listener(streamed) as (_, port), connected(port) as wire:
        for _ in range(2):
            await wire.send(request())
            assert (await wire.head()).headers["transfer-encoding"] == "chunked"
            assert (
                await wire.reader.readuntil(b"\r\n0\r\n\r\n")
                == b"".join(b"9\r\ndata: %d\n\n\r\n" % number for number in range(3)) + b"0\r\n\r\n"
            )


async def test_a_stream_to_http_1_0_ends_with_its_connection() -> None:
    async with http_listener(streamed) as (_, port), connected(port) as wire:
        await wire.send(request("Connection: keep-alive", version="1.0"))
        assert (await wire.head()).headers["connection"] == "close"
        assert await wire.reader.read() == b"data: 0\n\ndata: 1\n\ndata: 2\n\n"


async def test_a_stream_that_breaks_off_does_not_look_complete() -> None:
    async def broken(request: Request) -> None:
        stream = ResponseStream(request, {})
        stream.begin()
        stream.write(b"half")
        await flush(stream)

    async with http_listener(broken) as (_, port), connected(port) as wire:
        await wire.send(request())
        await wire.head()
        assert not (await wire.reader.read()).endswith(b"0\r\n\r\n")


async def test_what_was_not_read_of_a_body_is_dropped_and_the_next_request_served() -> None:
    async def early(_: Request) -> Response:
        return Response(404)

    async with http_listener(early) as (_, port), connected(port) as wire:
        body = b"x" * 1_000_000
        await wire.send(post("/", b"", length=len(body)))
        assert (await wire.reply()).status == 404
        await wire.send(body + request())
        assert (await wire.reply()).status == 404


async def test_a_body_that_no_handler_reads_is_no_longer_received() -> None:
    started = asyncio.Event()
    go_on = asyncio.Event()
    taken: list[int] = []

    async def late(request: Request) -> Response:
        started.set()
        await go_on.wait()
        while data := await request.read_some():
            taken.append(len(data))
        return Response(200)

    size = 30_000_000
    async with http_listener(late) as (_, port), connected(port) as wire:
        await wire.send(post("/", b"", length=size))
        await started.wait()
        sending = asyncio.create_task(wire.send(b"x" * size))
        await asyncio.wait([sending], timeout=0.2)
        assert not sending.done()
        go_on.set()
        assert (await wire.reply()).status == 200
        await sending

    assert sum(taken) == size
    assert max(taken) < 1_000_000


async def test_a_response_that_the_caller_does_not_read_ends_after_its_timeout() -> None:
    gone = asyncio.Event()

    async def endless(request: Request) -> None:
        stream = ResponseStream(request, {})
        stream.begin()
        try:
            while True:
                stream.write(b"x" * 100_000)
                await flush(stream)
        except CallerGone:
            gone.set()
            raise

    async with http_listener(endless, Limits(stall_seconds=0.1)) as (listener, port), connected(port) as wire:
        await wire.send(request())
        await asyncio.wait_for(gone.wait(), TIMEOUT_SECONDS)
        await eventually(lambda: not listener.connections)


@pytest.mark.parametrize("sent", [b"", b"POST / HT", b"POST / HTTP/1.1\r\nHost: x\r\nX: "])
async def test_a_head_that_arrives_too_slowly_gets_a_response(sent: bytes) -> None:
    async with http_listener(echo, Limits(head_seconds=0.1)) as (_, port), connected(port) as wire:
        await wire.send(sent)
        if sent:
            assert (await wire.reply()).status == 408
        assert await wire.closed()


async def test_a_caller_that_closes_its_half_of_the_connection_counts_as_disconnected() -> None:
    begun, gate = asyncio.Event(), asyncio.Event()

    async def waits(_: Request) -> Response:
        begun.set()
        await gate.wait()
        return Response(200)

    async with http_listener(waits) as (listener, port), connected(port) as wire:
        await wire.send(request())
        await begun.wait()
        wire.writer.write_eof()
        assert await wire.closed()
        await eventually(lambda: not listener.connections)
        gate.set()


async def test_an_idle_connection_is_closed_without_a_response() -> None:
    async with http_listener(echo, Limits(keep_seconds=0.1)) as (_, port), connected(port) as wire:
        await wire.send(request())
        assert (await wire.reply()).status == 200
        assert await wire.closed()


@pytest.mark.parametrize(
    "how", ["a target", "a header", "a name", "names", "headers", "trailers", "a header in pieces"]
)
async def test_a_head_beyond_the_bounds_is_refused_as_it_comes(how: str) -> None:
    sent = {
        "a target": request(target="/" + "x" * 9000),
        "a header": request("X: " + "x" * 40_000),
        "a name": request("X" * 40_000 + ": x"),
        "names": request(*(f"{number}{'X' * 200}: 1" for number in range(180))),
        "headers": request(*(f"X{number}: 1" for number in range(201))),
        "trailers": post("/", b"0\r\n", "Transfer-Encoding: chunked", length=-1) + b"X: y\r\n" * 300,
        "a header in pieces": request("X: " + "x" * 200_000),
    }[how]
    async with http_listener(echo) as (_, port), connected(port) as wire:
        size = 1000 if how == "a header in pieces" else len(sent)
        try:
            for place in range(0, len(sent), size):
                await wire.send(sent[place : place + size])
        except ConnectionError:
            pass
        if how != "trailers":
            assert (await wire.reply()).status == (414 if how == "a target" else 431)
        await eventually(lambda: wire.reader.at_eof() or wire.reader.exception() is not None)


@pytest.mark.skipif(HTTP_SERVER != LLHTTP, reason="a known difference: docs/reference/http-servers.md")
async def test_requests_before_a_malformed_one_are_answered_first() -> None:
    async with http_listener(echo) as (_, port), connected(port) as wire:
        await wire.send(request(target="/good") + b"nonsense\r\n\r\n")
        assert (await wire.reply()).headers["x-target"] == "/good"
        assert (await wire.reply()).status == 400
        assert await wire.closed()


async def test_a_caller_that_disconnects_cancels_only_its_own_requests() -> None:
    ended: dict[str, str] = {}
    go_on = asyncio.Event()

    async def work(request: Request) -> Response:
        try:
            if request.target == "/bound":
                request.bind_to_caller()
            await go_on.wait()
            ended[request.target] = "done"
        except asyncio.CancelledError:
            ended[request.target] = "cancelled"
            raise
        return Response(200)

    async with http_listener(work) as (listener, port):
        for target in ("/bound", "/free"):
            async with connected(port) as wire:
                await wire.send(request(target=target))
                await eventually(lambda: any(not each.idle for each in listener.connections))
            await eventually(lambda: not listener.connections)
        go_on.set()
        await eventually(lambda: ended == {"/bound": "cancelled", "/free": "done"})


async def test_stopping_lets_requests_in_flight_finish_and_closes_the_idle() -> None:
    go_on = asyncio.Event()

    async def work(_: Request) -> Response:
        await go_on.wait()
        return Response(200)

    listener = new_listener(work)
    port = await listener.start("127.0.0.1", 0)
    async with connected(port) as idle, connected(port) as busy:
        await busy.send(request())
        await eventually(lambda: len(listener.connections) == 2 and any(not c.idle for c in listener.connections))
        stopping = asyncio.create_task(listener.stop(5))
        assert await idle.closed()
        go_on.set()
        reply = await busy.reply()
        assert (reply.status, reply.headers["connection"]) == (200, "close")
    await stopping  # which waits for callers that stay connected though they have their response


async def test_a_header_of_an_answer_cannot_break_out_of_its_line(caplog: pytest.LogCaptureFixture) -> None:
    async def broken(_: Request) -> Response:
        return Response(200, b"", {"X": "a\r\nSet-Cookie: b"})

    async with http_listener(broken) as (_, port), connected(port) as wire:
        await wire.send(request())
        assert await wire.closed()
    assert "would break out of its line" in caplog.text


#: What these callers leave behind is not worth waiting for.
serving = partial(http_listener, drain=0.1)


@pytest.mark.parametrize("asked", [True, False])
async def test_after_a_refusal_before_100_continue_the_connection_is_not_read_further(asked: bool) -> None:
    """The client may send the body or the next request, and a proxy in between may read it otherwise."""

    async def early(request: Request) -> Response:
        if asked:
            request.send_continue()
        return Response(404)

    async with serving(early, Limits(linger_seconds=0.1)) as (_, port), connected(port) as wire:
        following = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
        await wire.send(post("/", b"", "Expect: 100-continue", length=len(following)))
        if asked:
            assert (await wire.head()).status == 100
        assert ("connection" in (await wire.reply()).headers) is not asked
        await wire.send(following * 2)
        if asked:
            assert (await wire.reply()).status == 404
        else:
            assert await wire.closed()


@pytest.mark.skipif(HTTP_SERVER != LLHTTP, reason="a known difference: docs/reference/http-servers.md")
async def test_a_bug_of_ours_in_a_callback_is_not_called_a_bad_request(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def bug(*_: object) -> None:
        raise RuntimeError("ours")

    async with serving(echo) as (_, port), connected(port) as wire:
        monkeypatch.setattr(connection_module.LlhttpConnection, "_start", bug)
        await wire.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert (await wire.reply()).json == {"error": "InternalError", "message": "Internal error"}
        assert await wire.closed()
    assert "this is a bug of the gateway" in caplog.text


@pytest.mark.parametrize("sent", [b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", b"nonsense\r\n\r\n"])
async def test_a_client_that_resets_the_connection_during_its_request_leaves_no_log_line(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, sent: bytes
) -> None:
    def reset(_: object) -> None:  # what shutdown says where the reset arrived and was not reported yet
        raise OSError(errno.ENOTCONN, "Transport endpoint is not connected")

    async with serving(echo) as (listener, port), connected(port) as wire:
        await eventually(lambda: bool(listener.connections))
        [connection] = listener.connections
        assert isinstance(connection, Connection)
        monkeypatch.setattr(type(connection._transport), "can_write_eof", lambda _: True)
        monkeypatch.setattr(type(connection._transport), "write_eof", reset)
        await wire.send(sent)
        await eventually(lambda: not listener.connections)
    assert caplog.records == []
