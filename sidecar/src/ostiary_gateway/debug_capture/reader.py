"""Serves captured exchanges on the admin port, as JSON lines.

``GET /capture`` lists the captures of this replica. ``?proxy=namespace/name`` sends a line that describes the capture,
then its records, oldest first; ``since`` omits those before a time in epoch milliseconds, and ``after`` those up to a
sequence number. With ``follow=true`` the response goes on with each new record, until the capture ends or the reader
disconnects. An empty line is sent while nothing happens.

A reader that is too slow misses records: a line of kind ``Gap`` says how many. It occupies its connection and one chunk
of memory, and is closed when it takes nothing for a while.
"""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any, Final

import orjson
from aiohttp import web

from ostiary_gateway.debug_capture.captured_exchange import moment
from ostiary_gateway.debug_capture.captures import DebugCaptures, ProxyCapture

#: Readers that follow at the same time; more get 503.
MOST_READERS: Final = 32
#: Seconds after which a reader that takes nothing is closed.
WRITE_SECONDS: Final = 30.0
#: Seconds of silence before an empty line is sent.
KEEP_ALIVE_SECONDS: Final = 15.0
_CHUNK_BYTES: Final = 64 * 1024
_TYPE: Final = "application/jsonl"
_HEADERS: Final = {"Content-Type": _TYPE, "Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}


class UnusableQuery(Exception):
    """A query that cannot be served; the message names the parameter."""


@dataclass(frozen=True, slots=True)
class CaptureQuery:
    """What a reader asks for. ``since`` is in epoch seconds."""

    proxy: str
    after: int = 0
    since: float = 0.0
    follow: bool = False

    @classmethod
    def of(cls, request: web.Request) -> "CaptureQuery":
        """Read the query of a request.

        Raises:
            UnusableQuery: a parameter is unknown or has no valid value.
        """
        given = request.query
        if unknown := given.keys() - {"proxy", "after", "since", "follow"}:
            raise UnusableQuery(f"unknown parameter {min(unknown)[:40]!r}: there are proxy, after, since and follow")
        return cls(
            proxy=given.get("proxy", ""),
            after=_number(given.get("after", "0"), "after"),
            since=_number(given.get("since", "0"), "since") / 1000,
            follow=_truth(given.get("follow", "false"), "follow"),
        )


class CaptureReaders:
    """Serves the captures of one gateway process to readers that may see them."""

    def __init__(self, captures: DebugCaptures, *, replica: str) -> None:
        self._captures = captures
        self._replica = replica
        self._following = 0

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """Answer ``GET /capture``. The caller has checked that the reader may read it."""
        try:
            query = CaptureQuery.of(request)
        except UnusableQuery as error:
            return _problem(400, "InvalidQuery", str(error))
        if not query.proxy:
            lines = (_line(self._description(each)) for each in self._captures)
            return web.Response(body=b"".join(lines), headers=_HEADERS)
        capture = self._captures.named(query.proxy)
        if capture is None:
            return _problem(404, "NotCaptured", "this replica captures no exchanges of this MCPProxy")
        if query.follow and self._following >= MOST_READERS:
            return _problem(503, "TooManyReaders", f"{MOST_READERS} readers follow already")
        return await self._stream(request, query, capture)

    async def _stream(self, request: web.Request, query: CaptureQuery, capture: ProxyCapture) -> web.StreamResponse:
        response = web.StreamResponse(headers=_HEADERS)
        self._following += query.follow
        try:
            await response.prepare(request)
            await _write(response, _line(self._description(capture)))
            async for chunk in chunks(capture, query):
                await _write(response, chunk)
            await response.write_eof()
        except (TimeoutError, ConnectionError):
            if request.transport is not None:
                request.transport.abort()
        finally:
            self._following -= query.follow
        return response

    def _description(self, capture: ProxyCapture) -> dict[str, Any]:
        records, size = capture.ring.size
        return {
            "kind": "Capture",
            "proxy": capture.proxy,
            "replica": self._replica,
            "until": moment(capture.ends),
            "contents": capture.config.contents,
            "ended": capture.ring.ended,
            "records": records,
            "bytes": size,
            "skipped": capture.ring.skipped,
        }


async def chunks(capture: ProxyCapture, query: CaptureQuery) -> AsyncIterator[bytes]:
    """Yield what a reader gets after the description: without ``follow``, what is kept."""
    ring, since = capture.ring, query.since
    position = ring.resumed(query.after)
    while True:
        found, missed = ring.after(position, since=since, at_most=_CHUNK_BYTES)
        if missed and position:
            yield _line({"kind": "Gap", "missed": missed})
        if found:
            position = found[-1].sequence
            yield b"".join(line.text for line in found)
            continue
        if not query.follow:
            return
        if ring.ended:
            yield _line({"kind": "Ended", "reason": ring.ended})
            return
        position = max(position, ring.last)
        await ring.wait(position, seconds=KEEP_ALIVE_SECONDS)
        if ring.last == position and not ring.ended:
            yield b"\n"


async def _write(response: web.StreamResponse, chunk: bytes) -> None:
    async with asyncio.timeout(WRITE_SECONDS):
        await response.write(chunk)


def _line(value: dict[str, Any]) -> bytes:
    return orjson.dumps(value) + b"\n"


def _problem(status: int, reason: str, message: str) -> web.Response:
    return web.Response(status=status, body=_line({"reason": reason, "message": message}), headers=_HEADERS)


def _truth(text: str, name: str) -> bool:
    if text not in {"true", "false"}:
        raise UnusableQuery(f"{name} is neither true nor false: write one of them")
    return text == "true"


def _number(text: str, name: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 16:
        raise UnusableQuery(f"{name} is no number: write digits only")
    return int(text)
