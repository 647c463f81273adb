"""A real OTLP collector for tests: it listens on a free loopback port, over HTTP or gRPC, and decodes what comes.

    with http_sink() as sink:
        run_something(OTEL_EXPORTER_OTLP_ENDPOINT=sink.endpoint)
        sink.wait_for(lambda spans: len(spans) == 2)
        assert sink.named("tools/call echo").attributes["gen_ai.tool.name"] == "echo"

What it answers is one :class:`Answer` at a time, which a test may change while it runs.
"""

import gzip
import socket
import ssl
import threading
import zlib
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, cast

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span as SpanMessage
from opentelemetry.proto.trace.v1.trace_pb2 import Status

_KINDS = {number: name.removeprefix("SPAN_KIND_") for name, number in SpanMessage.SpanKind.items()}
_STATUSES = {number: name.removeprefix("STATUS_CODE_") for name, number in Status.StatusCode.items()}


@dataclass(frozen=True, slots=True)
class SinkSpan:
    """A span as a test wants to read it: ids in hex, "" for no parent; times in nanoseconds since the epoch."""

    name: str
    kind: str
    trace_id: str
    span_id: str
    parent_span_id: str
    attributes: Mapping[str, Any]
    status: str
    description: str
    links: tuple[tuple[str, str], ...]
    resource: Mapping[str, Any]
    scope: str
    trace_state: str
    flags: int
    start_ns: int
    end_ns: int

    @property
    def service(self) -> str:
        """The ``service.name`` of the process that sent it."""
        return str(self.resource.get("service.name", ""))


@dataclass(frozen=True, slots=True)
class SinkPoint:
    """A point of a metric: ``value`` of a sum or gauge, count of a histogram. ``message`` is the point as it came."""

    name: str
    unit: str
    kind: str
    attributes: Mapping[str, Any]
    value: float
    message: Any
    is_cumulative: bool
    resource: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Answer:
    """How the sink answers: an HTTP status or a gRPC status' name, late, never, or taking only a part.

    ``hang`` holds requests until the sink closes. Spans of a request that is refused are not kept.
    """

    http_status: int = 200
    grpc_status: str = "OK"
    headers: Mapping[str, str] = field(default_factory=dict)
    delay: float = 0.0
    hang: bool = False
    rejected: int = 0

    @property
    def good(self) -> bool:
        """Whether it takes the spans."""
        return self.http_status < 300 and self.grpc_status == "OK"

    def message(self) -> bytes:
        """The body of a good answer."""
        response = ExportTraceServiceResponse()
        response.partial_success.rejected_spans = self.rejected
        return bytes(response.SerializeToString())


