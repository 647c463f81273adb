"""Streams of JSON lines of all workers as one: calls and captured exchanges as they come.

Each line that is a record has a number that grows over all workers, since workers number by the clock. Lines are
written in the order of their numbers, so that a reader which comes again after a number has missed nothing before it: a
line waits until each other worker has sent one after it, or for a moment, within which one before it would have come.
The stream ends when a worker comes or goes: the reader comes again, as it does after a restart of a gateway, and is
served by those that are there then.
"""

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import suppress
from typing import Any, Final, NamedTuple

import aiohttp
import orjson
from aiohttp import web

#: Seconds that a line waits for those of other workers, and between two looks at what is due.
_HELD_SECONDS: Final = 0.3
_LOOK_SECONDS: Final = 0.1
#: Seconds without a line before an empty one is written, and for a reader to take a piece.
_KEEP_ALIVE_SECONDS: Final = 15.0
_WRITE_SECONDS: Final = 30.0
#: Bytes of one line.
_MOST_LINE: Final = 8 * 1024 * 1024
#: Lines and bytes of one worker that wait; then it waits itself, and counts what it cannot keep.
_MOST_WAITING: Final = 8192
_MOST_WAITING_BYTES: Final = 4 * 1024 * 1024


class _HeldLine(NamedTuple):
    """A line, the number of its record (of the one before where it has none), and when it came."""

    number: int
    came: float
    text: bytes


class _WorkerLines:
    """The lines of one worker that wait to be written."""

    def __init__(self, answer: aiohttp.ClientResponse, *, member: str) -> None:
        self.lines = split_lines(answer.content.iter_any())
        self.waiting: deque[_HeldLine] = deque()
        self.has_ended = False
        self._member = member
        self._number = 0
        self._bytes = 0
        self._has_room = asyncio.Event()

    async def read(self, came: asyncio.Event) -> None:
        """Read to the end, and set ``came`` with each line."""
        try:
            with suppress(aiohttp.ClientError, ValueError, OSError):
                async for line in self.lines:
                    if line != b"\n":
                        await self._add(line, came)
        finally:
            self.has_ended = True
            came.set()

    async def _add(self, line: bytes, came: asyncio.Event) -> None:
        found = orjson.loads(line)
        number = found.get(self._member) if isinstance(found, dict) else None
        self._number = number if isinstance(number, int) else self._number
        self.waiting.append(_HeldLine(self._number, time.monotonic(), line))
        self._bytes += len(line)
        came.set()
        while len(self.waiting) >= _MOST_WAITING or self._bytes >= _MOST_WAITING_BYTES:
            self._has_room.clear()
            await self._has_room.wait()

    def take(self) -> bytes:
        """Return the first line that waits."""
        text = self.waiting.popleft().text
        self._bytes -= len(text)
        self._has_room.set()
        return text


class FollowedLines:
    """Reads the lines of several answers until one of them ends.

    ``member`` of a line holds the number of its record.
    """

    def __init__(self, answers: Sequence[aiohttp.ClientResponse], *, member: str) -> None:
        self._workers = [_WorkerLines(answer, member=member) for answer in answers]
        self._came = asyncio.Event()

    async def heads(self) -> list[Any]:
        """Return the first line of each answer; they describe what follows.

        Raises:
            ValueError: a worker ended before it.
        """
        return [orjson.loads(await anext(worker.lines, b"")) for worker in self._workers]

    async def write(self, response: web.StreamResponse, *, is_over: Callable[[], bool]) -> None:
        """Write what comes to a reader, until a worker's answer ends or ``is_over``.

        Lines that a worker sent before it ended are written; what others send then the reader asks for again.

        Raises:
            TimeoutError: the reader takes nothing.
            ConnectionError: it is gone.
        """
        tasks = [asyncio.create_task(worker.read(self._came)) for worker in self._workers]
        try:
            await self._write(response, is_over)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _write(self, response: web.StreamResponse, is_over: Callable[[], bool]) -> None:
        quiet_since, end = time.monotonic(), float("inf")
        while (now := time.monotonic()) < end:
            if end == float("inf") and (is_over() or any(worker.has_ended for worker in self._workers)):
                end = now + _HELD_SECONDS + _LOOK_SECONDS
            await self._wait()
            text = b"".join(self._due())
            if not text and time.monotonic() - quiet_since > _KEEP_ALIVE_SECONDS:
                text = b"\n"
            if text:
                quiet_since = time.monotonic()
                async with asyncio.timeout(_WRITE_SECONDS):
                    await response.write(text)

    async def _wait(self) -> None:
        """Wait for a line, or until some may be due."""
        with suppress(TimeoutError):
            async with asyncio.timeout(_LOOK_SECONDS):
                await self._came.wait()
        self._came.clear()

    def _due(self) -> list[bytes]:
        """Return the lines that no worker can precede any more, in their order."""
        until, found = time.monotonic() - _HELD_SECONDS, []
        while some := [worker for worker in self._workers if worker.waiting]:
            first = min(some, key=lambda worker: worker.waiting[0].number)
            is_complete = all(worker.waiting or worker.has_ended for worker in self._workers)
            if not is_complete and first.waiting[0].came > until:
                break
            found.append(first.take())
        return found


async def split_lines(pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Yield the lines of an answer, each with its end.

    Raises:
        ValueError: a line is too long.
    """
    rest = b""
    async for piece in pieces:
        *lines, rest = (rest + piece).split(b"\n")
        for line in lines:
            yield line + b"\n"
        if len(rest) > _MOST_LINE:
            raise ValueError("a line of a worker is too long")
