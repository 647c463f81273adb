"""Numbers of records grow over all workers, and what is no longer kept can be counted."""

from ostiary_gateway.debug_capture.ring import MOST_RECORDS, CaptureRing
from ostiary_gateway.worker_numbers import WorkerNumbers


class Clock:
    """Epoch microseconds that the test sets."""

    def __init__(self) -> None:
        self.at = 1_000_000

    def __call__(self) -> int:
        return self.at


def test_a_number_is_the_time_and_grows_where_the_clock_does_not() -> None:
    clock = Clock()
    numbers = WorkerNumbers(clock)
    assert numbers.after(0) == 1_000_000
    assert numbers.after(1_000_000) == 1_000_001
    clock.at = 0
    assert numbers.after(1_000_001) == 1_000_002


def test_what_was_dropped_after_a_number_is_missed() -> None:
    numbers = WorkerNumbers(Clock())
    for number in (5, 6, 9):
        numbers.drop(number)
    assert [numbers.missed(position) for position in (0, 5, 6, 8, 9, 10)] == [3, 2, 1, 1, 0, 0]


async def test_captured_records_of_workers_say_what_is_missing() -> None:
    clock = Clock()
    ring = CaptureRing(lambda: clock.at / 1e6, WorkerNumbers(clock))
    for _ in range(MOST_RECORDS + 2):
        clock.at += 10
        ring.add({"kind": "Exchange"})
    kept, missed = ring.after(0)
    assert (len(kept), missed) == (MOST_RECORDS, 2)
    assert kept[-1].sequence == clock.at
    assert ring.after(kept[0].sequence) == (kept[1:], 0)
    assert ring.resumed(clock.at + 5) == clock.at + 5, "another worker has told a later one"
