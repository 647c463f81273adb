"""Collectors that are dead, slow or black holes: requests do not notice, shutdown keeps its bound, losses count."""

import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import closing
from typing import Any

import pytest
from otlp_sink import Answer, Sink, black_hole, grpc_sink, http_sink
from timeouts import TIMEOUT_SECONDS

from ostiary_gateway.telemetry import Stats, Telemetry

PROTOCOLS = ["http/protobuf", "grpc"]


def environ(endpoint: str, protocol: str, **more: str) -> Mapping[str, str]:
    return {
        "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint if "://" in endpoint else f"http://{endpoint}",
        "OTEL_EXPORTER_OTLP_PROTOCOL": protocol,
        **more,
    }


@pytest.fixture(params=PROTOCOLS)
def protocol(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def sink(protocol: str) -> Iterator[Sink]:
    with (http_sink if protocol == "http/protobuf" else grpc_sink)() as made:
        yield made


@pytest.fixture
def refused() -> Iterator[str]:
    with closing(socket.socket()) as unused:
        unused.bind(("127.0.0.1", 0))
        yield f"127.0.0.1:{unused.getsockname()[1]}"


def call(telemetry: Telemetry, count: int = 1) -> None:
    for number in range(count):
        with telemetry.server_span() as span:
            span.message(method="tools/call", target="echo", request_id=number)
            with span.client(server_name="mock") as upstream:
                upstream.respond(http_status=200)
            span.respond()


def balanced(stats: Stats) -> bool:
    return stats.ended == stats.exported + sum(stats.lost.values()) + stats.waiting


def test_both_spans_of_a_call_arrive_as_parent_and_child(sink: Sink, protocol: str) -> None:
    telemetry = Telemetry.from_env(environ(sink.endpoint, protocol), resource={"ostiary.gateway": "system/default"})
    call(telemetry)
    spans = sink.wait_for(lambda spans: len(spans) == 2)

    (server,) = [span for span in spans if span.kind == "SERVER"]
    (client,) = sink.children(server)
    assert (client.kind, client.name, client.status) == ("CLIENT", "tools/call echo", "UNSET")
    assert server.resource["service.name"] == "ostiary-gateway"
    assert server.resource["ostiary.gateway"] == "system/default"
    assert server.scope == "ostiary.gateway"
    assert telemetry.close().lost == {"queue_full": 0, "export_failed": 0, "shutdown": 0}


def test_what_still_waits_is_sent_at_the_end(sink: Sink, protocol: str) -> None:
    telemetry = Telemetry.from_env(environ(sink.endpoint, protocol, OTEL_BSP_SCHEDULE_DELAY="60000"))
    call(telemetry, 500)

    stats = telemetry.close(TIMEOUT_SECONDS)

    assert (stats.exported, len(sink.spans)) == (1000, 1000)


def test_a_black_hole_costs_requests_nothing_and_shutdown_its_bound(protocol: str) -> None:
    with black_hole() as address:
        telemetry = Telemetry.from_env(
            environ(address, protocol, OTEL_BSP_MAX_QUEUE_SIZE="1500", OTEL_EXPORTER_OTLP_TIMEOUT="30")
        )
        slowest = 0.0
        for _ in range(2000):
            before = time.perf_counter()
            call(telemetry)
            slowest = max(slowest, time.perf_counter() - before)
        before = time.monotonic()
        stats = telemetry.close(0.5)

    assert time.monotonic() - before < 15.0  # an export would wait for double the time
    assert slowest < 15.0
    assert (stats.exported, stats.waiting, stats.ended) == (0, 0, 4000)
    assert stats.lost_queue_full > 0
    assert stats.lost_shutdown + stats.lost_export_failed > 0  # which, is a matter of whose time was over first
    assert balanced(stats)


def test_a_refused_port_loses_spans_and_counts_them_as_failed(protocol: str, refused: str, eventually: Any) -> None:
    telemetry = Telemetry.from_env(environ(refused, protocol, OTEL_EXPORTER_OTLP_TIMEOUT="0.5"))
    call(telemetry, 10)
    eventually(lambda: telemetry.stats.lost_export_failed == 20)

    before = time.monotonic()
    stats = telemetry.close(10 * TIMEOUT_SECONDS)

    assert time.monotonic() - before < TIMEOUT_SECONDS
    assert stats.lost == {"queue_full": 0, "export_failed": 20, "shutdown": 0}


def test_a_refused_port_does_not_delay_shutdown(protocol: str, refused: str) -> None:
    telemetry = Telemetry.from_env(environ(refused, protocol, OTEL_BSP_SCHEDULE_DELAY="60000"))
    call(telemetry, 2000)
    before = time.monotonic()

    stats = telemetry.close(3.0)

    assert time.monotonic() - before < TIMEOUT_SECONDS
    assert (stats.exported, sum(stats.lost.values())) == (0, 4000)


def test_a_slow_collector_loses_nothing(sink: Sink, protocol: str) -> None:
    sink.answer = Answer(delay=0.2)
    telemetry = Telemetry.from_env(environ(sink.endpoint, protocol))
    call(telemetry, 100)

    stats = telemetry.close(TIMEOUT_SECONDS)

    assert (stats.exported, len(sink.spans)) == (200, 200)


def test_a_collector_that_never_answers_does_not_delay_shutdown(sink: Sink, protocol: str) -> None:
    sink.answer = Answer(hang=True)
    telemetry = Telemetry.from_env(environ(sink.endpoint, protocol, OTEL_EXPORTER_OTLP_TIMEOUT="30"))
    call(telemetry, 10)
    sink.wait_for_attempts(1)

    stats = telemetry.close(0.5)

    # An export that is waited for fails after its own time, and is counted as that.
    assert stats.lost == {"queue_full": 0, "export_failed": 0, "shutdown": 20}


def test_a_collector_that_comes_back_gets_what_it_missed(sink: Sink, protocol: str) -> None:
    sink.answer = Answer(http_status=503, grpc_status="UNAVAILABLE")
    telemetry = Telemetry.from_env(environ(sink.endpoint, protocol))
    call(telemetry)
    sink.wait_for_attempts(1)
    sink.answer = Answer()

    spans = sink.wait_for(lambda spans: len(spans) == 2)

    assert {span.kind for span in spans} == {"SERVER", "CLIENT"}
    assert telemetry.close().lost_export_failed == 0


def test_a_collector_that_refuses_for_good_is_named_with_a_hint_and_without_the_key(
    sink: Sink, protocol: str, eventually: Any, caplog: pytest.LogCaptureFixture
) -> None:
    sink.answer = Answer(http_status=401, grpc_status="UNAUTHENTICATED")
    telemetry = Telemetry.from_env(environ(sink.endpoint, protocol, OTEL_EXPORTER_OTLP_HEADERS="api-key=hunter2"))
    for _ in range(3):
        call(telemetry)
        eventually(lambda: telemetry.stats.waiting == 0)

    assert telemetry.close().lost_export_failed == 6
    (warning,) = [entry for entry in caplog.messages if "spans lost" in entry]
    assert "OTEL_EXPORTER_OTLP_HEADERS" in warning
    assert "hunter2" not in caplog.text


def test_spans_that_the_collector_rejects_are_counted(sink: Sink, protocol: str) -> None:
    sink.answer = Answer(rejected=1)
    telemetry = Telemetry.from_env(environ(sink.endpoint, protocol, OTEL_BSP_SCHEDULE_DELAY="60000"))
    call(telemetry)

    stats = telemetry.close(TIMEOUT_SECONDS)

    assert (stats.exported, stats.lost_export_failed) == (1, 1)
