"""Whether and how metrics are exported over OTLP, from the standard ``OTEL_*`` variables.

Metrics leave the process only by choice: where ``OTEL_METRICS_EXPORTER`` is ``otlp`` (or another exporter that is
installed, such as ``console``), or where ``OTEL_EXPORTER_OTLP_METRICS_ENDPOINT`` is set. The endpoint for all signals
(``OTEL_EXPORTER_OTLP_ENDPOINT``) alone does not suffice, unlike in the SDK: many who set it for traces scrape
``/metrics``, and would have each figure twice, and some trace backends accept no metrics.

``OTEL_METRIC_EXPORT_INTERVAL`` is in milliseconds, 60000 by default and at least 1000. The exporter reads all other
variables itself: ``OTEL_EXPORTER_OTLP_METRICS_*`` and ``OTEL_EXPORTER_OTLP_*``. Temporality is always cumulative.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from ostiary_core import sdk_components

EXPORTER: Final = "OTEL_METRICS_EXPORTER"
INTERVAL: Final = "OTEL_METRIC_EXPORT_INTERVAL"
_METRICS_ENDPOINT: Final = "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT"
_ENDPOINT: Final = "OTEL_EXPORTER_OTLP_ENDPOINT"
_PROTOCOLS: Final = ("OTEL_EXPORTER_OTLP_METRICS_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
_TEMPORALITY: Final = "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE"
_DEFAULT_INTERVAL: Final = 60.0
_SHORTEST_INTERVAL: Final = 1.0
_LONGEST_INTERVAL: Final = 3600.0
#: Exporters that send nothing: ``/metrics`` is always there.
_SILENT: Final = frozenset({"none", "prometheus"})


@dataclass(frozen=True, slots=True)
class MetricExportSettings:
    """How metrics are exported. ``off`` is why they are not, "" if they are.

    ``component`` is the entry point of the exporter; ``interval`` is in seconds.
    """

    off: str = ""
    component: str = ""
    interval: float = _DEFAULT_INTERVAL
    warnings: tuple[str, ...] = ()


def read_settings(environ: Mapping[str, str]) -> MetricExportSettings:
    """The settings in ``environ``. Never raises; what is wrong is in ``warnings``."""
    exporter = _text(environ, EXPORTER).lower()
    if _text(environ, "OTEL_SDK_DISABLED").lower() == "true":
        return MetricExportSettings("OTEL_SDK_DISABLED is true")
    if exporter in _SILENT:
        return MetricExportSettings(f"{EXPORTER} is {exporter}")
    if not exporter and not _text(environ, _METRICS_ENDPOINT):
        return MetricExportSettings(f"neither {EXPORTER} nor {_METRICS_ENDPOINT} is set")
    warnings: list[str] = []
    exporter = exporter or "otlp"
    if exporter == "otlp" and not _text(environ, _METRICS_ENDPOINT, _ENDPOINT):
        off = f"{EXPORTER} is otlp, and {_ENDPOINT} is not set"
        return MetricExportSettings(off, warnings=(f"{off}: metrics are only at /metrics",))
    if (preferred := _text(environ, _TEMPORALITY).lower()) not in ("", "cumulative"):
        warnings.append(f"{_TEMPORALITY} is {preferred[:32]!r}: metrics are cumulative")
    return MetricExportSettings("", _component(environ, exporter), _interval(environ, warnings), tuple(warnings))


def _component(environ: Mapping[str, str], exporter: str) -> str:
    if exporter != "otlp":
        return exporter
    protocol = _text(environ, *_PROTOCOLS).lower() or "http/protobuf"
    return sdk_components.OTLP_BY_PROTOCOL.get(protocol, protocol)


def _interval(environ: Mapping[str, str], warnings: list[str]) -> float:
    text = _text(environ, INTERVAL)
    if not text:
        return _DEFAULT_INTERVAL
    if not (text.isascii() and text.isdecimal()) or len(text) > 12:
        warnings.append(f"{INTERVAL} is {text[:32]!r}, not a number of milliseconds: 60000 is used")
        return _DEFAULT_INTERVAL
    seconds = int(text) / 1000
    allowed = min(max(seconds, _SHORTEST_INTERVAL), _LONGEST_INTERVAL)
    if allowed != seconds:
        warnings.append(f"{INTERVAL} is {text}, not between 1000 and 3600000: {allowed * 1000:.0f} is used")
    return allowed


def _text(environ: Mapping[str, str], *keys: str) -> str:
    return next((value for key in keys if (value := environ.get(key, "").strip())), "")
