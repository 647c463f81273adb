"""The debug captures of this replica, so that a capture that was forgotten is noticed."""

from collections.abc import Iterator
from typing import Final

from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from ostiary_core.metric_family import MetricFamily, MetricKind
from ostiary_gateway.debug_capture.captures import DebugCaptures

CAPTURE_END: Final = MetricFamily(
    "ostiary_debug_capture_end_timestamp_seconds",
    "End of each debug capture that goes on, in seconds since the epoch",
    labels=("ostiary_proxy",),
)
CAPTURED: Final = MetricFamily(
    "ostiary_debug_capture_records",
    "Records of debug captures, by whether they were captured or skipped because too many came in a second",
    MetricKind.COUNTER,
    labels=("ostiary_proxy", "outcome"),
)


class DebugCaptureState(Collector):
    """The captures of this moment. Their labels are names of proxies in the config."""

    def __init__(self, captures: DebugCaptures) -> None:
        self._captures = captures

    def collect(self) -> Iterator[Metric]:
        """Yield the ends of captures, and what they took."""
        captures = list(self._captures)
        yield CAPTURE_END.values({(each.proxy,): each.ends for each in captures if not each.ring.ended})
        taken = {(each.proxy, "captured"): each.ring.captured for each in captures}
        yield CAPTURED.values(taken | {(each.proxy, "skipped"): each.ring.skipped for each in captures})
