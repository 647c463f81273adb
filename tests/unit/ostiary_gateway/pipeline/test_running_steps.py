"""Steps of work run in the event loop, and get what they wait for."""

import asyncio
import threading

import pytest

from ostiary_core.steps import Awaited, InThread, Steps
from ostiary_gateway.pipeline import large_messages
from ostiary_gateway.pipeline.large_messages import LargeMessageQueue, in_slices, process_sized
from ostiary_gateway.pipeline.running_steps import RunningSteps

LARGE = 1 << 20


@pytest.fixture(autouse=True)
def queue(monkeypatch: pytest.MonkeyPatch) -> LargeMessageQueue:
    """The queue of one test: a turn ends some iterations of its loop later."""
    queue = LargeMessageQueue()
    monkeypatch.setattr(large_messages, "LARGE_MESSAGES", queue)
    return queue


def in_a_thread() -> Steps[bool]:
    yield
    name = yield InThread(lambda: threading.current_thread().name)
    return bool(name != threading.current_thread().name)


async def test_a_search_is_done_in_another_thread() -> None:
    assert await in_slices(in_a_thread())
    assert await process_sized(in_a_thread(), size=LARGE, proxy="crm")
    assert await process_sized(in_a_thread(), size=1, proxy="crm")


async def test_an_error_of_what_was_asked_for_is_raised_in_the_work() -> None:
    def careful() -> Steps[str]:
        try:
            yield InThread([].pop)
        except IndexError:
            return "empty"
        return "full"

    assert await in_slices(careful()) == "empty"
    assert await RunningSteps(careful()).soon() == "empty"


async def test_an_error_that_the_work_does_not_handle_reaches_its_caller() -> None:
    def careless() -> Steps[None]:
        yield InThread([].pop)

    with pytest.raises(IndexError):
        await process_sized(careless(), size=LARGE, proxy="crm")


async def test_a_large_message_gives_its_turn_to_others_while_it_awaits_a_service(queue: LargeMessageQueue) -> None:
    asked, answered = asyncio.Event(), asyncio.Event()

    async def verdict() -> str:
        asked.set()
        await answered.wait()
        return "fine"

    def judged() -> Steps[str]:
        yield
        return str((yield Awaited(verdict)))

    async with asyncio.TaskGroup() as group:
        waiting = group.create_task(process_sized(judged(), size=LARGE, proxy="crm"))
        await asked.wait()
        async with queue.turn("docs"):
            answered.set()
    assert waiting.result() == "fine"


async def test_work_may_wait_for_one_thing_after_another() -> None:
    async def verdict() -> int:
        return 2

    def both() -> Steps[int]:
        first = yield InThread(lambda: 1)
        second = yield Awaited(verdict)
        return int(first + second + (yield InThread(lambda: 3)))

    assert await in_slices(both()) == 6
    assert await process_sized(both(), size=LARGE, proxy="crm") == 6
    assert await process_sized(both(), size=1, proxy="crm") == 6
