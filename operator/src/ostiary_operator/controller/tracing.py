"""OpenTelemetry's SDK for the operator's spans, configured by the standard variables.

As in the gateway, tracing is off without ``OTEL_EXPORTER_OTLP_ENDPOINT`` or ``OTEL_EXPORTER_OTLP_TRACES_ENDPOINT``,
unless ``OTEL_TRACES_EXPORTER`` names an exporter that needs neither. The SDK is imported only where tracing is on.
"""

import asyncio
import logging
import os
import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from ostiary_core import sdk_components
from ostiary_core.version import __version__
from ostiary_operator.controller.span_names import SCOPE, SERVICE

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.trace import Tracer

_log = logging.getLogger(__name__)

_EXPORTER: Final = "OTEL_TRACES_EXPORTER"
_ENDPOINTS: Final = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
_PROTOCOLS: Final = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
#: Milliseconds between exports, where OTEL_BSP_SCHEDULE_DELAY is not set: changes are rare, and watched as they happen.
_DELAY: Final = 1000.0
#: Seconds that the last spans have at the end.
_LAST_SPANS: Final = 2.0
_POD: Final = {"POD_NAME": "k8s.pod.name", "POD_NAMESPACE": "k8s.namespace.name", "POD_UID": "k8s.pod.uid"}


class Tracing:
    """The tracer of this process, and its exporter.

    ``tracer`` is None where tracing is off; ``off`` says why.
    """

    def __init__(self, environ: Mapping[str, str] = os.environ) -> None:
        """Read the settings, and start the exporter.

        Raises:
            SdkComponentMissing: a variable names a component that is not installed.
        """
        self.off = _why_off(environ)
        self.tracer: Tracer | None = None
        self._provider: TracerProvider | None = None
        if self.off:
            _log.info("changes are not traced: %s", self.off)
            return
        self._provider = _provider(environ)
        self.tracer = self._provider.get_tracer(SCOPE, __version__)
        _log.info("changes are traced by OpenTelemetry's SDK: %s", _entry_point(environ))

    async def close(self) -> None:
        """Send the last spans, for a short time; the SDK's own shutdown may take half a minute."""
        if self._provider is None:
            return
        ending = threading.Thread(target=self._provider.shutdown, name="last-spans", daemon=True)
        ending.start()
        await asyncio.to_thread(ending.join, _LAST_SPANS)


def _text(environ: Mapping[str, str], *keys: str) -> str:
    return next((value for key in keys if (value := environ.get(key, "").strip())), "")


def _why_off(environ: Mapping[str, str]) -> str:
    if _text(environ, "OTEL_SDK_DISABLED").lower() == "true":
        return "OTEL_SDK_DISABLED is true"
    exporter = _text(environ, _EXPORTER).lower()
    if exporter == "none":
        return f"{_EXPORTER} is none"
    if not exporter.startswith("otlp") and exporter:
        return ""
    return "" if _text(environ, *_ENDPOINTS) else "OTEL_EXPORTER_OTLP_ENDPOINT is not set"


def _entry_point(environ: Mapping[str, str]) -> str:
    """Return the entry point of the exporter.

    An unknown protocol is looked up by its own name, and not found.
    """
    exporter = _text(environ, _EXPORTER).lower() or "otlp"
    protocol = _text(environ, *_PROTOCOLS).lower() or "http/protobuf"
    return sdk_components.OTLP_BY_PROTOCOL.get(protocol, protocol) if exporter == "otlp" else exporter


def _provider(environ: Mapping[str, str]) -> "TracerProvider":
    from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415  only where tracing is on
    from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415  likewise

    exporter: Any = sdk_components.load(sdk_components.TRACES_EXPORTER, _entry_point(environ), variable=_EXPORTER)
    delay = None if _text(environ, "OTEL_BSP_SCHEDULE_DELAY") else _DELAY
    provider = TracerProvider(resource=sdk_resource(environ), shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(exporter(), schedule_delay_millis=delay))
    return provider


def sdk_resource(environ: Mapping[str, str]) -> Any:
    """Return the SDK's resource of this process, for spans and metrics."""
    from opentelemetry.sdk.resources import OTELResourceDetector, Resource  # noqa: PLC0415  likewise

    pod = {key: value for variable, key in _POD.items() if (value := _text(environ, variable))}
    ours = {"service.name": SERVICE, "service.version": __version__, **(pod if "k8s.pod.name" in pod else {})}
    # The environment's own attributes come last: a service.name in code would otherwise win over OTEL_SERVICE_NAME.
    return Resource.create(ours).merge(OTELResourceDetector().detect())
