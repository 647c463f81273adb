"""The operator's metrics over OTLP, where the environment asks for it, as the gateway's."""

import asyncio
import logging
import os
import time
from collections.abc import Mapping
from typing import Any, Final

from prometheus_client import CollectorRegistry

from ostiary_core import sdk_components
from ostiary_core.metric_export.periodic_export import PeriodicMetricExport
from ostiary_core.metric_export.settings import EXPORTER, read_settings
from ostiary_core.version import __version__
from ostiary_operator.controller.metrics import ExportCollector
from ostiary_operator.controller.span_names import SCOPE
from ostiary_operator.controller.tracing import sdk_resource

_log: Final = logging.getLogger(__name__)
#: Seconds that the last figures have at the end.
_LAST_FIGURES: Final = 2.0


class OperatorMetricExport:
    """Exports a registry; ``off`` is why it does not, "" if it does."""

    def __init__(self, registry: CollectorRegistry, environ: Mapping[str, str] = os.environ) -> None:
        """Read the settings, and start the exporter.

        Raises:
            SdkComponentMissing: the exporter is not installed.
        """
        settings = read_settings(environ)
        for warning in settings.warnings:
            _log.warning("%s", warning)
        self.off = settings.off
        self._export: PeriodicMetricExport | None = None
        if self.off:
            return
        # Imported here, so that the SDK is loaded only where metrics are exported.
        from ostiary_core.metric_export.sdk_metrics import ExportedProcess  # noqa: PLC0415  see above

        resource = {key: str(value) for key, value in sdk_resource(environ).attributes.items()}
        process = ExportedProcess(resource, SCOPE, __version__, started=time.time_ns())

        def collect() -> Any:
            return process.metrics_data(registry.collect(), (), now=time.time_ns())

        exporter = sdk_components.load(sdk_components.METRICS_EXPORTER, settings.component, variable=EXPORTER)()
        self._export = PeriodicMetricExport(
            exporter, collect, interval=settings.interval, warn=_log.warning, now=time.monotonic
        )
        registry.register(ExportCollector(self._export))
        self._export.start()
        _log.info("metrics are exported by %s every %g s", settings.component, settings.interval)

    async def close(self) -> None:
        """Send the last figures, for a short time."""
        if self._export is not None:
            await asyncio.to_thread(self._export.close, _LAST_FIGURES)
