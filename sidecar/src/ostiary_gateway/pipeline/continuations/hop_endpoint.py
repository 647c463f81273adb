"""Takes the answers that other replicas bring, at the admin port.

It needs no bearer token: only who has the gateway's sealing key can write a request that opens, and the key is in the
same Secret as the token. To every other request the endpoint says only that nothing is there.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable
from typing import Final

from aiohttp import web

from ostiary_gateway.errors import Refusal, UpstreamFault
from ostiary_gateway.pipeline.continuations.continuations import Continuation, Continuations
from ostiary_gateway.pipeline.continuations.hop_frames import (
    ALIVE,
    END,
    KEEP_ALIVE_SECONDS,
    MESSAGE,
    PATH,
    TICKET,
    FrameWriter,
    HopRequest,
    is_ticket,
    most_sealed,
)
from ostiary_gateway.seal import Sealer

#: Seconds for the body of a request to arrive, and the most bodies that are read at once.
_BODY_SECONDS: Final = 10.0
_BODIES: Final = 8


class HopEndpoint:
    """Serves ``POST /continuations``.

    ``limit`` returns the most bytes of the message in a request.
    """

    def __init__(self, sealer: Sealer, continuations: Continuations, *, limit: Callable[[], int]) -> None:
        self._sealer = sealer
        self._continuations = continuations
        self._limit = limit
        self._turns = asyncio.Semaphore(_BODIES)

    @property
    def route(self) -> web.RouteDef:
        """The route of the admin port that it serves."""
        return web.post(PATH, self.serve)

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """Go on with what a replica names, and answer with what its caller gets."""
        asked = await self._read(request)
        found = self._continuations.take(asked.key, asked.owner) if asked is not None else None
        if asked is None or found is None:
            return web.Response(status=404, text="nothing waits here\n")
        response = web.StreamResponse(headers={"Content-Type": "application/octet-stream"})
        await response.prepare(request)
        await _answer(response, FrameWriter(self._sealer, asked.nonce), found, asked.payload)
        await response.write_eof()
        return response

    async def _read(self, request: web.Request) -> HopRequest | None:
        limit = most_sealed(self._limit())
        if (request.content_length or limit + 1) > limit:
            return None
        # Without it slow bodies of others would take all turns.
        if not is_ticket(self._sealer, request.headers.get(TICKET, "")):
            return None
        async with self._turns:
            try:
                async with asyncio.timeout(_BODY_SECONDS):
                    body = await request.content.readexactly(request.content_length or 0)
            except (TimeoutError, asyncio.IncompleteReadError):
                return None
            return HopRequest.opened(self._sealer, body)


async def _answer(response: web.StreamResponse, frames: FrameWriter, found: Continuation, payload: bytes) -> None:
    """Write what the caller gets, frame by frame; a replica that goes away cancels the work."""
    going_on = found.resume(payload)
    try:
        await _write_all(response, frames, going_on)
        last = frames.frame(END)
    except (Refusal, UpstreamFault) as error:
        last = frames.failure(error)
    finally:
        await going_on.aclose()
    await response.write(last)


async def _write_all(response: web.StreamResponse, frames: FrameWriter, going_on: AsyncGenerator[bytes]) -> None:
    # A task of its own, since waiting for it must not end it.
    step: asyncio.Future[bytes | None] | None = None
    try:
        while True:
            step = step or asyncio.ensure_future(anext(going_on, None))
            if not (await asyncio.wait({step}, timeout=KEEP_ALIVE_SECONDS))[0]:
                await response.write(frames.frame(ALIVE))
                continue
            text, step = step.result(), None
            if text is None:
                return
            await response.write(frames.frame(MESSAGE, text))
    finally:
        if step is not None:
            step.cancel()
            await asyncio.gather(step, return_exceptions=True)
