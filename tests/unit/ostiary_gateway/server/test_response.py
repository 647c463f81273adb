"""Whole responses on the wire: their body may come in pieces."""

import pytest
from http_listener import http_listener
from wire import connected

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
