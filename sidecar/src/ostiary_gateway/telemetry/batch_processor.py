"""A batch span processor: a bounded queue of ended spans, and one thread that exports it.

A request only appends to the queue. If the queue is full, a span is dropped and counted; a request never waits.

For the exporter that is built in, spans are encoded when they end, in the event loop: a thread that encodes takes the
interpreter's lock whenever the loop sends or receives, and all callers wait for that. The thread joins and sends bytes.
"""

import logging
import threading
from collections import deque
from dataclasses import dataclass
from typing import Final

from ostiary_gateway.telemetry.otlp.exporter import Exporter, ExportResult, QueuedSpan, ShutdownSignal
from ostiary_gateway.telemetry.throttled_warning import WarningLimiter

_log: Final = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Stats:
    """Counts of spans since the start. ``ended`` = ``exported`` + all lost spans + ``waiting``.

    Reasons for loss: the queue was full; the collector did not accept them in time; the process ended first.
    """

    ended: int = 0
    exported: int = 0
    lost_queue_full: int = 0
    lost_export_failed: int = 0
    lost_shutdown: int = 0
    waiting: int = 0
    queue_capacity: int = 0
    #: Whether the last batch was lost, at least in part.
    failing: bool = False
    #: Traces beyond the rate limit for the sampled flags of callers.
    remote_sampled_refused: int = 0

    @property
    def lost(self) -> dict[str, int]:
        """Lost spans by reason, as metrics label them."""
        return {
            "queue_full": self.lost_queue_full,
            "export_failed": self.lost_export_failed,
            "shutdown": self.lost_shutdown,
        }


class BatchSpanProcessor:
    """The queue and its thread.

    :meth:`put` must be called in the event loop's thread, the rest in any.
    """

    def __init__(
        self,
        exporter: Exporter,
        *,
        capacity: int,
        batch_size: int,
        delay: float,
    ) -> None:
        self._exporter = exporter
        self._batch_size = min(batch_size, capacity)
        self._capacity = capacity
        self._room = capacity  # zero once closed, so that put needs only one comparison
        self._delay = delay
        self._queue: deque[QueuedSpan] = deque()
        self._wake = threading.Event()
        self._closing = ShutdownSignal()
        self._lock = threading.Lock()
        self._settled = False
        self._accepted = 0
        self._refused_full = 0
        self._reported_full = 0
        self._refused_closed = 0
        self._exported = 0
        self._failed = 0
        self._abandoned = 0
        self._failing = False
        self._warner = WarningLimiter(_log)
        self._thread = threading.Thread(target=self._run, name="ostiary-telemetry", daemon=True)
        self._thread.start()

    def put(self, span: QueuedSpan) -> None:
        """Queue an ended span, or count it as lost. Never waits."""
        queue = self._queue
        waiting = len(queue)
        if waiting >= self._room:
            self._refuse()
            return
        queue.append(span)
        self._accepted += 1
        if waiting + 1 == self._batch_size:
            self._wake.set()

    def _refuse(self) -> None:
        if self._room:
            self._refused_full += 1
        else:
            self._refused_closed += 1

    def stats(self) -> Stats:
        """The counts now."""
        with self._lock:
            accepted, done = self._accepted, self._exported + self._failed + self._abandoned
            return Stats(
                ended=accepted + self._refused_full + self._refused_closed,
                exported=self._exported,
                lost_queue_full=self._refused_full,
                lost_export_failed=self._failed,
                lost_shutdown=self._abandoned + self._refused_closed,
                waiting=accepted - done,
                queue_capacity=self._capacity,
                failing=self._failing,
            )

    def close(self, timeout: float) -> None:
        """Export the queue within ``timeout`` seconds, then count the rest as lost.

        May be called twice.
        """
        self._room = 0
        if not self._closing.begun:
            self._closing.begin(timeout)
            self._wake.set()
        self._thread.join(timeout)
        with self._lock:
            self._settled = True  # a thread that still waits in a socket counts no more
            abandoned = self._accepted - self._exported - self._failed - self._abandoned
            self._abandoned += abandoned
        self._queue.clear()
        self._exporter.close()
        if abandoned:
            _log.warning("%d spans were not sent to %s before shutdown", abandoned, self._exporter.address)

    def _run(self) -> None:
        while True:
            self._wake.wait(self._delay)
            self._wake.clear()
            closing = self._closing.begun
            self._empty()
            self._report_full()
            if closing:
                return

    def _report_full(self) -> None:
        refused = self._refused_full
        if refused > self._reported_full:
            self._warner.warn("%d spans lost: the queue of %d is full", refused, self._capacity)
            self._reported_full = refused

    def _empty(self) -> None:
        """Export until less than a batch is queued.

        The rest waits for the next round, unless this is the last one.
        """
        while self._queue:
            batch = self._take()
            self._settle(batch, self._deliver(batch))
            if len(self._queue) < self._batch_size and not self._closing.begun:
                return

    def _take(self) -> list[QueuedSpan]:
        queue = self._queue
        return [queue.popleft() for _ in range(min(len(queue), self._batch_size))]

    def _deliver(self, batch: list[QueuedSpan]) -> ExportResult:
        try:
            return self._exporter.export(batch, self._closing)
        except Exception as error:  # noqa: BLE001  a bug must not end the thread: all later spans would be lost
            self._warner.warn("spans could not be exported: %s", type(error).__name__, error=error)
            return ExportResult(len(batch), type(error).__name__)

    def _settle(self, batch: list[QueuedSpan], delivery: ExportResult) -> None:
        with self._lock:
            if self._settled:
                return
            self._exported += len(batch) - delivery.lost
            self._failed += delivery.lost
            self._failing = bool(delivery.lost)
        if delivery.lost:
            self._warner.warn(
                "%d spans lost, %d so far: %s: %s",
                delivery.lost,
                self._failed,
                self._exporter.address,
                delivery.fault,
            )
