"""The latest records of one proxy, bounded in number and bytes.

Readers keep a position instead of a queue: one that is too slow misses records and is told how many, and costs no
memory here.
"""

from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

import orjson

from ostiary_gateway.waiting_readers import WaitingReaders
from ostiary_gateway.worker_numbers import WorkerNumbers

#: Records of one proxy.
MOST_RECORDS: Final = 1_000
#: Bytes of all records of one proxy. Where many proxies are captured, each gets less (:mod:`.captures`).
MOST_BYTES: Final = 4 * 1024 * 1024
#: Exchanges of one proxy that are captured in a second; more are only counted.
MOST_A_SECOND: Final = 100


class CapturedLine(NamedTuple):
    """One record as a JSON line, its position, and when it was made, in epoch seconds."""

    sequence: int
    at: float
    text: bytes


class CaptureRing:
    """The records of one proxy.

    Must be used within one event loop; ``clock`` returns epoch seconds. A worker gives ``numbers`` for the records.
    """

    def __init__(self, clock: Callable[[], float], numbers: WorkerNumbers | None = None) -> None:
        self._numbers = numbers
        self.most_bytes = MOST_BYTES
        #: When the capture ends, in epoch seconds.
        self.until = float("inf")
        #: Exchanges that were not captured, since there were too many in a second.
        self.skipped = 0
        self.captured = 0
        #: Why no more records follow; empty while they do.
        self.ended = ""
        self._clock = clock
        self._lines: deque[CapturedLine] = deque()
        self._bytes = 0
        #: The position of the newest record; 0 before the first.
        self.last = 0
        self._exchanges = 0
        self._second = 0
        self._in_second = 0
        self._waiting = WaitingReaders()

    def begin(self) -> int:
        """Return the number of a new exchange; 0 where too many come to capture it."""
        now = int(self._clock())
        if now != self._second:
            self._second, self._in_second = now, 0
        self._in_second += 1
        if self._in_second > MOST_A_SECOND:
            self.skipped += 1
            return 0
        self._exchanges += 1
        return self._exchanges

    def add(self, record: Mapping[str, Any]) -> None:
        """Keep a record, which JSON can represent; the oldest ones make room for it."""
        if self.ended or self._clock() >= self.until:
            return
        self.last = self.last + 1 if self._numbers is None else self._numbers.after(self.last)
        self.captured += 1
        text = orjson.dumps({"sequence": self.last, **record}) + b"\n"
        self._lines.append(CapturedLine(self.last, self._clock(), text))
        self._bytes += len(text)
        self.shrink()
        self._waiting.wake()

    def shrink(self) -> None:
        """Drop the oldest records until the rest are within the bounds."""
        while self._lines and (len(self._lines) > MOST_RECORDS or self._bytes > self.most_bytes):
            dropped = self._lines.popleft()
            self._bytes -= len(dropped.text)
            if self._numbers is not None:
                self._numbers.drop(dropped.sequence)

    def end(self, reason: str) -> None:
        """Take no more records; readers that follow are told why. What is kept can still be read."""
        self.ended = self.ended or reason
        self._waiting.wake()

    def clear(self) -> None:
        """Forget all records."""
        self._lines.clear()
        self._bytes = 0

    def resume(self) -> None:
        """Take records again after the end of an earlier capture."""
        self.ended = ""

    def after(self, sequence: int, *, since: float = 0.0, at_most: int = MOST_BYTES) -> tuple[list[CapturedLine], int]:
        """Return the records after a position, and how many of them are no longer kept.

        The oldest is first. ``since`` omits older ones, in epoch seconds. They have ``at_most`` bytes, but there is at
        least one.
        """
        found: list[CapturedLine] = []
        size = 0
        for line in self._lines:
            if line.sequence <= sequence or line.at < since:
                continue
            size += len(line.text)
            if found and size > at_most:
                break
            found.append(line)
        if self._numbers is not None:
            return found, self._numbers.missed(sequence)
        oldest = self._lines[0].sequence if self._lines else self.last + 1
        return found, max(0, oldest - 1 - sequence)

    def resumed(self, after: int) -> int:
        """Return where a reader goes on that knows the records up to a position.

        A replica that was started again counts from 1 again; workers never do.
        """
        return after if self._numbers is not None or after <= self.last else 0

    @property
    def size(self) -> tuple[int, int]:
        """The number of records, and their bytes."""
        return len(self._lines), self._bytes

    async def wait(self, sequence: int, *, seconds: float) -> None:
        """Wait until there is a record after a position, or the ring has ended."""
        if self.last > sequence or self.ended:
            return
        await self._waiting.wait(seconds=seconds)
