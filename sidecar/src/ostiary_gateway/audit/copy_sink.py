"""A copy of the audit trail for another system: a bounded queue and a thread.

A batch is sent again until the receiver takes it, with growing pauses; so a line may arrive twice, and its ``chain``
tells which. While the receiver is away the queue fills; then new lines are lost to this copy, and counted. What was
queued stays, so that the copy is a piece of the trail without holes, followed by a hole.
"""

import logging
import threading
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Sequence
from time import monotonic
from typing import Final

_log: Final = logging.getLogger(__name__)

#: The most bytes that wait, and that one batch has; the most lines of a batch.
MOST_BYTES: Final = 8 * 1024 * 1024
BATCH_BYTES: Final = 1024 * 1024
BATCH_LINES: Final = 512
#: How long a batch waits for more lines, and the shortest and longest pause after a failure, in seconds.
_LINGER: Final = 0.5
_FIRST_PAUSE: Final = 0.25
_LONGEST_PAUSE: Final = 30.0


class DeliveryFailed(Exception):
    """A batch was not taken. The message names no secret.

    ``again``: it may be taken later, in ``after`` seconds if the receiver says so. Otherwise it never will be.
    """

    def __init__(self, message: str, *, again: bool = True, after: float | None = None) -> None:
        super().__init__(message)
        self.again = again
        self.after = after


class CopySink(ABC):
    """A copy; subclasses deliver. The thread starts with the first line."""

    is_copy = True

    def __init__(self, name: str, *, most_bytes: int = MOST_BYTES) -> None:
        self.name = name
        self.lost = 0
        self.fault: str | None = None
        self._most_bytes = most_bytes
        self._queue: deque[bytes] = deque()
        self._bytes = 0
        self._changed = threading.Condition()
        self._closing = False
        self._until = 0.0
        self._thread: threading.Thread | None = None

    @abstractmethod
    def deliver(self, lines: Sequence[bytes]) -> None:
        """Send a batch. Called in the thread of this copy.

        Raises:
            DeliveryFailed: it was not taken.
        """

    @abstractmethod
    def release(self) -> None:
        """Release what deliveries hold open. Called last, in the thread of this copy."""

    def write(self, lines: Sequence[bytes]) -> None:
        """Queue lines; those beyond the bound are lost and counted."""
        with self._changed:
            for line in lines:
                if self._closing or self._bytes + len(line) > self._most_bytes:
                    self.lost += 1
                else:
                    self._queue.append(line)
                    self._bytes += len(line)
            if self._thread is None and self._queue:
                self._thread = threading.Thread(target=self._run, name="ostiary-audit-copy", daemon=True)
                self._thread.start()
            self._changed.notify()

    def close(self, seconds: float) -> None:
        """Deliver what is queued within this time; what remains is lost and counted."""
        with self._changed:
            self._closing, self._until = True, monotonic() + seconds
            self._changed.notify()
        if self._thread is not None:
            self._thread.join(seconds + _LINGER)
        with self._changed:
            self.lost += len(self._queue)
            self._queue.clear()
            self._bytes = 0

    def _run(self) -> None:
        try:
            while batch := self._next_batch():
                self._deliver_at_last(batch)
        finally:
            self.release()

    def _next_batch(self) -> list[bytes]:
        """Wait for lines; return some without removing them, none once this is closed and empty."""
        with self._changed:
            self._changed.wait_for(lambda: self._queue or self._closing)
            self._changed.wait_for(lambda: self._bytes >= BATCH_BYTES or self._closing, timeout=_LINGER)
            batch: list[bytes] = []
            size = 0
            for line in self._queue:
                if batch and (len(batch) >= BATCH_LINES or size + len(line) > BATCH_BYTES):
                    break
                batch.append(line)
                size += len(line)
            return batch if self._may_go_on() else []

    def _deliver_at_last(self, batch: list[bytes]) -> None:
        """Send a batch until it is taken, or never will be."""
        pause = _FIRST_PAUSE
        while self._may_go_on():
            try:
                self.deliver(batch)
            except Exception as cause:  # noqa: BLE001  a bug must not end the copy for ever
                error = cause if isinstance(cause, DeliveryFailed) else _of_bug(cause)
                self._note(str(error))
                if not error.again:
                    self._remove(batch, lost=True)
                    return
                self._wait(min(error.after or pause, _LONGEST_PAUSE))
                pause = min(pause * 2, _LONGEST_PAUSE)
            else:
                self._note(None)
                self._remove(batch, lost=False)
                return

    def _may_go_on(self) -> bool:
        return not self._closing or monotonic() < self._until

    def _wait(self, seconds: float) -> None:
        """Pause; the end of the process shortens the pause that it falls into, not those after it."""
        with self._changed:
            closing = self._closing
            if closing:
                seconds = min(seconds, self._until - monotonic())
            self._changed.wait_for(lambda: self._closing != closing, timeout=max(0.0, seconds))

    def _note(self, fault: str | None) -> None:
        if fault != self.fault:
            if fault is None:
                _log.info("audit sink %s delivers again; %d records were lost to it", self.name, self.lost)
            else:
                _log.warning("audit sink %s cannot deliver: %s", self.name, fault)
        self.fault = fault

    def _remove(self, batch: list[bytes], *, lost: bool) -> None:
        with self._changed:
            for _ in range(min(len(batch), len(self._queue))):
                self._bytes -= len(self._queue.popleft())
            self.lost += len(batch) if lost else 0


def _of_bug(cause: Exception) -> DeliveryFailed:
    _log.error("delivering audit records failed: this is a bug", exc_info=cause)
    return DeliveryFailed(f"a bug: {type(cause).__name__}")
