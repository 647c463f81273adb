"""Retries between exporter and transport: the transport is scripted, and no test waits for a clock."""

from collections.abc import Iterable

import pytest
from google.protobuf.duration_pb2 import Duration  # type: ignore[import-untyped]
from google.rpc.error_details_pb2 import RetryInfo  # type: ignore[import-untyped]
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTracePartialSuccess,
    ExportTraceServiceResponse,
)
from otlp_sink import decode

from ostiary_gateway.telemetry.otlp.encoder import TraceEncoder
from ostiary_gateway.telemetry.otlp.exporter import (
    ExportResult,
    OTLPExporter,
    SendResult,
    ShutdownSignal,
    rejected_spans,
    retry_delay,
)
from ostiary_gateway.telemetry.span_record import PlainRecord

SPAN: PlainRecord = ("a" * 32, "b" * 16, "", False, "", "ping", 2, 1, 2, {}, 0, "", (), 0)
BUSY = SendResult("HTTP 503", retryable=True)
BROKEN = SendResult("no connection", retryable=True, broken=True)


class Scripted:
    """Returns the outcomes in order; the last one repeats."""

    address = "http://collector/v1/traces"

    def __init__(self, *outcomes: SendResult) -> None:
        self._outcomes = list(outcomes)
        self.payloads: list[bytes] = []
        self.timeouts: list[float] = []

    def send(self, payload: bytes, *, timeout: float) -> SendResult:
        self.payloads.append(payload)
        self.timeouts.append(timeout)
        return self._outcomes.pop(0) if len(self._outcomes) > 1 else self._outcomes[0]

    def close(self) -> None:
        pass


class Patient(ShutdownSignal):
    """Notes how long it should wait, and does not."""

    def __init__(self) -> None:
        super().__init__()
        self.waits: list[float] = []

    def wait(self, seconds: float) -> bool:
        self.waits.append(seconds)
        return self.begun


def export(
    outcomes: Iterable[SendResult], *, timeout: float = 1000.0, closing: ShutdownSignal | None = None, batch: int = 3
) -> tuple[ExportResult, Scripted, Patient]:
    transport, patient = Scripted(*outcomes), Patient()
    encoder = TraceEncoder({"service.name": "x"}, scope_name="s", scope_version="1")
    exporter = OTLPExporter(transport, encoder, timeout=timeout, jitter=lambda: 1.0)
    return exporter.export([SPAN] * batch, closing or patient), transport, patient


def test_a_good_answer_ends_it() -> None:
    delivery, transport, patient = export([SendResult()])

    assert delivery == ExportResult()
    assert [len(decode(payload)) for payload in transport.payloads] == [3]
    assert patient.waits == []


def test_a_batch_of_any_size_arrives_whole_and_in_order() -> None:
    _, transport, _ = export([SendResult()], batch=100)

    assert len(decode(transport.payloads[0])) == 100


def test_a_fault_that_may_pass_is_retried_with_growing_pauses() -> None:
    delivery, transport, patient = export([BUSY, BUSY, BUSY, SendResult()])

    assert delivery == ExportResult()
    assert patient.waits == [1.0, 2.0, 4.0]
    assert len(set(transport.payloads)) == 1


def test_an_unreachable_collector_gets_six_attempts() -> None:
    delivery, transport, _ = export([BUSY])

    assert delivery == ExportResult(3, "HTTP 503")
    assert len(transport.payloads) == 6


def test_a_fault_that_will_not_pass_is_not_retried() -> None:
    delivery, transport, _ = export([SendResult("HTTP 401")])

    assert delivery == ExportResult(3, "HTTP 401")
    assert len(transport.payloads) == 1


def test_the_pause_that_the_collector_asks_for_is_kept() -> None:
    _, _, patient = export([SendResult("HTTP 429", retryable=True, retry_after=7.5), SendResult()])

    assert patient.waits == [7.5]


def test_a_kept_connection_that_broke_is_replaced_at_once() -> None:
    delivery, _, patient = export([BROKEN, BROKEN, SendResult()])

    assert delivery == ExportResult()
    assert patient.waits == [1.0]


def test_a_pause_beyond_the_batchs_time_gives_it_up_at_once() -> None:
    delivery, transport, patient = export([BUSY], timeout=0.5)

    assert delivery.lost == 3
    assert (len(transport.payloads), patient.waits) == (1, [])


def test_a_collector_that_asks_for_a_longer_pause_than_a_batch_has_is_left_in_peace_for_that_time() -> None:
    delivery, transport, patient = export([SendResult("HTTP 429", retryable=True, retry_after=3600.0)], timeout=5.0)

    assert delivery.lost == 3
    assert len(transport.payloads) == 1
    assert [round(wait) for wait in patient.waits] == [5]


def test_every_attempt_gets_what_is_left_of_the_batchs_time() -> None:
    _, transport, _ = export([BROKEN, SendResult()], timeout=5.0)

    assert all(4.0 < timeout <= 5.0 for timeout in transport.timeouts)
    assert transport.timeouts[1] <= transport.timeouts[0]


def test_spans_that_the_collector_rejects_are_lost_and_the_rest_is_not() -> None:
    delivery, _, _ = export([SendResult(rejected=2)])

    assert (delivery.lost, delivery.fault) == (2, "rejected by the collector")


def test_a_collector_that_rejects_more_than_it_received_is_ignored() -> None:
    assert export([SendResult(rejected=1000)])[0].lost == 3


def test_while_closing_there_is_one_attempt_and_no_pause() -> None:
    closing = Patient()
    closing.begin(60.0)

    delivery, transport, _ = export([BUSY], closing=closing)

    assert (delivery.lost, len(transport.payloads)) == (3, 1)


def test_while_closing_a_broken_connection_is_still_replaced() -> None:
    closing = Patient()
    closing.begin(60.0)

    assert export([BROKEN, SendResult()], closing=closing)[0] == ExportResult()


def test_when_the_time_to_close_is_over_nothing_is_sent() -> None:
    closing = Patient()
    closing.begin(-1.0)

    delivery, transport, _ = export([SendResult()], closing=closing)

    assert (delivery, transport.payloads) == (ExportResult(3, "no time left"), [])


def test_the_time_to_close_bounds_an_attempt() -> None:
    closing = Patient()
    closing.begin(2.0)

    _, transport, _ = export([SendResult()], closing=closing)

    assert 0 < transport.timeouts[0] <= 2.0


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
