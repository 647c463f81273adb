import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar

import pytest
from mcp_clients import connect, mock_process
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from timeouts import TIMEOUT_SECONDS

from ostiary_operator.demo.mock_server import tracing


class _Collector(BaseHTTPRequestHandler):
    received: ClassVar[list[ExportTraceServiceRequest]] = []

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        self.received.append(ExportTraceServiceRequest.FromString(body))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def _collector() -> Iterator[str]:
    _Collector.received.clear()
    with ThreadingHTTPServer(("127.0.0.1", 0), _Collector) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


@pytest.mark.parametrize(
    ("variables", "service"),
    [
        ({}, "mock-mcp-server"),
        ({"OTEL_SERVICE_NAME": "mine"}, "mine"),
        ({"OTEL_RESOURCE_ATTRIBUTES": "service.name=ours"}, "ours"),
    ],
)
async def test_a_tool_call_is_a_span_under_its_service_name(variables: dict[str, str], service: str) -> None:
    with _collector() as endpoint:
        environment = {"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint, "OTEL_BSP_SCHEDULE_DELAY": "60000"} | variables
        with mock_process(env=environment) as mock:
            async with connect(mock.url, era="modern") as client:
                await client.call_tool("echo", {"message": "hello"})
        # The server has ended: the spans left in its batch were exported at shutdown.
        spans = {span.name: (name, span) for name, span in _spans()}

    name, span = spans["tools/call echo"]
    assert name == service
    assert span.kind == Span.SPAN_KIND_SERVER


def _spans() -> Iterator[tuple[str, Span]]:
    for request in _Collector.received:
        for resource_spans in request.resource_spans:
            attributes = {item.key: item.value.string_value for item in resource_spans.resource.attributes}
            for scope_spans in resource_spans.scope_spans:
                for span in scope_spans.spans:
                    yield attributes["service.name"], span


async def test_a_dead_collector_does_not_delay_the_end_for_long() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:  # accepts into its backlog, and never answers
        endpoint = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with mock_process(env={"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint}) as mock:
            async with connect(mock.url, era="modern") as client:
                await client.call_tool("echo", {"message": "hello"})
            mock.process.terminate()
            assert mock.process.wait(TIMEOUT_SECONDS) == 0
            assert "Traceback" not in mock.stderr.read_text()


@pytest.mark.parametrize(
    "environment",
    [
        {},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": ""},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318", "OTEL_SDK_DISABLED": "True"},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318", "OTEL_TRACES_EXPORTER": "none"},
    ],
)
def test_nothing_is_imported_for_traces_while_tracing_is_off(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str]
) -> None:
    monkeypatch.setitem(sys.modules, "ostiary_operator.demo.mock_server.otlp", None)

    tracing.start(environment)()


def test_a_missing_package_is_named_with_the_extra_that_brings_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ostiary_operator.demo.mock_server.otlp", None)

    with pytest.raises(tracing.TracingError, match="with its extra gateway"):
        tracing.start({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318"})
