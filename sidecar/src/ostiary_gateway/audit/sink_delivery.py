"""One sink with the lines that it has not taken yet.

A sink that fails gets the same lines again, after a pause. So a short fault loses nothing. Where another trail still
works, a sink that fails for long loses its oldest lines, and a record names them once it works again.
"""

import logging
from collections import deque
from collections.abc import Sequence
from itertools import islice
from time import monotonic
from typing import Final

from ostiary_gateway.audit.sink import Sink, SinkError
from ostiary_gateway.telemetry.throttled_warning import WarningLimiter

_log = logging.getLogger(__name__)
#: Bytes of lines that wait for a sink. Beyond that nothing more is made of what the queue holds.
MOST_BYTES: Final = 4 * 1024 * 1024
#: Lines that a sink gets at once: each write of a file costs as much as the encoding of some 50 lines.
LINES_AT_ONCE: Final = 256
#: Seconds before a sink that failed is tried again.
RETRY_SECONDS: Final = 1.0


class SinkDelivery:
    """The lines for one sink.

    The thread of the trail owns it; any thread may read the public attributes.
    """

    def __init__(self, sink: Sink) -> None:
        self.sink = sink
        #: Why the sink cannot be written now; None where it can.
        self.fault: str | None = None
        self.written = 0
        #: The first and the last number of lines that this sink will never have.
        self.hole: tuple[int, int] | None = None
        self._backlog: deque[tuple[int, bytes]] = deque()
        self._bytes = 0
        self._retry_at = 0.0
        self._warner = WarningLimiter(_log, level=logging.ERROR)

    @property
    def is_full(self) -> bool:
        """Whether as many lines wait as may."""
        return self._bytes >= MOST_BYTES

    @property
    def waiting(self) -> int:
        """The number of lines that wait."""
        return len(self._backlog)

    def add(self, lines: Sequence[tuple[int, bytes]]) -> None:
        """Add lines with their numbers."""
        self._backlog.extend(lines)
        self._bytes += sum([len(line) for _, line in lines])

    def take_back(self) -> Sequence[tuple[int, bytes]]:
        """Return the lines that wait, and give them up."""
        lines = tuple(self._backlog)
        self._backlog.clear()
        self._bytes = 0
        return lines

    def drop(self) -> None:
        """Give up the lines that wait, since others have them."""
        lines = self.take_back()
        if lines:
            self.hole = (self.hole[0] if self.hole is not None else lines[0][0], lines[-1][0])

    def deliver(self, *, at_once: bool = False) -> None:
        """Write what waits. ``at_once`` also where the sink has just failed."""
        if not at_once and self.fault is not None and monotonic() < self._retry_at:
            return
        while self._backlog:
            lines = [line for _, line in islice(self._backlog, LINES_AT_ONCE)]
            try:
                self.sink.write(lines)
            except SinkError as error:
                self._remove(error.written)
                self._failed(str(error))
                return
            self._remove(len(lines))
        if self.fault is not None:
            _log.info("audit: %s can be written again", self.sink.name)
            self.fault = None

    def _remove(self, count: int) -> None:
        self.written += count
        if count == len(self._backlog):
            self._backlog.clear()
            self._bytes = 0
            return
        for _ in range(count):
            self._bytes -= len(self._backlog.popleft()[1])

    def _failed(self, words: str) -> None:
        self.fault = words
        self._retry_at = monotonic() + RETRY_SECONDS
        self._warner.warn("audit records wait: %s", words)
