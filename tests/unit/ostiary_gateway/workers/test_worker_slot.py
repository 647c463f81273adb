"""A worker that ends is replaced, after pauses that grow, and never while it drains."""

import asyncio
import signal
from collections.abc import Callable

import pytest

from ostiary_gateway.workers import worker_slot
from ostiary_gateway.workers.worker_process import WorkerProcess
from ostiary_gateway.workers.worker_slot import WorkerSlot


class Ending(WorkerProcess):
    """A worker that ends when the test says so."""

    def __init__(self, code: int | None, *, failure: str = "", listens: bool = True) -> None:
        self.pid = 1
        self.is_listening = False
        self.failure = failure
        self.signals: list[signal.Signals] = []
        self._listens = listens
        self._code: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        if code is not None:
            self._code.set_result(code)

    async def ended(self, *, on_listening: Callable[[], None]) -> int:
        if self._listens:
            self.is_listening = True
            on_listening()
        return await self._code

    async def kill_hanging(self) -> None:
        self._send(signal.SIGKILL)

    def _send(self, number: signal.Signals) -> None:
        self.signals.append(number)
        if not self._code.done():
            self._code.set_result(0)


class Starts:
    """Starts these workers, one after another; then one that does not end."""

    def __init__(self, *workers: Ending) -> None:
        self.workers = list(workers)
        self.generations: list[int] = []
        self.last: Ending | None = None
        self.lasting = asyncio.Event()

    async def __call__(self, _index: int, generation: int) -> WorkerProcess:
        self.generations.append(generation)
        if self.workers:
            return self.workers.pop(0)
        self.last = Ending(None)
        self.lasting.set()
        return self.last


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker_slot, "_FIRST_PAUSE", 0.001)


async def drained(slot: WorkerSlot, running: "asyncio.Task[None]") -> None:
    slot.drain()
    await running
    assert not slot.is_up
    assert slot.pid is None


async def test_a_worker_that_ends_is_replaced_and_the_reason_is_counted() -> None:
    starts = Starts(Ending(-signal.SIGKILL), Ending(1))
    ended: list[int] = []
    slot = WorkerSlot(0, starts, on_end=ended.append)
    running = asyncio.create_task(slot.run())
    await starts.lasting.wait()
    assert starts.generations == [0, 1, 2]
    assert ended == [0, 0]
    assert slot.ends == {"killed": 1, "exit": 1}
    assert slot.failures == 2
    assert slot.has_listened.is_set()
    await drained(slot, running)


async def test_a_worker_that_did_not_answer_is_not_said_to_have_been_killed_by_the_system() -> None:
    hanging = Ending(None)
    told: list[str] = []
    starts = Starts(hanging)
    slot = WorkerSlot(0, starts, on_end=lambda _: told.append(slot.why))
    running = asyncio.create_task(slot.run())
    await slot.has_listened.wait()
    await slot.kill_hanging()
    await starts.lasting.wait()
    assert told == ["it did not answer"]
    assert slot.ends == {"hanging": 1}
    await drained(slot, running)


async def test_what_a_worker_says_of_its_failure_is_the_reason() -> None:
    starts = Starts(Ending(1, failure="data port: taken", listens=False))
    told: list[tuple[bool, str]] = []
    slot = WorkerSlot(0, starts, on_end=lambda _: told.append((slot.is_refusing, slot.why)))
    running = asyncio.create_task(slot.run())
    await starts.lasting.wait()
    assert told == [(True, "data port: taken")]
    await drained(slot, running)


async def test_a_process_that_cannot_be_started_is_tried_again() -> None:
    tries = 0
    starts = Starts()

    async def start(index: int, generation: int) -> WorkerProcess:
        nonlocal tries
        tries += 1
        if tries == 1:
            raise OSError(11, "Resource temporarily unavailable")
        return await starts(index, generation)

    slot = WorkerSlot(0, start, on_end=lambda _: None)
    running = asyncio.create_task(slot.run())
    await starts.lasting.wait()
    assert slot.failures == 1
    await drained(slot, running)


async def test_a_worker_that_drains_is_not_replaced() -> None:
    starts = Starts()
    slot = WorkerSlot(0, starts, on_end=lambda _: pytest.fail("it was asked to end"))
    running = asyncio.create_task(slot.run())
    await starts.lasting.wait()
    await drained(slot, running)
    assert starts.last is not None
    assert starts.last.signals == [signal.SIGTERM]
    assert starts.generations == [0]


async def test_a_pause_ends_with_the_drain(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker_slot, "_FIRST_PAUSE", 3600.0)
    monkeypatch.setattr(worker_slot, "_LONGEST_PAUSE", 3600.0)
    ended = asyncio.Event()
    slot = WorkerSlot(0, Starts(Ending(1)), on_end=lambda _: ended.set())
    running = asyncio.create_task(slot.run())
    await ended.wait()
    await drained(slot, running)
