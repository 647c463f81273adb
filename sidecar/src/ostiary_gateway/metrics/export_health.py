"""Whether what is exported over OTLP arrives, as this replica reports it to the operator."""

from collections.abc import Callable, Iterator
from time import monotonic
from typing import Any, Final

from ostiary_core.metric_export.periodic_export import ExportStats
from ostiary_gateway.telemetry import Telemetry

#: Seconds for which exports must have failed: a collector that restarts is no fault.
TOLERANCE: Final = 30.0


class ExportHealth:
    """Remembers since when the export of each signal fails; every poll asks it."""

    def __init__(
        self,
        telemetry: Telemetry,
        metrics: Callable[[], ExportStats | None],
        *,
        now: Callable[[], float] = monotonic,
    ) -> None:
        self._telemetry = telemetry
        self._metrics = metrics
        self._now = now
        self._since: dict[str, float] = {}

    def report(self) -> dict[str, Any]:
        """Return for each exported signal whether it has failed for :data:`TOLERANCE` seconds."""
        return {signal: {"failing": self._lasts(signal, fails)} for signal, fails in self._signals()}

    def _signals(self) -> Iterator[tuple[str, bool]]:
        if self._telemetry.off is None:
            yield "traces", self._telemetry.stats.failing
        if (metrics := self._metrics()) is not None:
            yield "metrics", metrics.failing

    def _lasts(self, signal: str, fails: bool) -> bool:
        if not fails:
            self._since.pop(signal, None)
            return False
        return self._now() - self._since.setdefault(signal, self._now()) >= TOLERANCE
