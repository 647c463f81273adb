"""Tracing of a process: from the environment, off, observed, and on the console."""

import json
import logging
import subprocess
import sys
import threading
from typing import Any

import pytest
from otlp_sink import Sink

from ostiary_gateway.telemetry import Stats, Telemetry

SAMPLED = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


def call(telemetry: Telemetry, meta: Any = None) -> None:
    with telemetry.server_span() as span:
        span.message(method="tools/call", target="echo", carrier_meta=meta)
        with span.client(server_name="mock") as upstream:
            upstream.respond(http_status=200)
        span.respond()


def threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name == "ostiary-telemetry"]


@pytest.mark.parametrize(
    "environ",
    [
        {},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1", "OTEL_SDK_DISABLED": "true"},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1", "OTEL_TRACES_EXPORTER": "none"},
    ],
)
def test_without_tracing_there_is_no_thread_and_nothing_to_count(environ: dict[str, str]) -> None:
    telemetry = Telemetry.from_env(environ)
    call(telemetry)

    assert threads() == []
    assert telemetry.close() == telemetry.stats == Stats()
    assert telemetry.off


def test_the_process_environment_is_the_default(http: Sink, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", http.endpoint)
    monkeypatch.setenv("OTEL_SERVICE_NAME", "edge")
    telemetry = Telemetry.from_env()
    call(telemetry)
    telemetry.close()

    assert {span.service for span in http.spans} == {"edge"}
    assert telemetry.off is None


def test_every_wrong_value_is_one_warning_in_the_log_and_no_crash(http: Sink, caplog: pytest.LogCaptureFixture) -> None:
    telemetry = Telemetry.from_env(
        {
            "OTEL_EXPORTER_OTLP_ENDPOINT": http.endpoint,
            "OTEL_EXPORTER_OTLP_COMPRESSION": "brotli",
            "OTEL_BSP_MAX_QUEUE_SIZE": "many",
            "OTEL_RESOURCE_ATTRIBUTES": "bad",
        }
    )
    call(telemetry)
    telemetry.close()

    warnings = [entry.getMessage().partition(" ")[0] for entry in caplog.records if entry.levelno == logging.WARNING]
    assert sorted(warnings) == [
        "OTEL_BSP_MAX_QUEUE_SIZE",
        "OTEL_EXPORTER_OTLP_COMPRESSION",
        "OTEL_RESOURCE_ATTRIBUTES",
    ]
    assert len(http.spans) == 2


def test_sampling_follows_the_environment(http: Sink) -> None:
    telemetry = Telemetry.from_env(
        {"OTEL_EXPORTER_OTLP_ENDPOINT": http.endpoint, "OTEL_TRACES_SAMPLER": "parentbased_always_off"}
    )
    call(telemetry)
    call(telemetry, {"traceparent": SAMPLED})
    telemetry.close()

    assert {span.trace_id for span in http.spans} == {SAMPLED[3:35]}


# The console, and what is loaded


def test_the_console_shows_a_line_of_json_per_span(capsys: pytest.CaptureFixture[str]) -> None:
    telemetry = Telemetry.from_env({"OTEL_TRACES_EXPORTER": "console"})
    with telemetry.server_span() as span:
        span.message(method="tools/call", target="caf\udce9", carrier_meta={"traceparent": SAMPLED})
        span.respond(code=-31001, message="denied")
    telemetry.close()

    (line,) = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert (line["name"], line["kind"], line["status"]) == ("tools/call caf\udce9", "SERVER", "ERROR")
    assert line["traceId"] == SAMPLED[3:35]
    assert line["attributes"]["error.type"] == "-31001"


def test_a_console_that_is_gone_loses_spans_and_nothing_else(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    class Gone:
        def write(self, _: str) -> None:
            raise BrokenPipeError

    monkeypatch.setattr(sys, "stdout", Gone())
    telemetry = Telemetry.from_env({"OTEL_TRACES_EXPORTER": "console"})
    monkeypatch.undo()
    call(telemetry)

    assert telemetry.close().lost_export_failed == 2
    assert "BrokenPipeError" in caplog.text


def test_only_what_is_needed_is_loaded() -> None:
    program = """
import sys
from ostiary_gateway.telemetry import Telemetry
print([name for name in ("urllib3", "requests", "grpc", "opentelemetry.sdk") if name in sys.modules])
Telemetry.from_env({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9"}).close()
print([name for name in ("urllib3", "requests", "grpc", "opentelemetry.sdk") if name in sys.modules])
"""
    shown = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert shown.stdout.splitlines() == ["[]", "['urllib3']"]
