"""OTLP over gRPC against a real server."""

import sys
from pathlib import Path
from typing import Any

import grpc as grpc_library  # type: ignore[import-untyped]
import pytest
from google.protobuf.duration_pb2 import Duration  # type: ignore[import-untyped]
from google.rpc.error_details_pb2 import RetryInfo  # type: ignore[import-untyped]
from otlp_sink import Answer, Sink, black_hole, grpc_sink

from ostiary_gateway.errors import StartupError
from ostiary_gateway.telemetry import Telemetry
from ostiary_gateway.telemetry.collector import TLS, Collector
from ostiary_gateway.telemetry.otlp.encoder import TraceEncoder, encode_span
from ostiary_gateway.telemetry.otlp.exporter import SendResult
from ostiary_gateway.telemetry.otlp.grpc import GRPCTransport

PAYLOAD = TraceEncoder({"service.name": "x"}, scope_name="s", scope_version="1").request(
    [encode_span(("a" * 32, "b" * 16, "", False, "", "ping", 2, 1, 2, {}, 0, "", (), 0))]
)


def send(endpoint: str, *, timeout: float = 5.0, **more: Any) -> SendResult:
    defaults: dict[str, Any] = {"protocol": "grpc", "secure": False, "headers": {}}
    transport = GRPCTransport(Collector(endpoint=endpoint.partition("://")[2] or endpoint, **{**defaults, **more}))
    try:
        return transport.send(PAYLOAD, timeout=timeout)
    finally:
        transport.close()


@pytest.mark.parametrize("compression", ["none", "gzip"])
def test_a_request_arrives_with_its_headers(grpc: Sink, compression: str) -> None:
    assert send(grpc.endpoint, headers={"api-key": "abc"}, compression=compression) == SendResult()

    assert grpc.named("ping").service == "x"
    assert grpc.requests[0]["api-key"] == "abc"
    assert grpc.requests[0]["user-agent"].startswith("ostiary/")


@pytest.mark.parametrize("status", ["UNAVAILABLE", "RESOURCE_EXHAUSTED", "ABORTED", "OUT_OF_RANGE", "DATA_LOSS"])
def test_a_busy_collector_may_be_asked_again(grpc: Sink, status: str) -> None:
    grpc.answer = Answer(grpc_status=status)

    outcome = send(grpc.endpoint)

    assert (outcome.fault, outcome.retryable, outcome.retry_after) == (f"gRPC {status}", True, None)


def test_a_busy_collector_may_send_retry_after(grpc: Sink) -> None:
    info = RetryInfo(retry_delay=Duration(seconds=2, nanos=500_000_000)).SerializeToString()
    grpc.answer = Answer(grpc_status="UNAVAILABLE", headers={"google.rpc.retryinfo-bin": info})

    assert send(grpc.endpoint).retry_after == 2.5


@pytest.mark.parametrize("status", ["UNAUTHENTICATED", "PERMISSION_DENIED", "INVALID_ARGUMENT", "INTERNAL"])
def test_any_other_answer_is_final(grpc: Sink, status: str) -> None:
    grpc.answer = Answer(grpc_status=status)

    outcome = send(grpc.endpoint)

    assert outcome.fault.startswith(f"gRPC {status}")
    assert not outcome.retryable


def test_rejected_spans_are_counted(grpc: Sink) -> None:
    grpc.answer = Answer(rejected=3)

    assert send(grpc.endpoint) == SendResult(rejected=3)


def test_a_black_hole_takes_no_longer_than_the_timeout() -> None:
    with black_hole() as address:
        outcome = send(address, timeout=0.2)

    assert (outcome.fault, outcome.retryable) == ("gRPC DEADLINE_EXCEEDED", True)


def test_a_call_in_flight_ends_when_the_transport_closes(grpc: Sink) -> None:
    grpc.answer = Answer(hang=True)
    transport = GRPCTransport(
        Collector(protocol="grpc", endpoint=grpc.endpoint.partition("://")[2], secure=False, headers={})
    )
    transport.close()

    assert transport.send(PAYLOAD, timeout=5.0).fault == "the request cannot be sent (ValueError)"


def test_a_trusted_collector_gets_our_certificate_and_an_untrusted_one_nothing(certificates: Any) -> None:
    pem = [Path(file).read_bytes() for file in (certificates.key, certificates.certificate, certificates.authority)]
    credentials = grpc_library.ssl_server_credentials(
        [(pem[0], pem[1])], root_certificates=pem[2], require_client_auth=True
    )
    tls = TLS(str(certificates.authority), str(certificates.certificate), str(certificates.key))
    with grpc_sink(credentials=credentials) as sink:
        assert send(sink.endpoint, secure=True, tls=tls) == SendResult()
        assert send(sink.endpoint, secure=True).fault
        assert sink.attempts == 1


def test_without_the_extra_the_error_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "grpc", None)
    monkeypatch.delitem(sys.modules, "ostiary_gateway.telemetry.otlp.grpc")
    environ = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4317", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}

    with pytest.raises(StartupError, match="with its extra grpc"):
        Telemetry.from_env(environ)
