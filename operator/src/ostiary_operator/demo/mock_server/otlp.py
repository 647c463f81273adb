"""The OpenTelemetry SDK of the mock server.

It has one provider, one batch processor, one OTLP exporter.
"""

from collections.abc import Callable, Mapping
from typing import Final

from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter

SERVICE_NAME: Final = "mock-mcp-server"
"""`service.name`, unless OTEL_SERVICE_NAME or OTEL_RESOURCE_ATTRIBUTES gives another."""

_SCHEDULE_DELAY_MILLIS: Final = 1000
"""A span is exported within a second, unless OTEL_BSP_SCHEDULE_DELAY says otherwise: users wait for the first one."""


def start(environ: Mapping[str, str]) -> Callable[[], None]:
    """Set the tracer provider of the process.

    Returns:
        The function that shuts it down. It exports the last spans, and may take as long as the exporter's timeout.

    Raises:
        ImportError: the environment asks for grpc and its exporter is not installed.
    """
    delay = None if environ.get("OTEL_BSP_SCHEDULE_DELAY") else _SCHEDULE_DELAY_MILLIS
    provider = TracerProvider(resource=_resource(), shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(_exporter(environ), schedule_delay_millis=delay))
    trace.set_tracer_provider(provider)
    return provider.shutdown


def _resource() -> Resource:
    resource = Resource.create()
    if str(resource.attributes.get("service.name", "")).startswith("unknown_service"):
        return resource.merge(Resource({"service.name": SERVICE_NAME}))
    return resource


def _exporter(environ: Mapping[str, str]) -> SpanExporter:
    protocol = environ.get("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL") or environ.get("OTEL_EXPORTER_OTLP_PROTOCOL")
    if protocol != "grpc":
        return OTLPSpanExporter()
    from opentelemetry.exporter.otlp.proto.grpc import trace_exporter  # noqa: PLC0415  an extra, and 25 MiB

    return trace_exporter.OTLPSpanExporter()
