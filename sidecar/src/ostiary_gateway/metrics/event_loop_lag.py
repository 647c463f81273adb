"""How late the event loop runs what is due: a delay that every request has, too."""

import asyncio
from typing import Final

from ostiary_core.metric_family import MetricFamily, MetricKind
from ostiary_gateway.metrics.histogram import SeriesHistogram

#: Seconds between two measurements.
_INTERVAL: Final = 0.25

LAG: Final = MetricFamily(
    "ostiary_event_loop_lag_seconds",
    "How much later than due the event loop ran a timer, measured four times a second",
    MetricKind.HISTOGRAM,
    boundaries=(0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 1, 5),
)


class EventLoopLag:
    """Measures the loop that :meth:`run` runs in."""

    def __init__(self) -> None:
        self.histogram = SeriesHistogram(LAG)
        self._series = self.histogram.series()

    async def run(self) -> None:
        """Measure until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + _INTERVAL
            await asyncio.sleep(_INTERVAL)
            self._series.add(max(0.0, loop.time() - due))
