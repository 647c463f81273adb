"""A pool of connections to a scripted server, and the bytes of requests and responses that its tests share."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from scripted_server import Script, scripted

from ostiary_gateway.upstream.allowed_addresses import OwnEndpoints, networks
from ostiary_gateway.upstream.http1.dialer import Dialer
from ostiary_gateway.upstream.http1.pool import Pool
from ostiary_gateway.upstream.http1.upstream_response import UpstreamResponse

REQUEST = b"POST /mcp HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\n{}"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
LAST = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok"
OTHER = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nother"


@asynccontextmanager
async def pool_for(
    script: Script, *, limit: int = 4, keep_seconds: float = 30, wait_seconds: float = 5
) -> AsyncIterator[Pool]:
    """Serve the script until the block ends, and yield a pool of connections to it."""
    async with scripted(script) as port:
        granted = networks(["127.0.0.0/8"])
        dialer = Dialer("127.0.0.1", port, 2.0, None, None, granted, OwnEndpoints())
        pool = Pool(dialer.dial, limit=limit, keep_seconds=keep_seconds, wait_seconds=wait_seconds)
        try:
            yield pool
        finally:
            pool.close()


async def body(response: UpstreamResponse) -> bytes:
    """Read the whole body."""
    pieces = []
    while piece := await response.read_some(5):
        pieces.append(piece)
    return b"".join(pieces)
