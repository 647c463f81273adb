"""The data port's HTTP server by itself, on a free port of loopback.

async with serving(echo) as (listener, port), connected(port) as wire:
    await wire.send(…)
"""

import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from ostiary_gateway.server.connection_limits import Limits
from ostiary_gateway.server.http_servers import HTTP_SERVERS, LLHTTP
from ostiary_gateway.server.listener import Gate, Listener
from ostiary_gateway.server.request import Request
from ostiary_gateway.server.response import Response, ResponseStream

#: Which implementation is under test: ``pytest --http-server``.
HTTP_SERVER = os.environ.get("HTTP_SERVER", LLHTTP)

Answer = Callable[[Request], Awaitable[Response | None]]


def new_listener(
    answer: Answer, limits: Limits | None = None, gate: Gate | None = None, *, name: str | None = None
) -> Listener:
    """A listener that was not started yet."""
    return Listener(answer, limits or Limits(), gate, new_connection=HTTP_SERVERS[name or HTTP_SERVER])


@asynccontextmanager
async def http_listener(
    answer: Answer, limits: Limits | None = None, *, drain: float = 1.0, name: str | None = None
) -> AsyncIterator[tuple[Listener, int]]:
    """Answer with this until the block ends, which leaves ``drain`` seconds to what is in flight."""
    listener = new_listener(answer, limits, name=name)
    port = await listener.start("127.0.0.1", 0)
    try:
        yield listener, port
    finally:
        await listener.stop(drain)
        assert not listener.connections


async def flush(stream: ResponseStream) -> None:
    """Send what was written, as fast as the caller takes it."""
    if stream.send():
        await stream.taken()


async def echo(request: Request) -> Response:
    """Read the whole body and answer with it, and with the target."""
    body = b""
    while data := await request.read_some():
        body += data
    return Response(200, body, {"X-Target": request.target})
