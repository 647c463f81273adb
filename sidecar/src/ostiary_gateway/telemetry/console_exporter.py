"""Write spans as JSON lines to standard output (``OTEL_TRACES_EXPORTER=console``)."""

import json
import sys
from collections.abc import Sequence
from typing import Any, TextIO

from ostiary_gateway.telemetry.otlp.exporter import ExportResult, QueuedSpan, ShutdownSignal
from ostiary_gateway.telemetry.span_record import KINDS, STATUSES, SpanRecord


class ConsoleExporter:
    """Writes to a text stream; if writing fails, the batch is lost, as with a collector."""

    address = "the console"

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream if stream is not None else sys.stdout

    def export(self, batch: Sequence[QueuedSpan], closing: ShutdownSignal) -> ExportResult:  # noqa: ARG002  writing is quick
        """Write the batch."""
        lines = [
            json.dumps(_readable(SpanRecord._make(span)), default=str) for span in batch if not isinstance(span, bytes)
        ]
        try:
            self._stream.write("\n".join(lines) + "\n")
            self._stream.flush()
        except (OSError, ValueError) as error:
            return ExportResult(len(batch), type(error).__name__)
        return ExportResult()

    def close(self) -> None:
        """Leave the stream open: it is not ours."""


def _readable(span: SpanRecord) -> dict[str, Any]:
    return {
        "name": span.name,
        "kind": KINDS[span.kind],
        "traceId": span.trace_id,
        "spanId": span.span_id,
        "parentSpanId": span.parent_span_id,
        "startTimeUnixNano": span.start_ns,
        "durationMs": span.duration_ns / 1e6,
        "status": STATUSES[span.status],
        "description": span.description,
        "attributes": dict(span.attributes),
        "links": [{"traceId": trace_id, "spanId": span_id} for trace_id, span_id in span.links],
    }
