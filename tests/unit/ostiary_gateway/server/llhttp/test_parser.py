"""Framing that two readers could read in two ways is refused, and a body of framing alone ends."""

import asyncio
from functools import partial

import http_listener
import pytest
from http_listener import HTTP_SERVER, echo
from mcp_clients import eventually
from timeouts import TIMEOUT_SECONDS
from wire import connected, post

from ostiary_gateway.errors import CallerGone
from ostiary_gateway.server.http_servers import LLHTTP
from ostiary_gateway.server.request import Request
from ostiary_gateway.server.response import Response

CHUNKED = "Transfer-Encoding: chunked"


#: What these callers leave behind is not worth waiting for.
serving = partial(http_listener.http_listener, drain=0.1)


ENDLESS = {
    "a trailer": (b"0\r\nX: ", b"x" * 4096),
    "many trailers": (b"0\r\n", b"X: y\r\n" * 100),
    "an extension": (b"1;", b"x" * 4096),
    "extensions": (b"", b"1;" + b"x" * 4096 + b"\r\nx\r\n"),
    "zeros of a size": (b"", b"0" * 4096),
}


@pytest.mark.parametrize("name", ENDLESS)
async def test_a_body_of_framing_alone_is_bounded(name: str) -> None:
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


async def test_a_length_of_thousands_of_zeros_is_a_number() -> None:
    async def length(request: Request) -> Response:
        return Response(200, b"%d" % request.declared_length)

    async with serving(length) as (_, port), connected(port) as wire:
        await wire.send(post("/", b"", f"Content-Length: {'0' * 5000}7", length=-1))
        assert (await wire.reply()).body == b"7"


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


BEHIND_AN_UPGRADE = {
    "another version": (b"GET / HTTP/2.0\r\nHost: a\r\n\r\n", 400),
    "too many headers": (b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 300 + b"\r\n", 431),
}


@pytest.mark.skipif(HTTP_SERVER != LLHTTP, reason="a known difference: docs/reference/http-servers.md")
@pytest.mark.parametrize("name", BEHIND_AN_UPGRADE)
async def test_what_is_refused_behind_a_request_for_an_upgrade_is_no_bug_of_the_gateway(
    name: str, caplog: pytest.LogCaptureFixture
) -> None:
    refused, status = BEHIND_AN_UPGRADE[name]
    asking = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n"
    async with serving(echo) as (_, port), connected(port) as wire:
        await wire.send(asking + refused)
        assert [(await wire.reply()).status for _ in range(2)] == [200, status]
        assert await wire.closed()
    assert not caplog.records


async def test_a_body_may_contain_first_lines_of_other_protocols() -> None:
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


@pytest.mark.skipif(HTTP_SERVER != LLHTTP, reason="a known difference: docs/reference/http-servers.md")
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


@pytest.mark.parametrize("blanks", ["", " ", "\t", " \t  "])
async def test_blanks_around_a_value_are_none_of_it_and_those_within_are(blanks: str) -> None:
    async def named(request: Request) -> Response:
        return Response(200, request.headers["x"].encode())

    async with serving(named) as (_, port), connected(port) as wire:
        await wire.send(post("/", b"", f"X:{blanks}a \tb{blanks}"))
        assert (await wire.reply()).body == b"a \tb"


@pytest.mark.parametrize("control", [*set(range(32)) - {9, 10, 13}, 127])
async def test_a_value_has_no_control_characters(control: int) -> None:
    async with serving(echo) as (_, port), connected(port) as wire:
        await wire.send(post("/", b"", f"X: a{chr(control)}"))
        assert (await wire.reply()).status == 400
        assert await wire.closed()
