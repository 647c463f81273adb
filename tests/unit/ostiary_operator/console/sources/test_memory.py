"""The same thing is read once at a time, and kept for a moment."""

import asyncio

import pytest

from ostiary_core.errors import OstiaryError
from ostiary_operator.console.sources.memory import ShortMemory


class Source:
    """Something that is read slowly: each read waits for ``gate``. ``now`` is the clock."""

    def __init__(self) -> None:
        self.now = 0.0
        self.reads: list[str] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.error: OstiaryError | None = None

    async def read(self, key: str) -> str:
        self.reads.append(key)
        await self.gate.wait()
        if self.error is not None:
            raise self.error
        return f"{key}{len(self.reads)}"

    def memory(self, *, most: int = 64) -> ShortMemory[str, str]:
        return ShortMemory(self.read, seconds=2, most=most, clock=lambda: self.now)


async def test_many_who_ask_at_once_get_one_read() -> None:
    source = Source()
    memory = source.memory()
    assert await asyncio.gather(*(memory.get("a") for _ in range(50))) == ["a1"] * 50
    assert source.reads == ["a"]


async def test_what_was_read_is_kept_for_so_many_seconds_from_its_end() -> None:
    source = Source()
    memory = source.memory()
    await memory.get("a")
    source.now = 1.9
    assert await memory.get("a") == "a1"
    source.now = 2.0
    assert await memory.get("a") == "a2"


async def test_different_things_are_read_apart() -> None:
    source = Source()
    memory = source.memory()
    assert [await memory.get("a"), await memory.get("b"), await memory.get("a")] == ["a1", "b2", "a1"]


async def test_one_who_leaves_does_not_end_the_read_of_the_others() -> None:
    source = Source()
    source.gate.clear()
    memory = source.memory()
    leaves, stays = (asyncio.ensure_future(memory.get("a")) for _ in range(2))
    await asyncio.sleep(0)
    leaves.cancel()
    await asyncio.sleep(0)
    source.gate.set()
    assert await stays == "a1"
    assert source.reads == ["a"]


async def test_all_who_waited_are_told_of_a_failure_and_the_next_one_reads_again() -> None:
    source = Source()
    source.error = OstiaryError("it is away")
    memory = source.memory()
    found = await asyncio.gather(memory.get("a"), memory.get("a"), return_exceptions=True)
    assert [str(each) for each in found] == ["it is away"] * 2
    source.error = None
    assert await memory.get("a") == "a2"


async def test_no_more_is_kept_than_there_is_room_for() -> None:
    source = Source()
    memory = source.memory(most=2)
    for key in "abc":
        await memory.get(key)
    await memory.get("c")
    assert source.reads == ["a", "b", "c"]
    await memory.get("a")
    assert source.reads == ["a", "b", "c", "a"]


async def test_what_is_forgotten_is_read_again() -> None:
    source = Source()
    memory = source.memory()
    await memory.get("a")
    memory.forget()
    assert await memory.get("a") == "a2"


async def test_a_failure_that_no_reader_waits_for_any_more_is_no_warning() -> None:
    source = Source()
    source.gate.clear()
    source.error = OstiaryError("it is away")
    memory = source.memory()
    leaves = asyncio.ensure_future(memory.get("a"))
    await asyncio.sleep(0)
    leaves.cancel()
    source.gate.set()
    with pytest.raises(asyncio.CancelledError):
        await leaves
    await asyncio.sleep(0)
