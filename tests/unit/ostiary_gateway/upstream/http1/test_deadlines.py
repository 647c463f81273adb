"""Deadlines of what the gateway waits for from servers, which thousands of open streams share."""

import asyncio

import pytest
from timeouts import TIMEOUT_SECONDS

from ostiary_gateway.upstream.http1.deadlines import Deadlines, deadlines_of
from ostiary_gateway.upstream.http1.upstream_response import UpstreamResponse


class _Waiting:
    """Something that waits; ``told`` once it was too late."""

    def __init__(self) -> None:
        self.deadline = 0.0
        self.told = asyncio.Event()

    def too_late(self) -> None:
        self.told.set()


def _waiting(deadlines: Deadlines, *, seconds: float) -> _Waiting:
    waiting = _Waiting()
    waiting.deadline = asyncio.get_running_loop().time() + seconds
    deadlines.add(waiting, waiting.deadline)
    return waiting


async def test_all_that_wait_are_told_however_many_share_the_timer_and_in_which_order_they_came() -> None:
    deadlines = Deadlines()
    found = [_waiting(deadlines, seconds=(number * 7 % 1000) / 10_000) for number in range(1000)]

    async with asyncio.timeout(TIMEOUT_SECONDS):
        for each in found:
            await each.told.wait()


async def test_what_was_removed_or_is_due_later_is_not_told() -> None:
    deadlines = Deadlines()
    removed, later = _waiting(deadlines, seconds=0.001), _waiting(deadlines, seconds=3600)
    due = _waiting(deadlines, seconds=0.001)
    deadlines.remove(removed)

    async with asyncio.timeout(TIMEOUT_SECONDS):
        await due.told.wait()

    assert not removed.told.is_set()
    assert not later.told.is_set()
    deadlines.close()


async def test_nothing_is_told_after_the_end() -> None:
    deadlines = Deadlines()
    waiting = _waiting(deadlines, seconds=0.001)
    deadlines.close()

    other = _waiting(Deadlines(), seconds=0.002)
    async with asyncio.timeout(TIMEOUT_SECONDS):
        await other.told.wait()

    assert not waiting.told.is_set()


class _Connection:
    """The connection of a response of which nothing more comes."""

    def close(self) -> None: ...

    def pause(self) -> None: ...

    def resume(self) -> None: ...


async def test_a_reader_that_gives_up_leaves_nothing_among_the_deadlines() -> None:
    response = UpstreamResponse(200, {}, _Connection())
    reading = asyncio.ensure_future(response.read_some(3600))
    deadlines = deadlines_of(asyncio.get_running_loop())
    await asyncio.sleep(0)
    assert response in deadlines._waiting

    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    response.close()

    assert response not in deadlines._waiting


async def test_a_piece_that_comes_in_time_leaves_nothing_among_the_deadlines() -> None:
    response = UpstreamResponse(200, {}, _Connection())
    reading = asyncio.ensure_future(response.read_some(3600))
    await asyncio.sleep(0)
    response.feed(b"event")

    assert await reading == b"event"
    assert response not in deadlines_of(asyncio.get_running_loop())._waiting


async def test_a_piece_that_does_not_come_in_time_is_awaited_again_by_the_next_reader() -> None:
    response = UpstreamResponse(200, {}, _Connection())
    with pytest.raises(TimeoutError):
        await response.read_some(0.001)
    response.feed(b"event")

    assert await response.read_some(3600) == b"event"
