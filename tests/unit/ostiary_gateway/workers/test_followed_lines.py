"""Lines of several workers become one stream, in the order of their numbers, with nothing left out."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterable
from typing import Any, cast

import aiohttp
import pytest
from aiohttp import web

from ostiary_gateway.workers.followed_lines import FollowedLines

HEAD = b'{"kind":"Calls"}\n'


class Answer:
    """What a worker sends: pieces that a test puts there, None for its end."""

    def __init__(self) -> None:
        self.pieces: asyncio.Queue[bytes | None] = asyncio.Queue()
        self.content = self
        self.pieces.put_nowait(HEAD)

    def send(self, numbers: Iterable[int]) -> None:
        self.pieces.put_nowait(b"".join(b'{"number":%d}\n' % number for number in numbers))

    def end(self) -> None:
        self.pieces.put_nowait(None)

    async def iter_any(self) -> AsyncIterator[bytes]:
        while (piece := await self.pieces.get()) is not None:
            yield piece


class Reader:
    """A reader that notes what it gets."""

    def __init__(self) -> None:
        self.lines: list[Any] = []
        self.came = asyncio.Condition()

    async def write(self, text: bytes) -> None:
        async with self.came:
            self.lines += [json.loads(line) for line in text.splitlines() if line]
            self.came.notify_all()

    async def has(self, count: int) -> None:
        async with self.came:
            await self.came.wait_for(lambda: len(self.lines) >= count)

    @property
    def numbers(self) -> list[int]:
        return [line["number"] for line in self.lines]


@pytest.fixture
def answers() -> list[Answer]:
    return [Answer(), Answer()]


async def following(answers: list[Answer], reader: Reader) -> None:
    """Follow both until one ends."""
    lines = FollowedLines(cast("list[aiohttp.ClientResponse]", answers), member="number")
    assert await lines.heads() == [{"kind": "Calls"}] * 2
    await lines.write(cast("web.StreamResponse", reader), is_over=lambda: False)


async def test_what_both_have_kept_comes_in_one_order(answers: list[Answer]) -> None:
    reader = Reader()
    task = asyncio.create_task(following(answers, reader))
    answers[0].send(range(1, 2001, 2))
    await asyncio.sleep(0)
    answers[1].send(range(2, 2001, 2))
    await reader.has(2000)
    assert reader.numbers == list(range(1, 2001))
    answers[0].end()
    await task


async def test_lines_of_one_worker_do_not_wait_for_another_for_ever(answers: list[Answer]) -> None:
    reader = Reader()
    task = asyncio.create_task(following(answers, reader))
    answers[0].send(range(1, 20_001))
    await reader.has(20_000)
    assert reader.numbers == list(range(1, 20_001))
    answers[1].end()
    await task


async def test_the_last_lines_of_a_worker_that_ends_come_with_those_of_the_others_before_them(
    answers: list[Answer],
) -> None:
    reader = Reader()
    answers[0].send([2, 4])
    answers[0].end()
    task = asyncio.create_task(following(answers, reader))
    await asyncio.sleep(0)
    answers[1].send([1, 3, 5])
    await task
    assert reader.numbers[:4] == [1, 2, 3, 4]


async def test_a_line_without_a_number_stays_at_its_place(answers: list[Answer]) -> None:
    reader = Reader()
    answers[0].send([1, 3])
    answers[0].pieces.put_nowait(b'{"kind":"Ended"}\n')
    answers[0].end()
    answers[1].send([2])
    answers[1].end()
    await following(answers, reader)
    assert reader.lines == [{"number": 1}, {"number": 2}, {"number": 3}, {"kind": "Ended"}]
