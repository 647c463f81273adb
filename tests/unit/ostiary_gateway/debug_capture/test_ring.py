"""A ring keeps the latest records within its bounds, and never waits for a reader."""

import asyncio
import json

from ostiary_gateway.debug_capture.ring import MOST_A_SECOND, MOST_RECORDS, CaptureRing


class Clock:
    """A clock that tests set."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


def ring() -> tuple[CaptureRing, Clock]:
    clock = Clock()
    return CaptureRing(clock), clock


def numbers(kept: CaptureRing, after: int = 0) -> list[int]:
    return [json.loads(line.text)["n"] for line in kept.after(after)[0]]


def test_the_oldest_records_make_room() -> None:
    kept, _ = ring()
    for number in range(MOST_RECORDS + 5):
        kept.add({"n": number})

    assert numbers(kept) == list(range(5, MOST_RECORDS + 5))
    assert kept.size[0] == MOST_RECORDS


def test_its_bytes_are_bounded_even_by_a_record_that_is_larger() -> None:
    kept, _ = ring()
    kept.most_bytes = 100
    kept.add({"n": 1})
    kept.add({"n": 2, "text": "x" * 50})
    assert (numbers(kept), kept.size[1] <= 100) == ([2], True)
    kept.add({"n": 3, "text": "x" * 200})
    assert (numbers(kept), kept.size) == ([], (0, 0))


def test_a_reader_is_told_how_many_records_it_missed() -> None:
    kept, _ = ring()
    kept.most_bytes = 100
    for number in range(1, 21):
        kept.add({"n": number})
    found, missed = kept.after(2)

    assert found[0].sequence == missed + 3
    assert kept.after(20) == ([], 0)


def test_a_reader_gets_at_least_one_record_however_small_its_chunk() -> None:
    kept, _ = ring()
    for number in range(3):
        kept.add({"n": number})
    assert len(kept.after(0, at_most=1)[0]) == 1


def test_records_before_a_time_are_left_out() -> None:
    kept, clock = ring()
    kept.add({"n": 1})
    clock.now = 2_000.0
    kept.add({"n": 2})
    assert [line.sequence for line in kept.after(0, since=1_500.0)[0]] == [2]


def test_more_exchanges_than_a_second_has_room_for_are_counted_and_not_captured() -> None:
    kept, clock = ring()
    assert all(kept.begin() for _ in range(MOST_A_SECOND))
    assert (kept.begin(), kept.skipped) == (0, 1)
    clock.now += 1
    assert kept.begin() == MOST_A_SECOND + 1


def test_after_its_end_nothing_is_added() -> None:
    kept, clock = ring()
    kept.until = 1_500.0
    kept.add({"n": 1})
    clock.now = 1_500.0
    kept.add({"n": 2})
    kept.end("Expired")
    assert (numbers(kept), kept.ended) == ([1], "Expired")


async def test_waiting_ends_with_a_record_with_the_end_and_with_time() -> None:
    kept, _ = ring()
    waiting = asyncio.create_task(kept.wait(0, seconds=60))
    await asyncio.sleep(0)
    kept.add({"n": 1})
    await waiting
    waiting = asyncio.create_task(kept.wait(1, seconds=60))
    await asyncio.sleep(0)
    kept.end("Removed")
    await waiting
    await kept.wait(0, seconds=60)  # it has ended
