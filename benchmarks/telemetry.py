"""Compares the cost of our spans with those of the OpenTelemetry SDK.

    python benchmarks/telemetry.py [PAIRS]

Both create the spans of one call as the gateway's pipeline does: the parent is in `_meta`, the attributes are the same,
the upstream gets a traceparent, and a collector in another process gets the spans. *caller* is CPU time of the thread
that serves requests, *total* that of the whole process until the last span is sent. *lag* is the delay of a 1 ms
asyncio timer at 1,000 sampled pairs a second: the export thread's share of the event loop. Compare ratios, not times.
"""

import asyncio
import http.server
import multiprocessing
import socketserver
import statistics
import sys
import time
from collections.abc import Callable
from multiprocessing.queues import Queue
from typing import Any

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import DEFAULT_ON
from opentelemetry.trace import SpanKind, set_span_in_context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from ostiary_gateway.telemetry import ClientSpan, ServerSpan, Stats, Telemetry

TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-"
PROXY: dict[str, str] = {
    "ostiary.gateway": "ostiary-system/default",
    "ostiary.proxy.name": "mock-mcp-server",
    "ostiary.proxy.namespace": "default",
}
REVISION = 1795248496472
BURST = 100

#: (create the spans of one call, export the queued spans)
Path = tuple[Callable[[int], None], Callable[[], object]]


class _Discard(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


def _collector(port: "Queue[int]") -> None:
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), _Discard) as server:
        port.put(server.server_address[1])
        server.serve_forever()


def ours(telemetry: Telemetry, number: int, meta: dict[str, Any]) -> None:
    """Create the two spans of one call as `pipeline` and `record` do."""
    with telemetry.server_span(http_method="POST", traceparent=None, tracestate=None) as span:
        span.routed(PROXY, revision=REVISION)
        span.message(
            method="tools/call",
            target="get_users",
            request_id=number,
            protocol_version="2026-07-28",
            session_id=None,
            carrier_meta=meta,
        )
        span.allow(policy="default/readers", rule="read")
        with _client_span(span, number) as upstream:
            _ = upstream.context  # for `_meta`
            _ = upstream.context  # for the header
            upstream.respond()
        span.respond()
        span.client_address = "10.1.2.3"


def _client_span(span: ServerSpan, number: int) -> ClientSpan:
    if not span.sampled:
        return span.client()
    return span.client(
        server_name="mock",
        address="mock.tools",
        port=7878,
        request_id=number,
        protocol_version="2026-07-28",
        session_id=None,
    )


