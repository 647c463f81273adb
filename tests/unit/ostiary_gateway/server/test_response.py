"""Whole responses on the wire: their body may come in pieces."""

import re

import pytest
from http_listener import http_listener
from wire import connected

from ostiary_gateway.media_types import JSON_HEADERS
from ostiary_gateway.server.request import Request
from ostiary_gateway.server.response import Response


@pytest.mark.parametrize("pieces", [(b"", b""), (b"a",), (b'{"id":', b"1", b"}"), (b"x" * 300_000, b"y" * 300_000)])
async def test_a_body_in_pieces_is_sent_as_one(pieces: tuple[bytes, ...]) -> None:
    whole, response = b"".join(pieces), Response(200, pieces)
    assert (response.body, response.size) == (whole, len(whole))

    async def answer(_: Request) -> Response:
        return response

    async with http_listener(answer) as (_, port), connected(port) as wire:
        for method in ("GET", "HEAD", "GET"):
            await wire.send(f"{method} / HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            reply = await wire.head() if method == "HEAD" else await wire.reply()
            assert reply.headers["content-length"] == str(len(whole))
            assert method == "HEAD" or reply.body == whole


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ("GET / HTTP/1.1\r\nHost: x", b""),
        ("GET / HTTP/1.0\r\nHost: x\r\nConnection: keep-alive", b"Connection: keep-alive\r\n"),
        ("GET / HTTP/1.1\r\nHost: x\r\nConnection: close", b"Connection: close\r\n"),
        ("HEAD / HTTP/1.1\r\nHost: x", b""),
        ("GET /added HTTP/1.1\r\nHost: x", b""),
    ],
)
async def test_a_usual_response_has_the_same_lines_in_the_same_order_as_any_other(lines: str, expected: bytes) -> None:
    async def answer(request: Request) -> Response:
        if request.path == "/added":
            request.response_headers = {"Vary": "Origin"}
        return Response(200, b"{}", dict(JSON_HEADERS) if "general" in request.target else JSON_HEADERS)

    async with http_listener(answer) as (_, port):
        replies = []
        for target in ("?usual", "?general"):
            async with connected(port) as wire:
                await wire.send(lines.replace(" HTTP", f"{target} HTTP", 1).encode() + b"\r\n\r\n")
                replies.append(await wire.reader.readuntil(b"\r\n\r\n"))
    usual, general = (re.sub(rb"Date: [^\r]*", b"Date: x", each) for each in replies)
    added = b"Vary: Origin\r\n" if "added" in lines else b""
    head = b"Date: x\r\n%bContent-Type: application/json\r\n%bContent-Length: 2\r\n\r\n"
    assert usual == general == b"HTTP/1.1 200 OK\r\n" + head % (expected, added)
