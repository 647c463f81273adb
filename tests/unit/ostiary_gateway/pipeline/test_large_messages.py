"""Large messages are queued fairly, and work in steps lets other tasks run in between."""

import asyncio
from collections.abc import Generator

import pytest
from timeouts import TIMEOUT_SECONDS

from ostiary_core import json_weight
from ostiary_gateway.pipeline.large_messages import (
    LIGHT_BYTES,
    LargeMessageQueue,
    at_once,
    in_slices,
    is_light,
    weighed,
)


async def take(turns: LargeMessageQueue, key: str, name: str, done: list[str]) -> None:
    async with turns.turn(key):
        done.append(name)


async def test_a_proxy_with_many_large_messages_lets_the_one_of_another_go_before_its_next() -> None:
    turns, done = LargeMessageQueue(), list[str]()
    async with asyncio.TaskGroup() as group:
        for n in range(4):
            group.create_task(take(turns, "crm", f"crm-{n}", done))
        await asyncio.sleep(0)
        group.create_task(take(turns, "docs", "docs-0", done))
    assert done == ["crm-0", "crm-1", "docs-0", "crm-2", "crm-3"]


async def test_the_event_loop_serves_others_between_two_large_messages() -> None:
    turns, done = LargeMessageQueue(), list[str]()

    async def others() -> None:
        while len(done) < 12:
            done.append("other")
            await asyncio.sleep(0)

    async with asyncio.TaskGroup() as group:
        group.create_task(take(turns, "crm", "first", done))
        group.create_task(take(turns, "crm", "second", done))
        group.create_task(others())
    assert done.index("second") - done.index("first") > 4


@pytest.mark.parametrize("given_already", [False, True])
async def test_a_waiter_that_is_cancelled_keeps_no_place_in_the_queue(given_already: bool) -> None:
    turns, done = LargeMessageQueue(), list[str]()
    async with turns.turn("crm"):
        waiting = asyncio.create_task(take(turns, "crm", "cancelled", done))
        await asyncio.sleep(0)
        if not given_already:
            waiting.cancel()
    for _ in range(100):
        if given_already and not turns._queues:
            waiting.cancel()
            break
        await asyncio.sleep(0)
    await asyncio.gather(waiting, return_exceptions=True)
    await asyncio.wait_for(take(turns, "crm", "next", done), TIMEOUT_SECONDS)
    assert done == ["next"]


async def test_a_failed_task_releases_its_place() -> None:
    turns, done = LargeMessageQueue(), list[str]()
    with pytest.raises(ZeroDivisionError):
        async with turns.turn("crm"):
            1 / 0  # noqa: B018  any failure will do
    await asyncio.wait_for(take(turns, "crm", "next", done), TIMEOUT_SECONDS)
    assert done == ["next"]


def test_a_text_is_light_by_what_it_holds_not_by_its_length_alone() -> None:
    assert is_light(b"[" * LIGHT_BYTES)
    assert is_light(b'{"text": "' + b"x" * 200_000 + b'"}')
    assert not is_light(b"[" * LIGHT_BYTES + b"]")
    assert not is_light(b'{"text": "' + b"x" * (1 << 20) + b'"}')


def test_more_than_the_limit_is_known_without_counting_the_rest() -> None:
    text = b"[" * (16 << 20)
    with pytest.raises(StopIteration) as stop:
        next(weighed(text, 1000 * json_weight.UNIT))
    assert 1000 * json_weight.UNIT < stop.value.value < 100_000 * json_weight.UNIT


async def test_work_in_steps_lets_others_in_and_comes_to_the_same_at_once() -> None:
    def steps() -> Generator[None, None, str]:
        for _ in range(50):
            sum(range(50_000))
            yield
        return "made"

    rounds = 0

    async def others() -> None:
        nonlocal rounds
        while True:
            rounds += 1
            await asyncio.sleep(0)

    parallel = asyncio.create_task(others())
    assert await in_slices(steps()) == at_once(steps()) == "made"
    parallel.cancel()
    assert rounds > 3
