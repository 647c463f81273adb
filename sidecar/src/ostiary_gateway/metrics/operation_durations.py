"""MCP's histogram of message durations."""

from bisect import bisect_left
from collections.abc import Iterator, Set
from itertools import accumulate
from typing import Final

from prometheus_client.core import Metric
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

from ostiary_core.mcp import codes
from ostiary_core.metric_family import MetricFamily, MetricKind
from ostiary_gateway.telemetry.semantic_conventions import OPERATION_DURATION_BUCKETS
from ostiary_gateway.upstream import faults

_OTHER = "_OTHER"
#: The error types with a label value of their own. An upstream invents codes, and each would be a new series.
_ERROR_TYPES: Final = frozenset(
    {
        "",
        "tool_error",
        "caller_left",
        "cancelled",
        *faults.KINDS,
        *map(str, codes.OWN),
        *map(str, range(400, 432)),
        "503",
        "-32603",
    }
)

SERVER_DURATION: Final = MetricFamily(
    "mcp_server_operation_duration_seconds",
    "Time from the first byte of an MCP message until its answer was relayed",
    MetricKind.HISTOGRAM,
    labels=("mcp_method_name", "ostiary_proxy", "error_type"),
    boundaries=(0.0005, 0.001, 0.002, 0.005, *OPERATION_DURATION_BUCKETS),
)
_BOUNDS: Final = (*map(floatToGoString, SERVER_DURATION.boundaries), "+Inf")


class OperationDurations(Collector):
    """A histogram of message durations by (method, proxy, error type).

    The client library's own histogram takes a lock and searches its buckets for each observation; here everything is
    counted in one event loop, and a scrape in another thread may miss the observation in progress.
    """

    def __init__(self) -> None:
        self._counts: dict[tuple[str, str, str], list[int]] = {}
        self._sums: dict[tuple[str, str, str], float] = {}

    def observe(self, *, method: str, proxy: str, error_type: str, seconds: float) -> None:
        """Count one message.

        ``method`` is in our table or an HTTP method; ``error_type`` may be any text.
        """
        labels = (method, proxy, error_type if error_type in _ERROR_TYPES else _OTHER)
        counts = self._counts.get(labels)
        if counts is None:
            counts = self._counts[labels] = [0] * (len(SERVER_DURATION.boundaries) + 1)
            self._sums[labels] = 0.0
        counts[bisect_left(SERVER_DURATION.boundaries, seconds)] += 1
        self._sums[labels] += seconds

    def forget(self, proxies: Set[str]) -> None:
        """Remove the series of proxies."""
        for labels in [labels for labels in self._counts if labels[1] in proxies]:
            del self._counts[labels], self._sums[labels]

    def collect(self) -> Iterator[Metric]:
        """Yield the series for a scrape."""
        family, name = SERVER_DURATION.empty(), SERVER_DURATION.name
        for values, counts in list(self._counts.items()):
            labels = SERVER_DURATION.labelled(values)
            totals = list(accumulate(counts))
            for bound, total in zip(_BOUNDS, totals, strict=True):
                family.add_sample(f"{name}_bucket", {**labels, "le": bound}, total)
            family.add_sample(f"{name}_count", labels, totals[-1])
            family.add_sample(f"{name}_sum", labels, self._sums.get(values, 0.0))
        yield family
