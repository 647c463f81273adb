"""The copy of an audit trail at an OTLP collector: what a log record holds."""

import pytest
from audit_trails import WrittenTrail, verified
from http_receiver import http_receiver
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from timeouts import TIMEOUT_SECONDS

from ostiary_core.audit.record_layout import EVENT
from ostiary_gateway.audit.otlp_sink import OtlpSink

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


def test_a_trail_arrives_as_log_records_with_its_lines_as_bodies(monkeypatch: pytest.MonkeyPatch) -> None:
    written = WrittenTrail().start()
    members = ',"authz":{"decision":"deny"},"mcp":{"method":"tools/call"},"objectRef":{"proxy":"sales/crm"}'
    written.add(EVENT, f'{members},"traceId":"{TRACE}","spanId":"{SPAN}","sampled":true'.encode()).close()
    with http_receiver() as receiver:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", receiver.url)
        sink = OtlpSink({"service.name": "ostiary"})
        sink.write(written.lines)
        sink.close(TIMEOUT_SECONDS)
    (request,) = receiver.requests
    (resource,) = ExportLogsServiceRequest.FromString(request.body).resource_logs
    assert resource.resource.attributes[0].value.string_value == "ostiary"
    records = resource.scope_logs[0].log_records
    assert verified("".join(f"{record.body.string_value}\n" for record in records).encode()).is_good
    event = records[2]
    attributes = {each.key: each.value for each in event.attributes}
    assert (event.event_name, event.severity_text) == ("ostiary.audit", "WARN")
    assert (event.trace_id.hex(), event.span_id.hex(), event.flags) == (TRACE, SPAN, 1)
    assert event.time_unix_nano == 1_795_971_600_000_000_000
    assert attributes["ostiary.proxy"].string_value == "sales/crm"
    assert attributes["ostiary.audit.decision"].string_value == "deny"
    assert attributes["ostiary.audit.chain.seq"].int_value == 3
    assert sink.lost == 0


def test_what_a_collector_does_not_accept_is_said_and_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    with http_receiver() as receiver:
        receiver.statuses = [400] * 1000
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", receiver.url)
        sink = OtlpSink({})
        sink.write(WrittenTrail().start().lines)
        sink.close(3)
        assert 1 <= len(receiver.requests) < 50
    assert "did not accept" in str(sink.fault)
    assert sink.lost == 2
