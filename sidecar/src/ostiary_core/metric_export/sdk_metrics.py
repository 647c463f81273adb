"""Families of a scrape as the metric types of OpenTelemetry's SDK.

They have the names of its conventions.

``mcp_server_operation_duration_seconds`` is ``mcp.server.operation.duration`` with the unit ``s``, and its label
``gen_ai_tool_name`` is ``gen_ai.tool.name``. Names of our own begin with ``ostiary.``. Counters are cumulative sums.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

from opentelemetry.sdk.metrics import Exemplar
from opentelemetry.sdk.metrics import export as sdk
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from prometheus_client.core import Exemplar as PrometheusExemplar
from prometheus_client.core import Metric, Sample

from ostiary_core.metric_family import MetricFamily

_CUMULATIVE: Final = sdk.AggregationTemporality.CUMULATIVE
#: Names of the conventions that do not follow from ours. "" has no counterpart.
_NAMES: Final = {
    "mcp_server_operation_duration_seconds": "mcp.server.operation.duration",
    "mcp_client_operation_duration_seconds": "mcp.client.operation.duration",
    "http_server_request_body_size_bytes": "http.server.request.body.size",
    "http_server_response_body_size_bytes": "http.server.response.body.size",
    "process_cpu_seconds": "process.cpu.time",
    "process_resident_memory_bytes": "process.memory.usage",
    "process_virtual_memory_bytes": "process.memory.virtual",
    "process_open_fds": "process.open_file_descriptor.count",
    "process_max_fds": "process.open_file_descriptor.limit",
    "process_start_time_seconds": "process.start_time",
    "ostiary_operator_pokes": "ostiary.operator_pass_requests",
    "python_gc_collections": "cpython.gc.collections",
    "python_gc_objects_collected": "cpython.gc.collected_objects",
}
_LABELS: Final = {
    "mcp_method_name": "mcp.method.name",
    "mcp_resource_uri": "mcp.resource.uri",
    "gen_ai_tool_name": "gen_ai.tool.name",
    "gen_ai_prompt_name": "gen_ai.prompt.name",
    "error_type": "error.type",
    "rpc_response_status_code": "rpc.response.status_code",
    "http_response_status_code": "http.response.status_code",
    "server_address": "server.address",
    "server_port": "server.port",
    "generation": "cpython.gc.generation",
}
_TOOL: Final = "gen_ai_tool_name"
_UNITS: Final = (("_seconds", "s"), ("_bytes", "By"))


class CountedSeries(Protocol):
    """One series of a histogram."""

    counts: list[int]
    total: float

    def exemplar(self, bucket: int) -> PrometheusExemplar | None:
        """Return the last traced observation of a bucket, if there is one."""


class CountedHistogram(Protocol):
    """A histogram that is read without making samples of it."""

    @property
    def family(self) -> MetricFamily:
        """Its declaration."""

    def items(self) -> list[tuple[tuple[str, ...], Any]]:
        """Return its series (:class:`CountedSeries`) by their label values."""


@dataclass(frozen=True, slots=True)
class ExportedProcess:
    """What all figures of a process have in common.

    That is its resource, name and version of the scope, and its start. ``started`` is in nanoseconds since the epoch.
    """

    resource: Mapping[str, str]
    scope: str
    version: str
    started: int

    def metrics_data(
        self, families: Iterable[Metric], histograms: Iterable[CountedHistogram], *, now: int
    ) -> sdk.MetricsData:
        """Return the figures of this moment; ``now`` is in nanoseconds since the epoch."""
        found = [*self._figures(families, now), *(self._histogram(each, now) for each in histograms)]
        scope = sdk.ScopeMetrics(InstrumentationScope(self.scope, self.version), found, "")
        return sdk.MetricsData([sdk.ResourceMetrics(Resource(dict(self.resource)), [scope], "")])

    def _figures(self, families: Iterable[Metric], now: int) -> Iterator[sdk.Metric]:
        for family in families:
            if not family.samples:
                continue
            name, unit = otlp_name(family.name)
            data: sdk.Sum | sdk.Gauge | sdk.Histogram
            if family.type == "histogram":
                data = sdk.Histogram(self._from_samples(family, now), _CUMULATIVE)
            elif family.type == "counter":
                data = sdk.Sum(self._numbers(family, now), _CUMULATIVE, is_monotonic=True)
            else:
                data = sdk.Gauge(self._numbers(family, now))
            yield sdk.Metric(name, family.documentation, unit, data)

    def _numbers(self, family: Metric, now: int) -> list[sdk.NumberDataPoint]:
        return [
            sdk.NumberDataPoint(attributes(sample.labels), self.started, now, sample.value)
            for sample in family.samples
            if not sample.name.endswith("_created")
        ]

    def _from_samples(self, family: Metric, now: int) -> list[sdk.HistogramDataPoint]:
        """Return the points of a client library's histogram, whose buckets hold those below them."""
        points, buckets = [], list[Sample]()
        sums = {_key(s.labels): s.value for s in family.samples if s.name.endswith("_sum")}
        for sample in family.samples:
            if sample.name.endswith("_bucket"):
                buckets.append(sample)
            elif sample.name.endswith("_count"):
                totals = [int(bucket.value) for bucket in buckets]
                counts = [total - below for total, below in zip(totals, [0, *totals], strict=False)]
                bounds = [float(bucket.labels["le"]) for bucket in buckets[:-1]]
                points.append(self._point(sample.labels, counts, sums[_key(sample.labels)], bounds, now, ()))
                buckets = []
        return points

    def _histogram(self, histogram: CountedHistogram, now: int) -> sdk.Metric:
        family = histogram.family
        name, unit = otlp_name(family.name)
        points = []
        for values, series in histogram.items():
            counts = list(series.counts)
            found = [each for bucket in range(len(counts)) if (each := series.exemplar(bucket)) is not None]
            labels = family.labelled(values)
            points.append(self._point(labels, counts, series.total, family.boundaries, now, [*map(_exemplar, found)]))
        return sdk.Metric(name, family.text, unit, sdk.Histogram(points, _CUMULATIVE))

    def _point(
        self,
        labels: Mapping[str, str],
        counts: list[int],
        total: float,
        bounds: Sequence[float],
        now: int,
        exemplars: Sequence[Exemplar],
    ) -> sdk.HistogramDataPoint:
        # No minimum and maximum: they would be those since the start of the process.
        unknown: Any = None
        return sdk.HistogramDataPoint(
            attributes(labels), self.started, now, sum(counts), total, counts, bounds, unknown, unknown, exemplars
        )


