"""The exporting thread: it goes on after failures, sends the last figures, and ends in time."""

import threading
from types import SimpleNamespace
from typing import Any

from ostiary_core.metric_export.periodic_export import PeriodicMetricExport


class RecordedExports:
    def __init__(self, *outcomes: object, hangs: bool = False) -> None:
        self.outcomes = list(outcomes)
        self.hangs = hangs
        self.sent: list[Any] = []
        self.ended = threading.Event()
        self.changed = threading.Condition()

    def export(self, metrics_data: Any, *_: Any, **__: Any) -> Any:
        with self.changed:
            self.sent.append(metrics_data)
            self.changed.notify_all()
        if self.hangs:
            self.ended.wait()
        outcome = self.outcomes.pop(0) if self.outcomes else "SUCCESS"
        if isinstance(outcome, Exception):
            raise outcome
        return SimpleNamespace(name=outcome)

    def wait_for(self, exports: int) -> None:
        with self.changed:
            assert self.changed.wait_for(lambda: len(self.sent) >= exports, timeout=60)

    def shutdown(self, *_: Any, **__: Any) -> None:
        self.ended.set()


def export(exporter: RecordedExports, warnings: list[str], *, interval: float = 0.01) -> PeriodicMetricExport:
    def warn(message: str, *args: object) -> None:
        warnings.append(message % args)

    made = PeriodicMetricExport(exporter, lambda: "figures", interval=interval, warn=warn, now=lambda: 0.0)
    made.start()
    return made


def test_failures_are_counted_and_warned_of_once_a_minute() -> None:
    exporter, warnings = RecordedExports("FAILURE", "FAILURE", ValueError("a bug")), list[str]()
    made = export(exporter, warnings)
    exporter.wait_for(4)
    made.close(60)

    assert made.stats.failures == 3
    assert not made.stats.failing
    assert warnings == [
        "metrics could not be exported over OTLP (1 times so far); the exporter's own log record says why",
        "the exporter of metrics raised ValueError: a bug",
    ]


def test_the_last_figures_are_sent_at_the_end() -> None:
    exporter = RecordedExports()
    made = export(exporter, [], interval=3600)
    assert exporter.sent == []
    made.close(60)
    made.close(60)

    assert exporter.sent == ["figures"]


def test_an_exporter_that_hangs_does_not_keep_the_process() -> None:
    exporter = RecordedExports(hangs=True)
    made = export(exporter, [])
    exporter.wait_for(1)
    made.close(0.0)

    assert exporter.ended.is_set()
