"""Families as the SDK's metrics: its own encoder takes them, and nothing is lost on the way."""

from typing import Any

import pytest
from opentelemetry.exporter.otlp.proto.common.metrics_encoder import encode_metrics
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from ostiary_core.metric_export.sdk_metrics import ExportedProcess, otlp_attribute, otlp_name

PROCESS = ExportedProcess({"service.name": "s"}, "scope", "1", started=1_000)


def exported(registry: CollectorRegistry) -> dict[str, Any]:
    request = encode_metrics(PROCESS.metrics_data(registry.collect(), (), now=2_000))
    return {metric.name: metric for scope in request.resource_metrics[0].scope_metrics for metric in scope.metrics}


def test_counters_gauges_and_histograms_keep_their_figures() -> None:
    registry = CollectorRegistry()
    Counter("ostiary_calls", "Calls", ["error_type"], registry=registry).labels("503").inc(3)
    Gauge("ostiary_open", "Open", registry=registry).set(7)
    stages = Histogram("ostiary_stage_seconds", "Seconds", ["stage"], buckets=(1, 5), registry=registry)
    for seconds in (0.5, 3, 3, 9):
        stages.labels("list").observe(seconds)
    stages.labels("compile").observe(2)
    found = exported(registry)

    (calls,) = found["ostiary.calls"].sum.data_points
    assert found["ostiary.calls"].sum.is_monotonic
    assert found["ostiary.calls"].sum.aggregation_temporality == 2  # cumulative
    assert (calls.as_double, calls.start_time_unix_nano, calls.time_unix_nano) == (3, 1_000, 2_000)
    assert {pair.key: pair.value.string_value for pair in calls.attributes} == {"error.type": "503"}
    assert found["ostiary.open"].gauge.data_points[0].as_double == 7
    assert found["ostiary.stage"].unit == "s"
    listed, compiled = found["ostiary.stage"].histogram.data_points
    assert (list(listed.bucket_counts), list(listed.explicit_bounds), listed.sum) == ([1, 2, 1], [1, 5], 15.5)
    assert (list(compiled.bucket_counts), compiled.count) == ([0, 1, 0], 1)
    assert not listed.HasField("min")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("mcp_client_operation_duration_seconds", ("mcp.client.operation.duration", "s")),
        ("process_resident_memory_bytes", ("process.memory.usage", "By")),
        ("ostiary_gateway_overhead_seconds", ("ostiary.gateway_overhead", "s")),
        ("ostiary_config_loads", ("ostiary.config_loads", "")),
    ],
)
def test_names_are_those_of_the_conventions(name: str, expected: tuple[str, str]) -> None:
    assert otlp_name(name) == expected


def test_labels_are_those_of_the_conventions() -> None:
    assert otlp_attribute("gen_ai_tool_name") == "gen_ai.tool.name"
    assert otlp_attribute("ostiary_proxy") == "ostiary.proxy"
    assert otlp_attribute("reason") == "reason"
