"""Sends the audit trail as OTLP log records, with OpenTelemetry's own exporter.

The endpoint, headers, certificates and timeout are those of the standard variables (`OTEL_EXPORTER_OTLP_LOGS_*`, and
`OTEL_EXPORTER_OTLP_*`). The body of a log record is the line as it was written, so a trail can be verified from what
a collector stored. It is a copy: a collector may drop what it took.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from time import time_ns
from typing import Any, Final

import orjson
from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.sdk._logs import ReadableLogRecord
from opentelemetry.sdk._logs.export import LogRecordExportResult
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, set_span_in_context

from ostiary_core.version import __version__
from ostiary_gateway.audit.copy_sink import CopySink, DeliveryFailed

EVENT_NAME: Final = "ostiary.audit"
_DENIED: Final = "deny"


class OtlpSink(CopySink):
    """Exports batches of log records. ``resource`` are the attributes of this process."""

    def __init__(self, resource: Mapping[str, str]) -> None:
        super().__init__("otlp")
        self._resource = Resource(dict(resource))
        self._scope = InstrumentationScope("ostiary.audit", __version__)
        self._exporter: OTLPLogExporter | None = None

    def deliver(self, lines: Sequence[bytes]) -> None:
        """Export a batch; the exporter itself tries again for a while.

        Raises:
            DeliveryFailed: the collector did not take it in time.
        """
        try:
            exporter = self._exporter = self._exporter or OTLPLogExporter()
            result = exporter.export([self._log_record(line) for line in lines])
        except (OSError, ValueError) as error:
            raise DeliveryFailed(f"the exporter failed: {type(error).__name__}") from None
        if result is not LogRecordExportResult.SUCCESS:
            raise DeliveryFailed("the collector did not accept the log records; check OTEL_EXPORTER_OTLP_LOGS_ENDPOINT")

    def _log_record(self, line: bytes) -> ReadableLogRecord:
        members = _members(line)
        denied = _text(members, "authz", "decision") == _DENIED
        record = LogRecord(
            timestamp=_nanoseconds(members.get("stageTimestamp")),
            observed_timestamp=time_ns(),
            context=set_span_in_context(NonRecordingSpan(_span_context(members))),
            severity_text="WARN" if denied else "INFO",
            severity_number=SeverityNumber.WARN if denied else SeverityNumber.INFO,
            body=line.rstrip(b"\n").decode("utf-8", "replace"),
            attributes=_attributes(members),
            event_name=EVENT_NAME,
        )
        return ReadableLogRecord(record, self._resource, self._scope)

    def release(self) -> None:
        """Close the exporter's connections."""
        if self._exporter is not None:
            self._exporter.shutdown()  # type: ignore[no-untyped-call]


def _members(line: bytes) -> dict[str, Any]:
    try:
        value = orjson.loads(line)
    except orjson.JSONDecodeError:
        return {}
    return value if isinstance(value, dict) else {}


def _attributes(members: Mapping[str, Any]) -> dict[str, Any]:
    """Return what collectors route and index by."""
    chain = members.get("chain") or {}
    found = {
        "ostiary.audit.kind": members.get("kind"),
        "ostiary.audit.chain.id": chain.get("id"),
        "ostiary.audit.chain.seq": chain.get("seq"),
        "ostiary.proxy": _text(members, "objectRef", "proxy"),
        "mcp.method.name": _text(members, "mcp", "method"),
        "ostiary.audit.decision": _text(members, "authz", "decision"),
    }
    return {key: value for key, value in found.items() if value is not None}


def _text(members: Mapping[str, Any], group: str, name: str) -> str | None:
    value = (members.get(group) or {}).get(name)
    return value if isinstance(value, str) else None


def _nanoseconds(moment: object) -> int:
    try:
        # Exact: a float of seconds has no room for microseconds and a date.
        found = datetime.fromisoformat(str(moment))
        return int(found.replace(microsecond=0).timestamp()) * 10**9 + found.microsecond * 1000
    except ValueError:
        return time_ns()


def _span_context(members: Mapping[str, Any]) -> SpanContext:
    try:
        trace, span = int(str(members.get("traceId")), 16), int(str(members.get("spanId")), 16)
    except ValueError:
        trace = span = 0
    flags = TraceFlags.SAMPLED if members.get("sampled") is True else TraceFlags.DEFAULT
    return SpanContext(trace, span, is_remote=True, trace_flags=TraceFlags(flags))
