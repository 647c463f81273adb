"""The gateway's metrics over OTLP, where the environment asks for it."""

import logging
from collections.abc import Callable, Iterator, Mapping
from time import monotonic, time_ns
from typing import Any, Final

from prometheus_client import CollectorRegistry
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from ostiary_core import sdk_components
from ostiary_core.metric_export.periodic_export import ExportStats, PeriodicMetricExport
from ostiary_core.metric_export.settings import EXPORTER, MetricExportSettings, read_settings
from ostiary_core.metric_family import MetricFamily, MetricKind
from ostiary_core.version import __version__
from ostiary_gateway.errors import StartupError
from ostiary_gateway.metrics.histogram import SeriesHistogram
from ostiary_gateway.telemetry.environment_variables import Environment
from ostiary_gateway.telemetry.resource import resource_attributes
from ostiary_gateway.telemetry.semantic_conventions import SCOPE_NAME

_log: Final = logging.getLogger(__name__)

EXPORTS: Final = MetricFamily(
    "ostiary_otlp_metric_exports", "Exports of metrics that the collector accepted", MetricKind.COUNTER
)
FAILURES: Final = MetricFamily(
    "ostiary_otlp_export_failures",
    "What did not reach the collector: spans, or whole exports of metrics, which the next export repeats",
    MetricKind.COUNTER,
    labels=("signal",),
)


def start_export(
    environ: Mapping[str, str], figures: CollectorRegistry, histograms: Callable[[], list[SeriesHistogram]]
) -> PeriodicMetricExport | None:
    """Start to export metrics as the environment says; return None where it does not.

    Raises:
        StartupError: the exporter is not installed.
    """
    settings = read_settings(environ)
    for warning in settings.warnings:
        _log.warning("%s", warning)
    if settings.off:
        return None
    export = _export(settings, environ, figures, histograms)
    export.start()
    _log.info("metrics are exported by %s every %g s", settings.component, settings.interval)
    return export


def _export(
    settings: MetricExportSettings,
    environ: Mapping[str, str],
    figures: CollectorRegistry,
    histograms: Callable[[], list[SeriesHistogram]],
) -> PeriodicMetricExport:
    # Imported here, so that the SDK is loaded only where metrics are exported.
    from ostiary_core.metric_export.sdk_metrics import ExportedProcess  # noqa: PLC0415  see above

    resource = resource_attributes(Environment(environ), {})
    process = ExportedProcess(resource, SCOPE_NAME, __version__, started=time_ns())

    def collect() -> Any:
        return process.metrics_data(figures.collect(), histograms(), now=time_ns())

    try:
        exporter = sdk_components.load(sdk_components.METRICS_EXPORTER, settings.component, variable=EXPORTER)()
    except sdk_components.SdkComponentMissing as error:
        raise StartupError(str(error)) from error
    return PeriodicMetricExport(exporter, collect, interval=settings.interval, warn=_log.warning, now=monotonic)


class ExportState(Collector):
    """What was exported, and what was not: read at each scrape."""

    def __init__(self, export: Callable[[], ExportStats | None], lost_spans: Callable[[], int]) -> None:
        self._export = export
        self._lost_spans = lost_spans

    def collect(self) -> Iterator[Metric]:
        """Yield the counts."""
        stats = self._export()
        failures = {("traces",): self._lost_spans()}
        if stats is not None:
            yield EXPORTS.value(stats.exports)
            failures["metrics",] = stats.failures
        yield FAILURES.values(failures)