def sdk(tracer: Any, propagator: Any, number: int, meta: dict[str, Any]) -> None:
    method = {"mcp.method.name": "tools/call", "gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "get_users"}
    network = {"network.transport": "tcp", "network.protocol.name": "http"}
    server = tracer.start_span(
        "tools/call get_users",
        context=propagator.extract(meta),
        kind=SpanKind.SERVER,
        attributes={
            **method,
            **network,
            **PROXY,
            "ostiary.config.revision": REVISION,
            "client.address": "10.1.2.3",
            "jsonrpc.request.id": str(number),
            "mcp.protocol.version": "2026-07-28",
        },
    )
    if server.is_recording():
        server.set_attributes(
            {
                "ostiary.access.decision": "allow",
                "ostiary.access.policy": "default/readers",
                "ostiary.access.rule": "read",
            }
        )
    client = tracer.start_span(
        "tools/call get_users",
        context=set_span_in_context(server),
        kind=SpanKind.CLIENT,
        attributes={
            **method,
            **network,
            "jsonrpc.request.id": str(number),
            "mcp.protocol.version": "2026-07-28",
            "ostiary.server.name": "mock",
            "server.address": "mock.tools",
            "server.port": 7878,
        },
    )
    propagator.inject({}, set_span_in_context(client))
    client.end()
    server.end()


def measure(one: Callable[[int], None], flush: Callable[[], object], pairs: int) -> tuple[float, float]:
    """Return CPU microseconds per pair: (caller, total).

    It runs in bursts, so that no queue drops spans.
    """
    caller = 0.0
    total = time.process_time()
    for start in range(0, pairs, BURST):
        before = time.thread_time()
        for number in range(start, start + BURST):
            one(number)
        caller += time.thread_time() - before
        time.sleep(0.02)
    flush()
    return caller / pairs * 1e6, (time.process_time() - total) / pairs * 1e6


def paths(endpoint: str, *, sampled: bool) -> dict[str, Path]:
    """Return both ways to trace one call, each with the function that exports the last spans."""
    meta = {"traceparent": TRACE + ("01" if sampled else "00")}
    telemetry = Telemetry.from_env({"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint})
    provider = TracerProvider(sampler=DEFAULT_ON, resource=Resource({"service.name": "x"}), shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=f"{endpoint}/v1/traces")))
    tracer, propagator = provider.get_tracer("benchmark"), TraceContextTextMapPropagator()
    return {
        "ours": (lambda number: ours(telemetry, number, meta), lambda: require_no_loss(telemetry.close(10))),
        "SDK": (lambda number: sdk(tracer, propagator, number, meta), provider.shutdown),
    }


def require_no_loss(stats: Stats) -> None:
    if any(stats.lost.values()):
        raise SystemExit(f"spans were lost, so the figures are invalid: {stats}")


async def lag(one: Callable[[int], None], seconds: float = 3.0) -> tuple[float, float]:
    """Return the delay of a timer (p50, p99) in milliseconds, at 1,000 pairs a second."""
    late = []
    loop = asyncio.get_running_loop()
    for number in range(int(seconds * 1000)):
        due = loop.time() + 0.001
        await asyncio.sleep(0.001)
        late.append((loop.time() - due) * 1000)
        one(number)
    late.sort()
    return late[len(late) // 2], late[len(late) * 99 // 100]


def compare_cost(endpoint: str, pairs: int, *, sampled: bool) -> None:
    rounds: dict[str, list[tuple[float, float]]] = {"ours": [], "SDK": []}
    for _ in range(3):
        for name, (one, flush) in paths(endpoint, sampled=sampled).items():
            rounds[name].append(measure(one, flush, pairs))
    print("sampled" if sampled else "not sampled", "(CPU microseconds per SERVER + CLIENT pair)")
    median = {
        name: [statistics.median(column) for column in zip(*results, strict=True)] for name, results in rounds.items()
    }
    for name, (caller, total) in median.items():
        print(f"  {name:5} caller {caller:6.1f}   total {total:6.1f}")
    caller, total = (theirs / mine for mine, theirs in zip(median["ours"], median["SDK"], strict=True))
    print(f"  the SDK needs {caller:.1f} times the caller's CPU and {total:.1f} times the total CPU")


def compare_lag(endpoint: str) -> None:
    print("lag of a 1 ms timer at 1,000 sampled pairs a second (milliseconds)")
    quiet = asyncio.run(lag(lambda _: None))
    print(f"  none  p50 {quiet[0]:6.2f}   p99 {quiet[1]:6.2f}")
    for name, (one, flush) in paths(endpoint, sampled=True).items():
        p50, p99 = asyncio.run(lag(one))
        flush()
        print(f"  {name:5} p50 {p50:6.2f}   p99 {p99:6.2f}")


def main() -> None:
    pairs = int(sys.argv[1]) if len(sys.argv) > 1 else 4000
    context = multiprocessing.get_context("spawn")
    port: Queue[int] = context.Queue()
    process = context.Process(target=_collector, args=(port,), daemon=True)
    process.start()
    endpoint = f"http://127.0.0.1:{port.get()}"
    compare_cost(endpoint, pairs, sampled=True)
    compare_cost(endpoint, pairs, sampled=False)
    compare_lag(endpoint)
    process.terminate()


if __name__ == "__main__":
    main()
