"""Reading a collector's responses: the two messages that the gateway parses, compared with protobuf's own library."""

import pytest
from google.protobuf.duration_pb2 import Duration  # type: ignore[import-untyped]
from google.rpc.error_details_pb2 import RetryInfo  # type: ignore[import-untyped]
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTracePartialSuccess,
    ExportTraceServiceResponse,
)

from ostiary_gateway.telemetry.otlp.encoder import fields
from ostiary_gateway.telemetry.otlp.exporter import rejected_spans, retry_delay
from ostiary_gateway.telemetry.otlp.http import retry_after


@given(st.integers(-(2**63), 2**63 - 1), st.text())
def test_rejected_spans_are_read_as_protobuf_reads_them(rejected: int, message: str) -> None:
    answer = ExportTraceServiceResponse(
        partial_success=ExportTracePartialSuccess(rejected_spans=rejected, error_message=message)
    )

    assert rejected_spans(answer.SerializeToString()) == max(0, rejected)


@given(st.integers(0, 10**6), st.integers(0, 10**9 - 1))
def test_a_retry_delay_is_read_as_protobuf_reads_it(seconds: int, nanos: int) -> None:
    info = RetryInfo(retry_delay=Duration(seconds=seconds, nanos=nanos))

    assert retry_delay(info.SerializeToString()) == pytest.approx(seconds + nanos / 1e9)


@given(st.binary(max_size=64))
def test_invalid_input_is_ignored_and_breaks_nothing(answer: bytes) -> None:
    assert rejected_spans(answer) >= 0
    assert (retry_delay(answer) or 0.0) >= 0.0


def test_an_answer_without_partial_success_rejects_nothing() -> None:
    assert rejected_spans(b"") == 0
    assert rejected_spans(ExportTraceServiceResponse().SerializeToString()) == 0


@pytest.mark.parametrize("message", [b"\x0a\x05abc", b"\xff" * 11, b"\x0b", b"\x09\x01", b"\x80"])
def test_what_is_no_message_is_refused(message: bytes) -> None:
    with pytest.raises(ValueError, match="not a protobuf message"):
        list(fields(message))


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (None, None),
        ("3", 3.0),
        ("0.5", 0.5),
        ("-4", 0.0),
        ("nan", None),
        ("inf", None),
        ("soon", None),
        ("", None),
        ("Wed, 21 Oct 2015 07:28:00 GMT", 0.0),
        ("Wed, 99 Oct 2015 07:28:00 GMT", None),
    ],
)
def test_retry_after_is_seconds_or_a_date(value: str | None, seconds: float | None) -> None:
    assert retry_after(value) == seconds


def test_a_date_in_the_future_gives_the_seconds_to_wait() -> None:
    wait = retry_after("Fri, 31 Dec 2100 23:59:59 GMT")

    assert wait is not None
    assert wait > 1_000_000
