"""The operator's own figures over OTLP: the SDK's exporter, and a collector that decodes what comes."""

import asyncio

import pytest
from operator_objects import SYSTEM, populated, proxy, until
from otlp_sink import Answer, http_sink

from ostiary_operator.clock import SystemClock
from ostiary_operator.controller.app import Components, assemble
from ostiary_operator.controller.metric_export import OperatorMetricExport
from ostiary_operator.kube.options import OperatorOptions

QUICK = {"OTEL_METRICS_EXPORTER": "otlp", "OTEL_METRIC_EXPORT_INTERVAL": "1000"}


def operator() -> Components:
    return assemble(populated(proxy("crm")), OperatorOptions(operator_namespace=SYSTEM), SystemClock())


@pytest.fixture
def exporting(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """The exporter reads its variables itself, from the environment of the process."""
    for variable in ("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "OTEL_METRICS_EXPORTER", "OTEL_SDK_DISABLED"):
        monkeypatch.delenv(variable, raising=False)
    return monkeypatch


async def test_the_figures_of_the_operator_go_out_at_the_interval(exporting: pytest.MonkeyPatch) -> None:
    with http_sink() as sink:
        exporting.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", sink.endpoint)
        parts = operator()
        export = OperatorMetricExport(
            parts.admin.metrics.registry, {**QUICK, "OTEL_EXPORTER_OTLP_ENDPOINT": sink.endpoint}
        )
        parts.admin.metrics.wrote("ConfigMap", "ok")
        try:
            points = await asyncio.to_thread(
                sink.wait_for_points, lambda found: any(p.name == "ostiary.operator_writes" for p in found)
            )
        finally:
            await export.close()

    write = next(point for point in points if point.name == "ostiary.operator_writes")
    assert (write.value, write.is_cumulative) == (1, True)
    assert dict(write.attributes) == {"kind": "ConfigMap", "outcome": "ok"}
    assert write.resource["service.name"] == "ostiary-operator"
    assert {"process.cpu.time", "ostiary.operator_build_info"} <= {point.name for point in points}


async def test_exports_that_fail_are_counted(exporting: pytest.MonkeyPatch) -> None:
    with http_sink() as sink:
        sink.answer = Answer(http_status=400)
        exporting.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", sink.endpoint)
        registry = operator().admin.metrics.registry
        export = OperatorMetricExport(registry, {**QUICK, "OTEL_EXPORTER_OTLP_ENDPOINT": sink.endpoint})
        try:
            await until(lambda: (registry.get_sample_value("ostiary_operator_otlp_export_failures_total") or 0) >= 1)
        finally:
            await export.close()
    assert registry.get_sample_value("ostiary_operator_otlp_metric_exports_total") == 0


def test_without_a_choice_nothing_is_exported() -> None:
    export = OperatorMetricExport(
        operator().admin.metrics.registry, {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1"}
    )
    assert "OTEL_METRICS_EXPORTER" in export.off
