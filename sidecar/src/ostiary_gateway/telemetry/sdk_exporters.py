"""OpenTelemetry SDK exporters, fed from the batch thread.

They send what our own encoder does not.

A record becomes one of the SDK's read-only spans in the exporting thread, so a request costs the same as with our own
exporter. The exporters read their settings from the standard variables themselves.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode, TraceFlags, TraceState

from ostiary_core import sdk_components
from ostiary_core.version import __version__
from ostiary_gateway.telemetry import semantic_conventions, span_record
from ostiary_gateway.telemetry.otlp.exporter import Exporter, ExportResult, QueuedSpan, ShutdownSignal
from ostiary_gateway.telemetry.span_record import AttributeValue, SpanRecord

VARIABLE: Final = "OTEL_TRACES_EXPORTER"
_KINDS: Final = {
    span_record.INTERNAL: SpanKind.INTERNAL,
    span_record.SERVER: SpanKind.SERVER,
    span_record.CLIENT: SpanKind.CLIENT,
}
_SAMPLED: Final = TraceFlags(TraceFlags.SAMPLED)


class SdkExporter:
    """Gives spans to one of the SDK's exporters, by the name of its entry point.

    Raises:
        SdkComponentMissing: it is not installed.
    """

    def __init__(self, name: str, resource: Mapping[str, AttributeValue]) -> None:
        exporter: Any = sdk_components.load(sdk_components.TRACES_EXPORTER, name, variable=VARIABLE)
        self.address = f"the SDK's exporter {name}"
        self._exporter: SpanExporter = exporter()
        self._resource = Resource(dict(resource), semantic_conventions.SCHEMA_URL)
        self._scope = InstrumentationScope(
            semantic_conventions.SCOPE_NAME, __version__, semantic_conventions.SCHEMA_URL
        )

    def export(self, batch: Sequence[QueuedSpan], closing: ShutdownSignal) -> ExportResult:  # noqa: ARG002  it has its own timeout
        """Export the batch. The SDK's exporters retry, and give up, as their own variables say."""
        spans = [self._readable(SpanRecord._make(record)) for record in batch if not isinstance(record, bytes)]
        if self._exporter.export(spans) is SpanExportResult.SUCCESS:
            return ExportResult()
        return ExportResult(len(batch), "it reported a failure")

    def _readable(self, record: SpanRecord) -> ReadableSpan:
        state = TraceState.from_header([record.tracestate]) if record.tracestate else None
        trace_id = int(record.trace_id, 16)
        parent = (
            SpanContext(trace_id, int(record.parent_span_id, 16), record.parent_is_remote, _SAMPLED, state)
            if record.parent_span_id
            else None
        )
        return ReadableSpan(
            name=record.name,
            context=SpanContext(trace_id, int(record.span_id, 16), False, _SAMPLED, state),
            parent=parent,
            resource=self._resource,
            attributes=dict(record.attributes),
            links=[Link(SpanContext(int(trace, 16), int(span, 16), True)) for trace, span in record.links],
            kind=_KINDS[record.kind],
            status=Status(StatusCode.ERROR, record.description or None)
            if record.status == span_record.ERROR
            else Status(),
            start_time=record.start_ns,
            end_time=record.end_ns,
            instrumentation_scope=self._scope,
        )

    def close(self) -> None:
        """Shut the exporter down."""
        self._exporter.shutdown()


class ExporterGroup:
    """Gives every batch to several exporters. A span that one of them loses counts as lost."""

    def __init__(self, exporters: Sequence[Exporter]) -> None:
        self._exporters = tuple(exporters)
        self.address = " and ".join(each.address for each in self._exporters)

    def export(self, batch: Sequence[QueuedSpan], closing: ShutdownSignal) -> ExportResult:
        """Export the batch to each; the fault of one does not keep it from the others."""
        worst = ExportResult()
        for exporter in self._exporters:
            result = _exported(exporter, batch, closing)
            if result.lost > worst.lost:
                worst = ExportResult(result.lost, f"{exporter.address}: {result.fault}")
        return worst

    def close(self) -> None:
        """Close each."""
        for exporter in self._exporters:
            exporter.close()


def _exported(exporter: Exporter, batch: Sequence[QueuedSpan], closing: ShutdownSignal) -> ExportResult:
    try:
        return exporter.export(batch, closing)
    except Exception as error:  # noqa: BLE001  code of third parties: it must not keep spans from the other exporters
        return ExportResult(len(batch), type(error).__name__)
