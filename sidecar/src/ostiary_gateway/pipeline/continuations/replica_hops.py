"""Takes an answer to the replica where it is awaited, at that replica's admin port.

The address stands in a handle that only the gateway's own key can seal, so a caller cannot choose where this leads.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import aclosing
from io import BytesIO
from pathlib import Path
from typing import Final

import aiohttp

from ostiary_gateway.pipeline.continuations.continuation_errors import continuation_lost
from ostiary_gateway.pipeline.continuations.handle import Handle, Owner
from ostiary_gateway.pipeline.continuations.hop_frames import (
    END,
    KEEP_ALIVE_SECONDS,
    LENGTH,
    MESSAGE,
    PATH,
    TICKET,
    FrameReader,
    HopRequest,
    most_sealed,
)
from ostiary_gateway.seal import Sealer

_CONNECT_SECONDS: Final = 3.0
#: A replica that is silent for longer is gone: it reports that it still works.
_SILENCE_SECONDS: Final = 4 * KEEP_ALIVE_SECONDS
#: The most requests to other replicas at once. Each waits as long as its call takes.
_MOST: Final = 1024


class ReplicaHops:
    """Sends answers to other replicas.

    ``limit`` returns the most bytes of one message. Must be used within one event loop.
    """

    def __init__(self, sealer: Sealer, *, limit: Callable[[], int]) -> None:
        self._sealer = sealer
        self._limit = limit
        #: The sockets of processes of this pod, by their address: they need no network.
        self.siblings: Mapping[str, Path] = {}
        self._sessions: dict[Path | None, aiohttp.ClientSession] = {}

    async def resume(self, handle: Handle, payload: bytes, owner: Owner) -> AsyncGenerator[bytes]:
        """Go on with a continuation of another replica; yield what its caller gets.

        Raises:
            Refusal: nothing waits there any more, or the replica is gone.
            UpstreamFault: the server of the call failed.
        """
        request = HopRequest.new(handle.key, owner, payload)
        try:
            async with self._connected(handle.replica).post(
                self._url(handle.replica),
                data=BytesIO(request.sealed(self._sealer)),
                headers={TICKET: request.ticket(self._sealer)},
                allow_redirects=False,
            ) as response:
                if response.status != 200:
                    raise continuation_lost()
                async with aclosing(self._messages(response.content, request.nonce)) as messages:
                    async for message in messages:
                        yield message
        except (aiohttp.ClientError, asyncio.IncompleteReadError, TimeoutError, OSError, ValueError) as error:
            raise continuation_lost() from error

    def _url(self, replica: str) -> str:
        return f"http://worker{PATH}" if replica in self.siblings else f"http://{replica}{PATH}"

    async def _messages(self, stream: aiohttp.StreamReader, nonce: str) -> AsyncGenerator[bytes]:
        reader = FrameReader(self._sealer, nonce)
        async for frame in self._frames(stream):
            kind, content = reader.read(frame)
            if kind == END:
                return
            if kind == MESSAGE:
                yield content

    async def _frames(self, stream: aiohttp.StreamReader) -> AsyncIterator[bytes]:
        limit = most_sealed(self._limit())
        while True:
            (length,) = LENGTH.unpack(await stream.readexactly(LENGTH.size))
            if length > limit:
                raise ValueError("a frame of another replica is too long")
            yield await stream.readexactly(length)

    def _connected(self, replica: str) -> aiohttp.ClientSession:
        socket = self.siblings.get(replica)
        session = self._sessions.get(socket)
        if session is None:
            connector: aiohttp.BaseConnector
            if socket is None:
                connector = aiohttp.TCPConnector(limit=_MOST, use_dns_cache=False)
            else:
                connector = aiohttp.UnixConnector(str(socket), limit=_MOST)
            # No proxy of the environment: replicas reach each other directly.
            session = self._sessions[socket] = aiohttp.ClientSession(
                connector=connector,
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_SECONDS, sock_read=_SILENCE_SECONDS),
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
                trust_env=False,
            )
        return session

    async def close(self) -> None:
        """Close all connections."""
        for session in self._sessions.values():
            await session.close()
        self._sessions.clear()