class Sink:
    """What arrived, and what to answer. Safe to use from the test while requests come in."""

    def __init__(self) -> None:
        self.endpoint = ""
        self.answer = Answer()
        self.requests: list[Mapping[str, str]] = []
        self._spans: list[SinkSpan] = []
        self._points: list[SinkPoint] = []
        self._changed = threading.Condition()
        self._closed = threading.Event()

    @property
    def spans(self) -> list[SinkSpan]:
        """All spans taken so far, in the order of arrival."""
        with self._changed:
            return list(self._spans)

    @property
    def points(self) -> list[SinkPoint]:
        """The points of the last export of metrics."""
        with self._changed:
            return list(self._points)

    def wait_for_points(self, predicate: Callable[[list[SinkPoint]], object], timeout: float = 30.0) -> list[SinkPoint]:
        """Wait until the points of an export satisfy the predicate, and return them."""
        self._wait(lambda: predicate(list(self._points)), timeout)
        return self.points

    @property
    def attempts(self) -> int:
        """How many requests came, answered or not."""
        with self._changed:
            return len(self.requests)

    def named(self, name: str) -> SinkSpan:
        """The one span of this name."""
        (span,) = [span for span in self.spans if span.name == name]
        return span

    def trace(self, trace_id: str) -> list[SinkSpan]:
        """The spans of a trace, in order of their start."""
        return sorted((span for span in self.spans if span.trace_id == trace_id), key=lambda span: span.start_ns)

    def children(self, parent: SinkSpan) -> list[SinkSpan]:
        """The spans directly below this one, in order of their start."""
        return [span for span in self.trace(parent.trace_id) if span.parent_span_id == parent.span_id]

    def wait_for(self, predicate: Callable[[list[SinkSpan]], object], timeout: float = 10.0) -> list[SinkSpan]:
        """Wait until the spans satisfy the predicate, and return them. Fails with what there is after ``timeout`` s."""
        self._wait(lambda: predicate(list(self._spans)), timeout)
        return self.spans

    def wait_for_attempts(self, count: int, timeout: float = 10.0) -> None:
        """Wait until this number of requests arrived."""
        self._wait(lambda: len(self.requests) >= count, timeout)

    def _wait(self, predicate: Callable[[], object], timeout: float) -> None:
        with self._changed:
            if not self._changed.wait_for(lambda: bool(predicate()), timeout):
                lines = [f"  {span.kind} {span.name} {dict(span.attributes)}" for span in self._spans]
                raise AssertionError(
                    "\n".join((f"not seen in {timeout} s; {len(self.requests)} requests and these spans:", *lines))
                )

    def clear(self) -> None:
        """Forget what came."""
        with self._changed:
            self._spans.clear()
            self.requests.clear()

    def close(self) -> None:
        """Let go of requests that hang."""
        self._closed.set()

    def take(self, headers: Mapping[str, str], payload: bytes) -> Answer:
        """Judge one request, and keep its spans if the answer is good."""
        answer = self.answer
        with self._changed:
            self.requests.append(headers)
            self._changed.notify_all()
        if answer.hang:
            self._closed.wait()
            return replace(answer, http_status=503, grpc_status="UNAVAILABLE")
        if answer.delay:
            self._closed.wait(answer.delay)
        is_metrics = headers.get(":path", "").endswith("/v1/metrics")
        spans, points = ([], decode_points(payload)) if is_metrics else (decode(payload), [])
        if answer.good:
            with self._changed:
                self._spans.extend(spans)
                self._points = points if is_metrics else self._points
                self._changed.notify_all()
        return answer


def decode(payload: bytes) -> list[SinkSpan]:
    """The spans of an ``ExportTraceServiceRequest``. Raises ``DecodeError`` for what is none."""
    request = ExportTraceServiceRequest.FromString(payload)
    return [
        _span(span, _attributes(group.resource.attributes), scope.scope.name)
        for group in request.resource_spans
        for scope in group.scope_spans
        for span in scope.spans
    ]


def decode_points(payload: bytes) -> list[SinkPoint]:
    """The points of an ``ExportMetricsServiceRequest``. Raises ``DecodeError`` for what is none."""
    request = ExportMetricsServiceRequest.FromString(payload)
    return [
        _point(metric, point, _attributes(group.resource.attributes))
        for group in request.resource_metrics
        for scope in group.scope_metrics
        for metric in scope.metrics
        for point in getattr(metric, metric.WhichOneof("data")).data_points
    ]


def _point(metric: Any, point: Any, resource: Mapping[str, Any]) -> SinkPoint:
    kind = metric.WhichOneof("data")
    value = point.count if kind == "histogram" else point.as_double or point.as_int
    data = getattr(metric, kind)
    return SinkPoint(
        name=metric.name,
        unit=metric.unit,
        kind=kind,
        attributes=_attributes(point.attributes),
        value=value,
        message=point,
        is_cumulative=kind != "gauge" and data.aggregation_temporality == 2,
        resource=resource,
    )


