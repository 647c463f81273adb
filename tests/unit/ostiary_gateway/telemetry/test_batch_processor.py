"""The queue of spans and its thread: bounded, counted, and never blocking a request."""

import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
from timeouts import TIMEOUT_SECONDS

from ostiary_gateway.telemetry.batch_processor import BatchSpanProcessor, Stats
from ostiary_gateway.telemetry.otlp.encoder import encode_span
from ostiary_gateway.telemetry.otlp.exporter import ExportResult, QueuedSpan, ShutdownSignal
from ostiary_gateway.telemetry.span_record import PlainRecord
from ostiary_gateway.telemetry.throttled_warning import WarningLimiter

SPAN: PlainRecord = ("a" * 32, "b" * 16, "", False, "", "ping", 2, 1, 2, {}, 0, "", (), 0)


class Gated:
    """Takes batches while its gate is open; what it does with them is up to the test."""

    address = "http://collector"

    def __init__(self, deliver: Callable[[Sequence[QueuedSpan]], ExportResult] = lambda _: ExportResult()) -> None:
        self.gate = threading.Event()
        self.gate.set()
        self.entered = threading.Event()
        self.batches: list[int] = []
        self.thread = ""
        self._deliver = deliver

    def export(self, batch: Sequence[QueuedSpan], closing: ShutdownSignal) -> ExportResult:  # noqa: ARG002  the protocol's
        self.thread = threading.current_thread().name
        self.entered.set()
        self.gate.wait()
        self.batches.append(len(batch))
        return self._deliver(batch)

    def close(self) -> None:
        pass


@pytest.fixture
def start() -> Iterator[Callable[..., BatchSpanProcessor]]:
    drains: list[tuple[BatchSpanProcessor, Gated]] = []

    def make(exporter: Gated, *, capacity: int = 100, batch_size: int = 10, delay: float = 0.01) -> BatchSpanProcessor:
        drains.append((BatchSpanProcessor(exporter, capacity=capacity, batch_size=batch_size, delay=delay), exporter))
        return drains[-1][0]

    yield make
    for drain, exporter in drains:
        exporter.gate.set()
        drain.close(5.0)


def balanced(stats: Stats) -> bool:
    return stats.ended == stats.exported + sum(stats.lost.values()) + stats.waiting


def test_spans_leave_in_order_on_one_named_daemon_thread(start: Any, eventually: Any) -> None:
    exporter = Gated()
    drain = start(exporter)
    for _ in range(25):
        drain.put(SPAN)

    eventually(lambda: drain.stats().exported == 25)
    assert exporter.thread == "ostiary-telemetry"
    assert all(thread.daemon for thread in threading.enumerate() if thread.name == exporter.thread)


class Collecting:
    """Keeps what it is given, from when its gate is open."""

    address = "http://collector"

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.spans: list[QueuedSpan] = []

    def export(self, batch: Sequence[QueuedSpan], closing: ShutdownSignal) -> ExportResult:  # noqa: ARG002  the protocol's
        self.gate.wait()
        self.spans += batch
        return ExportResult()

    def close(self) -> None:
        pass


def numbered(number: int) -> PlainRecord:
    return (*SPAN[:7], number, *SPAN[8:])


def test_no_span_is_lost_or_sent_twice_while_the_thread_takes_what_the_loop_appends() -> None:
    exporter = Collecting()
    exporter.gate.set()
    drain = BatchSpanProcessor(exporter, capacity=100_000, batch_size=7, delay=0.001)
    for number in range(20_000):
        drain.put(numbered(number) if number % 3 else encode_span(numbered(number)))
    drain.close(TIMEOUT_SECONDS)
    sent = [each if isinstance(each, bytes) else encode_span(each) for each in exporter.spans]
    assert sent == [encode_span(numbered(number)) for number in range(20_000)]
    assert balanced(drain.stats())


def test_no_batch_is_larger_than_asked_for(start: Any, eventually: Any) -> None:
    exporter = Gated()
    drain = start(exporter, batch_size=10)
    for _ in range(95):
        drain.put(SPAN)

    eventually(lambda: drain.stats().exported == 95)
    assert max(exporter.batches) <= 10


def test_a_full_batch_does_not_wait_for_the_delay(start: Any, eventually: Any) -> None:
    drain = start(Gated(), batch_size=10, delay=3600.0)
    for _ in range(10):
        drain.put(SPAN)

    eventually(lambda: drain.stats().exported == 10)


def test_a_single_span_leaves_after_the_delay(start: Any, eventually: Any) -> None:
    drain = start(Gated(), batch_size=10, delay=0.05)
    drain.put(SPAN)

    eventually(lambda: drain.stats().exported == 1)


def test_a_full_queue_loses_what_comes_and_counts_it(start: Any, eventually: Any) -> None:
    exporter = Gated()
    exporter.gate.clear()
    drain = start(exporter, capacity=20, batch_size=10)
    drain.put(SPAN)
    exporter.entered.wait(10)
    for _ in range(50):
        drain.put(SPAN)

    stats = drain.stats()
    assert (stats.ended, stats.waiting, stats.lost_queue_full, stats.queue_capacity) == (51, 21, 30, 20)
    assert balanced(stats)
    exporter.gate.set()
    eventually(lambda: drain.stats().exported == 21)
    assert balanced(drain.stats())


