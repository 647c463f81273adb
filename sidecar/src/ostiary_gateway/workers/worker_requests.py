"""Requests to the admin applications of the workers.

They go over sockets that only processes of this user can reach.
"""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import aiohttp
from aiohttp import web

from ostiary_core.evidence.document import TOKEN_HEADER

#: Seconds for a worker to answer where the others did: readers of a replica give up after two.
_USUAL_SECONDS: Final = 1.5
#: Seconds for an answer that is not a stream where no other worker has answered.
_SECONDS: Final = 10.0
_ENDLESS: Final = aiohttp.ClientTimeout(total=None, sock_read=None)
#: Bytes of one answer of a worker.
_MOST_BYTES: Final = 64 * 1024 * 1024
#: The host of a request over a socket: it says nothing.
_BASE: Final = "http://worker"
#: The headers that a worker judges a request by.
_PASSED: Final = ("Authorization", TOKEN_HEADER)
#: Headers of a request or response that are of one connection, and those that are written again.
_OF_ONE_HOP: Final = frozenset(
    {"connection", "content-length", "date", "host", "keep-alive", "server", "te", "transfer-encoding", "upgrade"}
)


@dataclass(frozen=True, slots=True)
class WorkerAnswer:
    """What one worker answered."""

    index: int
    status: int
    headers: Mapping[str, str]
    body: bytes


class WorkerRequests:
    """Asks workers; ``sockets`` are those of their admin applications, by index.

    ``silent`` are the workers that gave no answer in time when they were last asked.
    """

    def __init__(self, sockets: Sequence[Path]) -> None:
        self.silent: set[int] = set()
        self._sessions = [
            aiohttp.ClientSession(
                connector=aiohttp.UnixConnector(str(path), limit=0),
                timeout=aiohttp.ClientTimeout(total=_SECONDS),
                auto_decompress=False,
                cookie_jar=aiohttp.DummyCookieJar(),
            )
            for path in sockets
        ]

    async def all(
        self, indexes: Sequence[int], target: str, headers: Mapping[str, str], *, seconds: float = _USUAL_SECONDS
    ) -> list[WorkerAnswer]:
        """Return the answers to a GET of those of these workers that answer in time, by index.

        One that hangs does not delay the others' answers for more than ``seconds``. Where none has answered by then, as
        on a machine that is very busy, the first answers are waited for.
        """
        asked = [asyncio.ensure_future(self.one(index, target, headers)) for index in indexes]
        try:
            await _first_of(asked, seconds)
            found = [each.result() for each in asked if each.done()]
            self.silent.update(index for index, each in zip(indexes, asked, strict=True) if not each.done())
        finally:
            for each in asked:
                each.cancel()
        return [answer for answer in found if answer is not None]

    async def one(
        self, index: int, target: str, headers: Mapping[str, str], *, seconds: float = _SECONDS
    ) -> WorkerAnswer | None:
        """Return the answer of a worker to a GET; None without one in time and within bounds."""
        limit = aiohttp.ClientTimeout(total=seconds)
        try:
            async with self._sessions[index].get(_BASE + target, headers=headers, timeout=limit) as response:
                body = await response.read()
        except (aiohttp.ClientError, TimeoutError, OSError):
            self.silent.add(index)
            return None
        self.silent.discard(index)
        return WorkerAnswer(index, response.status, response.headers, body) if len(body) <= _MOST_BYTES else None

    async def opened(self, index: int, target: str, headers: Mapping[str, str]) -> aiohttp.ClientResponse | None:
        """Return the beginning of an answer that goes on; None without one in time."""
        try:
            async with asyncio.timeout(_USUAL_SECONDS):
                found = await self._sessions[index].get(_BASE + target, headers=headers, timeout=_ENDLESS)
        except (aiohttp.ClientError, TimeoutError, OSError):
            self.silent.add(index)
            return None
        self.silent.discard(index)
        return found

    async def relay(self, index: int, target: str, request: web.Request) -> web.StreamResponse:
        """Send a request on to a worker, and its answer back, both piece by piece."""
        headers = {name: value for name, value in request.headers.items() if name.lower() not in _OF_ONE_HOP}
        if request.content_length is not None:
            headers["Content-Length"] = str(request.content_length)
        try:
            async with self._sessions[index].request(
                request.method, _BASE + target, headers=headers, data=request.content.iter_any(), timeout=_ENDLESS
            ) as answer:
                kept = {name: value for name, value in answer.headers.items() if name.lower() not in _OF_ONE_HOP}
                response = web.StreamResponse(status=answer.status, headers=kept)
                await response.prepare(request)
                async for piece in answer.content.iter_any():
                    await response.write(piece)
                await response.write_eof()
                return response
        except (aiohttp.ClientError, OSError):
            if request.transport is not None:
                request.transport.abort()  # the beginning may be sent already: the end must not look like one
            raise

    async def close(self) -> None:
        """Close the connections."""
        for session in self._sessions:
            await session.close()


async def _first_of(asked: Collection["asyncio.Future[WorkerAnswer | None]"], seconds: float) -> None:
    """Wait until all is done; after ``seconds`` until there is any answer."""
    waiting = set(asked)
    if waiting:
        _, waiting = await asyncio.wait(waiting, timeout=seconds)
    while waiting and all(each.result() is None for each in asked if each.done()):
        _, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)


def passed_headers(request: web.Request) -> dict[str, str]:
    """Return the headers of a request that workers judge it by."""
    return {name: request.headers[name] for name in _PASSED if name in request.headers}


def as_it_is(answer: WorkerAnswer) -> web.Response:
    """Return the answer of one worker, such as a refusal."""
    kept = {name: answer.headers[name] for name in ("Content-Type", "WWW-Authenticate") if name in answer.headers}
    return web.Response(status=answer.status, body=answer.body, headers=kept)


def unanswered(up: Sequence[int], found: Sequence[WorkerAnswer]) -> list[int]:
    """Return the workers that are up and did not answer."""
    answered = {answer.index for answer in found}
    return [index for index in up if index not in answered]


def missing_member(indexes: Sequence[int]) -> Mapping[str, Any]:
    """Return what a page says of workers that did not answer; nothing where all did."""
    return {"missingWorkers": list(indexes)} if indexes else {}


def no_answer(up: Sequence[int]) -> web.Response:
    """Return the answer where no worker gives one."""
    missing = ", ".join(map(str, up))
    return web.Response(status=503, text=f"worker {missing} does not answer\n" if missing else "no worker is up\n")
