"""One thread that exports metrics at an interval, and once more at the end.

An export that fails loses nothing but resolution, since the figures are cumulative: the next one has them, too.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Protocol

#: Seconds between two warnings of failed exports.
_WARNING_INTERVAL: Final = 60.0
_FAILED: Final = "metrics could not be exported over OTLP (%d times so far); the exporter's own log record says why"


class MetricExporter(Protocol):
    """The public methods of the SDK's metric exporters that are used."""

    def export(self, metrics_data: Any, timeout_millis: float = ..., **kwargs: Any) -> Any:
        """Send figures; the result's ``name`` is ``SUCCESS`` or ``FAILURE``. Blocks."""

    def shutdown(self, timeout_millis: float = ..., **kwargs: Any) -> None:
        """Give up what is being sent, and send nothing more."""


@dataclass(frozen=True, slots=True)
class ExportStats:
    """What was exported so far. ``failing`` says that the last export failed."""

    exports: int = 0
    failures: int = 0
    failing: bool = False


class PeriodicMetricExport:
    """Exports what ``collect`` returns, every ``interval`` seconds.

    It does so from :meth:`start` to :meth:`close`. ``warn`` logs a message with its arguments, in the exporting thread.
    ``now`` is a monotonic clock, in seconds.
    """

    def __init__(
        self,
        exporter: MetricExporter,
        collect: Callable[[], Any],
        *,
        interval: float,
        warn: Callable[..., None],
        now: Callable[[], float],
    ) -> None:
        self.interval = interval
        self._exporter = exporter
        self._collect = collect
        self._warn = warn
        self._now = now
        self._ending = threading.Event()
        self._quiet_until = float("-inf")
        self._exports = self._failures = 0
        self._failing = False
        self._thread = threading.Thread(target=self._run, name="ostiary-metric-export", daemon=True)

    @property
    def stats(self) -> ExportStats:
        """The counts so far."""
        return ExportStats(self._exports, self._failures, self._failing)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def close(self, timeout: float) -> None:
        """Export once more, and end within ``timeout`` seconds.

        It blocks: call it in another thread than the event loop's. May be called twice, and without a start.
        """
        self._ending.set()
        if self._thread.ident is not None:
            self._thread.join(timeout)
        self._exporter.shutdown(0)

    def _run(self) -> None:
        while not self._ending.wait(self.interval):
            self._export()
        self._export()

    def _export(self) -> None:
        try:
            succeeded = self._exporter.export(self._collect()).name == "SUCCESS"
        except Exception as error:  # noqa: BLE001  a bug of an exporter must not end the thread
            self._warn("the exporter of metrics raised %s: %s", type(error).__name__, error)
            succeeded = False
        self._failing = not succeeded
        if succeeded:
            self._exports += 1
            return
        self._failures += 1
        if self._now() >= self._quiet_until:
            self._quiet_until = self._now() + _WARNING_INTERVAL
            self._warn(_FAILED, self._failures)