def otlp_name(name: str) -> tuple[str, str]:
    """Return the name of a family over OTLP, and its unit ("" for a number)."""
    stem, unit = next(((name.removesuffix(end), unit) for end, unit in _UNITS if name.endswith(end)), (name, ""))
    own = f"ostiary.{stem.removeprefix('ostiary_')}" if stem.startswith("ostiary_") else stem
    return _NAMES.get(name, own), unit


def otlp_attribute(label: str) -> str:
    """Return the name of a label over OTLP."""
    own = f"ostiary.{label.removeprefix('ostiary_')}" if label.startswith("ostiary_") else label
    return _LABELS.get(label, own)


def attributes(labels: Mapping[str, str]) -> dict[str, str]:
    """Return the attributes of a point; a tool's call also names the operation, as on spans."""
    found = {otlp_attribute(label): value for label, value in labels.items()}
    if _TOOL in labels:
        found["gen_ai.operation.name"] = "execute_tool"
    return found


def _key(labels: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    return tuple(sorted(labels.items()))


def _exemplar(found: PrometheusExemplar) -> Exemplar:
    at = int(float(found.timestamp or 0) * 1e9)
    ids = {key: int(found.labels[key], 16) for key in ("trace_id", "span_id")}
    return Exemplar({}, found.value, at, **ids)