def _span(span: SpanMessage, resource: Mapping[str, Any], scope: str) -> SinkSpan:
    return SinkSpan(
        name=span.name,
        kind=_KINDS[span.kind],
        trace_id=span.trace_id.hex(),
        span_id=span.span_id.hex(),
        parent_span_id=span.parent_span_id.hex(),
        attributes=_attributes(span.attributes),
        status=_STATUSES[span.status.code],
        description=span.status.message,
        links=tuple((link.trace_id.hex(), link.span_id.hex()) for link in span.links),
        resource=resource,
        scope=scope,
        trace_state=span.trace_state,
        flags=span.flags,
        start_ns=span.start_time_unix_nano,
        end_ns=span.end_time_unix_nano,
    )


def _attributes(pairs: Any) -> dict[str, Any]:
    return {pair.key: _value(pair.value) for pair in cast("list[KeyValue]", pairs)}


def _value(value: AnyValue) -> Any:
    kind = value.WhichOneof("value")
    if kind is None:
        return None
    if kind == "array_value":
        return [_value(item) for item in value.array_value.values]
    if kind == "kvlist_value":
        return _attributes(value.kvlist_value.values)
    return getattr(value, kind)


_SERVICE = "opentelemetry.proto.collector.trace.v1.TraceService"
_DECODERS: dict[str, Callable[[bytes], bytes]] = {"gzip": gzip.decompress, "deflate": zlib.decompress}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: "_Server"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", "0")))
        decoder = _DECODERS.get(self.headers.get("content-encoding", ""), bytes)
        headers = {key.lower(): value for key, value in self.headers.items()} | {":path": self.path}
        answer = self.server.sink.take(headers, decoder(body))
        payload = answer.message() if answer.good else b""
        try:
            self.send_response(answer.http_status)
            for key, value in {**answer.headers, "content-length": str(len(payload))}.items():
                self.send_header(key, value)
            self.end_headers()
            self.wfile.write(payload)
        except OSError:
            self.close_connection = True  # the sender has gone, which is what such a test is about

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the base class's name
        pass


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    sink: Sink

    def handle_error(self, request: Any, client_address: Any) -> None:
        pass


@contextmanager
def http_sink(*, tls: ssl.SSLContext | None = None) -> Iterator[Sink]:
    """A sink for OTLP/HTTP; its ``endpoint`` is the base URL for ``OTEL_EXPORTER_OTLP_ENDPOINT``."""
    sink = Sink()
    server = _Server(("127.0.0.1", 0), _Handler)
    server.sink = sink
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    sink.endpoint = f"{'https' if tls else 'http'}://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield sink
    finally:
        sink.close()
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def grpc_sink(*, credentials: Any = None) -> Iterator[Sink]:
    """A sink for OTLP/gRPC; its ``endpoint`` says http or https for ``OTEL_EXPORTER_OTLP_ENDPOINT``."""
    import grpc  # type: ignore[import-untyped]  # noqa: PLC0415  25 MiB that only these tests need

    sink = Sink()

    def export(payload: bytes, context: Any) -> bytes:
        answer = sink.take(dict(context.invocation_metadata()), payload)
        if answer.grpc_status != "OK":
            context.set_trailing_metadata(tuple(answer.headers.items()))
            context.abort(grpc.StatusCode[answer.grpc_status], "as the test wants it")
        return answer.message()

    server = grpc.server(ThreadPoolExecutor(4))
    handlers = {"Export": grpc.unary_unary_rpc_method_handler(export)}
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(_SERVICE, handlers),))
    if credentials is not None:
        port = server.add_secure_port("127.0.0.1:0", credentials)
    else:
        port = server.add_insecure_port("127.0.0.1:0")
    sink.endpoint = f"{'https' if credentials is not None else 'http'}://127.0.0.1:{port}"
    server.start()
    try:
        yield sink
    finally:
        sink.close()
        server.stop(grace=0).wait()


@contextmanager
def black_hole() -> Iterator[str]:
    """The address ("host:port") of a socket that takes connections and never answers."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(64)
        yield f"127.0.0.1:{listener.getsockname()[1]}"
