"""Faults of clients that a library could make noise of: with either HTTP server they leave no log line and no task."""

import asyncio

import pytest
from http_listener import http_listener
from mcp_clients import eventually
from wire import connected, post

from ostiary_gateway.server.connection_limits import Limits
from ostiary_gateway.server.http_servers import HTTP_SERVERS
from ostiary_gateway.server.request import Request
from ostiary_gateway.server.response import Response

CHUNKED = "Transfer-Encoding: chunked"
#: What a client sends behind a head whose request is answered at once.
LATER = {
    "nothing, and disconnects": b"",
    "a malformed chunk": b"zz\r\n\r\n",
    "a chunk that is longer than its size": b"1\r\nxyz\r\n",
    "a malformed trailer": b"0\r\nno trailer\r\n\r\n",
    "too many trailers": b"0\r\n" + b"X: y\r\n" * 300,
}


async def early(_: Request) -> Response:
    return Response(404)


@pytest.mark.parametrize("name", HTTP_SERVERS)
@pytest.mark.parametrize("later", LATER)
async def test_a_body_that_breaks_off_behind_its_answer_leaves_no_log_line_and_no_task(
    later: str, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    before = asyncio.all_tasks()
    # A body that is never complete would be waited for until the end of the test.
    async with http_listener(early, Limits(linger_seconds=10_000.0), name=name, drain=0.1) as (listener, port):
        async with connected(port) as wire:
            await wire.send(post("/", b"", CHUNKED, length=-1))
            assert (await wire.reply()).status == 404
            await wire.send(LATER[later])
            if LATER[later]:
                assert await wire.closed()
        await eventually(lambda: not listener.connections)
        await eventually(lambda: asyncio.all_tasks() <= before)
    assert caplog.records == []
