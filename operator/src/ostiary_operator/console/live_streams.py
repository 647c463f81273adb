"""Rows of a page as they come, one JSON object a line.

The script of the page reads them, and programs may.

A stream ends after five minutes, and the script opens it again: so a right, or a session, that has ended is noticed. An
empty line says that the connection lives. A browser that does not read is disconnected.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Final

import orjson
from aiohttp import web

from ostiary_operator.console import in_flight, twins
from ostiary_operator.console.in_flight import TAKEN, Room
from ostiary_operator.console.page import PageContext

#: A line is written at least this often.
QUIET_SECONDS: Final = 15.0
#: How long one stream lasts.
MOST_SECONDS: Final = 300.0
#: How long a browser may take to read what was written.
_WRITE_SECONDS: Final = 30.0


@dataclass(frozen=True, slots=True)
class LiveStream:
    """One stream.

    ``open`` judges the request before it returns, and raises as a page does; then it yields models, as the twin of a
    page has them.
    """

    path: str
    open: Callable[[PageContext], Awaitable[AsyncIterator[object]]]


class LiveStreams:
    """Serves the streams of a console, a bounded number at once."""

    def __init__(self, most: int | None = None) -> None:
        self._room = Room(in_flight.MOST_TAILS if most is None else most, what="live pages")

    async def serve(self, stream: LiveStream, context: PageContext, request: web.Request) -> web.StreamResponse:
        """Answer with a stream.

        Raises:
            TooBusy: there are too many.
            ConsoleError: ``open`` refuses the request.
        """
        with self._room.one():
            request[TAKEN].release()
            rows = await stream.open(context)
            response = web.StreamResponse(headers={"Content-Type": "application/x-ndjson", "X-Accel-Buffering": "no"})
            await response.prepare(request)
            # A browser that has gone is no error, and the end of its time is none either.
            with contextlib.suppress(ConnectionError, TimeoutError):
                async with asyncio.timeout(MOST_SECONDS):
                    await _write_rows(rows, response)
            return response


async def _write_rows(rows: AsyncIterator[object], response: web.StreamResponse) -> None:
    """Write rows until there are no more.

    Raises:
        TimeoutError: the browser does not read.
    """
    following = asyncio.ensure_future(anext(rows, None))
    try:
        await _write(response, b"\n")  # so that the browser gets the headers
        while True:
            done, _ = await asyncio.wait({following}, timeout=QUIET_SECONDS)
            if not done:
                await _write(response, b"\n")
                continue
            row = following.result()
            if row is None:
                return
            await _write(response, orjson.dumps(twins.as_json(row), option=orjson.OPT_APPEND_NEWLINE))
            following = asyncio.ensure_future(anext(rows, None))
    finally:
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)
        if hasattr(rows, "aclose"):
            await rows.aclose()


async def _write(response: web.StreamResponse, data: bytes) -> None:
    async with asyncio.timeout(_WRITE_SECONDS):
        await response.write(data)
