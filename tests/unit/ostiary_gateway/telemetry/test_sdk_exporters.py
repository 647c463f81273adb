"""What our own encoder does not send goes through OpenTelemetry's SDK, with the same content."""

import logging
from pathlib import Path

import pytest
import sdk_packages
from otlp_sink import Sink, SinkSpan

from ostiary_gateway.errors import StartupError
from ostiary_gateway.telemetry import Telemetry

PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


def call(telemetry: Telemetry) -> None:
    """Record a call with a parent, a link, a failed upstream, and attributes of several types."""
    with telemetry.server_span(traceparent=PARENT.replace("4bf9", "4bf8"), tracestate="a=1") as span:
        meta = {"traceparent": PARENT, "tracestate": "vendor=x"}
        span.message(method="tools/call", target="echo", request_id=7, carrier_meta=meta)
        with span.client(server_name="mock", address="127.0.0.1", port=7878) as upstream:
            upstream.respond(code=-32603, message="it failed")
        span.respond(is_error=True)


def sent(sink: Sink, environ: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> list[SinkSpan]:
    for name, value in environ.items():  # the SDK's exporters read their variables themselves
        monkeypatch.setenv(name, value)
    telemetry = Telemetry.from_env({**environ, "OTEL_SERVICE_NAME": "edge"})
    call(telemetry)
    stats = telemetry.close(10)
    assert stats.exported == 2
    return sorted(sink.spans, key=lambda span: span.kind)


def content(span: SinkSpan) -> tuple[object, ...]:
    """Return what must be equal whichever exporter sent it."""
    identity = (span.name, span.kind, span.trace_id, span.trace_state, span.links)
    return (*identity, dict(span.attributes), span.status, span.description)


@pytest.mark.parametrize("exporter", ["otlp_proto_http", "otlp_proto_grpc"])
def test_the_sdks_exporter_sends_the_same_spans_as_our_own(
    exporter: str, http: Sink, grpc: Sink, monkeypatch: pytest.MonkeyPatch
) -> None:
    sink = http if exporter.endswith("http") else grpc
    protocol = {"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"} if sink is grpc else {}
    environ = {"OTEL_EXPORTER_OTLP_ENDPOINT": sink.endpoint, **protocol}
    ours = sent(sink, environ, monkeypatch)
    sink.clear()
    theirs = sent(sink, {**environ, "OTEL_TRACES_EXPORTER": exporter}, monkeypatch)
    assert [content(span) for span in theirs] == [content(span) for span in ours]
    assert {span.service for span in theirs} == {"edge"}
    client, server = theirs
    assert (server.parent_span_id, client.parent_span_id) == ("00f067aa0ba902b7", server.span_id)
    assert [span.flags for span in theirs] == [span.flags for span in ours]


def test_an_exporter_of_another_package_gets_every_span(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sdk_packages.install(tmp_path, monkeypatch)
    telemetry = Telemetry.from_env({"OTEL_TRACES_EXPORTER": "list"})
    call(telemetry)
    telemetry.close(10)
    import made_for_a_test  # type: ignore[import-not-found]  # noqa: PLC0415  the package that was made above

    assert [span.name for span in made_for_a_test.EXPORTED] == ["tools/call echo"] * 2
    assert telemetry.active["exporter"] == "list (SDK)"


def test_several_exporters_get_the_same_spans_and_the_fault_of_one_is_counted(
    http: Sink, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    sdk_packages.install(tmp_path, monkeypatch)
    environ = {"OTEL_EXPORTER_OTLP_ENDPOINT": http.endpoint, "OTEL_TRACES_EXPORTER": "otlp, raising ,refusing,none"}
    with caplog.at_level(logging.INFO):
        telemetry = Telemetry.from_env(environ)
    call(telemetry)
    stats = telemetry.close(10)
    assert len(http.spans) == 2
    assert (stats.exported, stats.lost_export_failed) == (0, 2)
    assert "RuntimeError" in caplog.text
    assert "calls are traced: exporter otlp (built in), raising (SDK), refusing (SDK)" in caplog.text


@pytest.mark.parametrize(
    ("environ", "message"),
    [
        ({"OTEL_TRACES_EXPORTER": "zipkin_json"}, "install opentelemetry-exporter-zipkin-json next to ostiary"),
        ({"OTEL_TRACES_EXPORTER": "broken"}, "cannot be imported"),
        ({"OTEL_TRACES_EXPORTER": "console", "OTEL_PROPAGATORS": "b3"}, "install opentelemetry-propagator-b3"),
        ({"OTEL_TRACES_EXPORTER": "console", "OTEL_TRACES_SAMPLER": "jaeger_remote"}, "OTEL_TRACES_SAMPLER names"),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c", "OTEL_EXPORTER_OTLP_PROTOCOL": "http/json"}, "otlp-json-http"),
    ],
)
def test_what_is_not_installed_is_a_start_error_with_the_remedy(
    environ: dict[str, str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sdk_packages.install(tmp_path, monkeypatch)
    with pytest.raises(StartupError, match=message):
        Telemetry.from_env(environ)


def test_otlp_without_an_endpoint_is_left_out_next_to_another_exporter(caplog: pytest.LogCaptureFixture) -> None:
    telemetry = Telemetry.from_env({"OTEL_TRACES_EXPORTER": "otlp,console"})
    telemetry.close(5)
    assert telemetry.active["exporter"] == "console (built in)"
    assert "is otlp without OTEL_EXPORTER_OTLP_ENDPOINT: it gets no spans" in caplog.text


def test_off_says_why() -> None:
    assert Telemetry.from_env({}).active == {"off": "OTEL_EXPORTER_OTLP_ENDPOINT is not set"}
