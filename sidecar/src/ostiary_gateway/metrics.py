"""What the gateway counts, for Prometheus.

Names are those of OpenTelemetry's MCP conventions where one exists. No label is ever chosen by a caller: methods come
from our table, proxies from the config, outcomes from a closed set.
"""

from collections.abc import Iterator
from typing import Final

from prometheus_client import CollectorRegistry, Histogram, Info
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from ostiary_core.mcp import codes
from ostiary_core.version import __version__
from ostiary_gateway.config.snapshot import Snapshot
from ostiary_gateway.config.store import ConfigStore
from ostiary_gateway.line.limit import Occupancy
from ostiary_gateway.telemetry import Telemetry
from ostiary_gateway.telemetry.names import OPERATION_DURATION_BUCKETS
from ostiary_gateway.upstream import faults

_OTHER = "_OTHER"
#: The outcomes that get a label of their own. An upstream invents codes, and each would be a new series.
_ERROR_TYPES: Final = frozenset(
    {"", "tool_error", *faults.KINDS, *map(str, codes.OWN), *map(str, range(400, 432)), "503", "-32603"}
)


class Metrics:
    """The registry, and the one histogram that requests observe themselves."""

    def __init__(self, store: ConfigStore, occupancy: Occupancy, telemetry: Telemetry) -> None:
        self.registry = CollectorRegistry()
        self.duration = Histogram(
            "mcp_server_operation_duration_seconds",
            "Time from the first byte of an MCP message until its answer was relayed",
            ["mcp_method_name", "ostiary_proxy", "error_type"],
            buckets=(0.0005, 0.001, 0.002, 0.005, *OPERATION_DURATION_BUCKETS),
            registry=self.registry,
        )
        self._children: dict[tuple[str, str, str], Histogram] = {}
        Info("ostiary_build", "The running version", registry=self.registry).info({"version": __version__})
        self.registry.register(_State(store, occupancy, telemetry))

    def observe(self, *, method: str, proxy: str, error_type: str, seconds: float) -> None:
        """Count one message. ``method`` is of our table or an HTTP method; ``error_type`` may be anything."""
        key = (method, proxy, error_type if error_type in _ERROR_TYPES else _OTHER)
        child = self._children.get(key)
        if child is None:
            child = self._children[key] = self.duration.labels(*key)
        child.observe(seconds)

    def on_swap(self, snapshot: Snapshot, changed: frozenset[str]) -> None:
        """Forget the proxies that are gone, or the series of all that ever were would be kept."""
        gone = changed - snapshot.proxies.keys()
        for key in [key for key in self._children if key[1] in gone]:
            del self._children[key]
            self.duration.remove(*key)


class _State(Collector):
    """What is read when somebody asks, and costs nothing in between."""

    def __init__(self, store: ConfigStore, occupancy: Occupancy, telemetry: Telemetry) -> None:
        self._store = store
        self._occupancy = occupancy
        self._telemetry = telemetry

    def collect(self) -> Iterator[Metric]:
        snapshot = self._store.snapshot
        yield _gauge("ostiary_config_revision", "Revision of the config in force", snapshot.revision if snapshot else 0)
        yield _gauge("ostiary_config_proxies", "Proxies in force", len(snapshot.proxies) if snapshot else 0)
        rejected = len(self._store.rejected_entries) + (self._store.rejected_config is not None)
        yield _gauge("ostiary_config_rejected", "Entries, or whole configs, that are rejected now", rejected)
        yield _counter("ostiary_config_loads", "Configs taken into force", self._store.loads)
        yield _counter("ostiary_config_rejections", "Configs or entries rejected", self._store.rejections)
        yield _gauge("ostiary_requests_in_flight", "Requests that await an answer", self._occupancy.requests)
        yield _gauge("ostiary_streams_open", "Streams that stay open", self._occupancy.streams)
        yield from self._spans()

    def _spans(self) -> Iterator[Metric]:
        stats = self._telemetry.stats
        yield _counter("ostiary_spans_exported", "Spans handed to the collector", stats.exported)
        lost = CounterMetricFamily("ostiary_spans_lost", "Spans that no collector got", labels=["reason"])
        for reason, count in stats.lost.items():
            lost.add_metric([reason], count)
        yield lost


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(name, text, value=value)


def _counter(name: str, text: str, value: float) -> Metric:
    return CounterMetricFamily(name, text, value=value)