def test_a_queue_smaller_than_a_batch_still_drains(start: Any, eventually: Any) -> None:
    drain = start(Gated(), capacity=3, batch_size=64, delay=3600.0)
    for _ in range(3):
        drain.put(SPAN)

    eventually(lambda: drain.stats().exported == 3)


def test_a_batch_that_fails_is_lost_and_the_next_is_tried(start: Any, eventually: Any) -> None:
    outcomes = iter([ExportResult(10, "HTTP 401"), ExportResult(3, "rejected"), ExportResult()])
    drain = start(Gated(lambda _: next(outcomes)), capacity=100, batch_size=10)
    for _ in range(30):
        drain.put(SPAN)

    eventually(lambda: drain.stats().waiting == 0)
    stats = drain.stats()
    assert (stats.exported, stats.lost) == (17, {"queue_full": 0, "export_failed": 13, "shutdown": 0})


def test_a_bug_in_an_exporter_costs_a_batch_and_not_the_thread(start: Any, eventually: Any) -> None:
    calls = iter(range(100))

    def deliver(_: Sequence[QueuedSpan]) -> ExportResult:
        if next(calls) == 0:
            raise ZeroDivisionError
        return ExportResult()

    drain = start(Gated(deliver), batch_size=10)
    for _ in range(20):
        drain.put(SPAN)

    eventually(lambda: drain.stats().waiting == 0)
    assert (drain.stats().lost_export_failed, drain.stats().exported) == (10, 10)


def test_closing_sends_what_waits(start: Any) -> None:
    exporter = Gated()
    drain = start(exporter, capacity=1000, batch_size=100, delay=3600.0)
    for _ in range(42):
        drain.put(SPAN)

    drain.close(10.0)

    assert drain.stats().exported == 42


def test_closing_keeps_its_bound_and_counts_what_it_gave_up(start: Any) -> None:
    exporter = Gated()
    exporter.gate.clear()
    drain = start(exporter, capacity=100, batch_size=10)
    for _ in range(50):
        drain.put(SPAN)
    before = time.monotonic()

    drain.close(0.2)

    assert time.monotonic() - before < TIMEOUT_SECONDS
    stats = drain.stats()
    assert (stats.exported, stats.lost_shutdown, stats.waiting) == (0, 50, 0)


def test_what_the_stuck_thread_does_after_closing_counts_no_more(start: Any, eventually: Any) -> None:
    exporter = Gated()
    exporter.gate.clear()
    drain = start(exporter)
    drain.put(SPAN)
    exporter.entered.wait(10)
    drain.close(0.05)
    exporter.gate.set()

    eventually(lambda: exporter.batches == [1])
    eventually(lambda: "ostiary-telemetry" not in [thread.name for thread in threading.enumerate()])
    assert drain.stats() == Stats(ended=1, lost_shutdown=1, queue_capacity=100)


def test_a_span_that_ends_after_closing_is_lost_to_shutdown(start: Any) -> None:
    drain = start(Gated())
    drain.close(5.0)
    drain.put(SPAN)

    assert drain.stats().lost == {"queue_full": 0, "export_failed": 0, "shutdown": 1}
    assert balanced(drain.stats())


def test_closing_twice_does_nothing_more(start: Any) -> None:
    drain = start(Gated())
    drain.put(SPAN)
    drain.close(5.0)
    stats = drain.stats()

    drain.close(5.0)

    assert drain.stats() == stats


def test_an_idle_drain_closes_at_once(start: Any) -> None:
    drain = start(Gated(), delay=3600.0)
    before = time.monotonic()

    drain.close(10 * TIMEOUT_SECONDS)

    assert time.monotonic() - before < TIMEOUT_SECONDS


# Warnings


def test_a_thousand_lost_batches_are_one_warning(start: Any, eventually: Any, caplog: pytest.LogCaptureFixture) -> None:
    drain = start(Gated(lambda batch: ExportResult(len(batch), "HTTP 503")), capacity=10, batch_size=1, delay=0.001)
    with caplog.at_level(logging.WARNING):
        for number in range(200):
            drain.put(SPAN)
            eventually(lambda number=number: drain.stats().lost_export_failed == number + 1)

    (warning,) = [entry for entry in caplog.messages if "spans lost" in entry]
    assert warning == "1 spans lost, 1 so far: http://collector: HTTP 503"


def test_a_full_queue_is_warned_of(start: Any, eventually: Any, caplog: pytest.LogCaptureFixture) -> None:
    exporter = Gated()
    exporter.gate.clear()
    drain = start(exporter, capacity=10, batch_size=10)
    with caplog.at_level(logging.WARNING):
        for _ in range(100):
            drain.put(SPAN)
        exporter.gate.set()
        eventually(lambda: any("the queue of 10 is full" in entry for entry in caplog.messages))


def test_a_warning_comes_once_a_minute_with_the_number_of_suppressed_ones(
    caplog: pytest.LogCaptureFixture,
) -> None:
    now = [0.0]
    warner = WarningLimiter(logging.getLogger("test"), clock=lambda: now[0])
    with caplog.at_level(logging.WARNING, "test"):
        for now[0] in (0.0, 1.0, 59.0, 60.0, 61.0):
            warner.warn("lost %d", 7)

    assert caplog.messages == ["lost 7", "lost 7 (and 2 more before this one)"]
