"""The OTLP sink of the tests: it decodes what the official SDK sends, over both protocols, and fails with an error."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as GRPCExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as HTTPExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter
from opentelemetry.trace import Link, SpanContext, SpanKind, StatusCode, TraceFlags
from otlp_sink import Answer, Sink, grpc_sink, http_sink

EXPORTERS: dict[str, Callable[[str], SpanExporter]] = {
    "http": lambda endpoint: HTTPExporter(endpoint=f"{endpoint}/v1/traces", timeout=2),
    "grpc": lambda endpoint: GRPCExporter(endpoint=endpoint, insecure=True, timeout=2),
}
LINK = SpanContext(0xA << 120, 0xB << 56, is_remote=True, trace_flags=TraceFlags(1))


@pytest.fixture(params=["http", "grpc"])
def sink(request: pytest.FixtureRequest) -> Iterator[Sink]:
    with (http_sink if request.param == "http" else grpc_sink)() as made:
        yield made


@pytest.fixture
def provider(sink: Sink, request: pytest.FixtureRequest) -> Iterator[TracerProvider]:
    exporter = EXPORTERS[request.node.callspec.params["sink"]](sink.endpoint)
    provider = TracerProvider(resource=Resource({"service.name": "agent"}), shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    yield provider
    provider.shutdown()


def test_it_decodes_what_the_sdk_sends(sink: Sink, provider: TracerProvider) -> None:
    tracer = provider.get_tracer("official")
    attributes: dict[str, Any] = {"text": "a", "number": 7, "truth": True, "half": 0.5, "list": ["a", "b"]}
    with (
        tracer.start_as_current_span("outer", kind=SpanKind.CLIENT, links=[Link(LINK)]) as outer,
        tracer.start_as_current_span("inner", attributes=attributes) as inner,
    ):
        inner.set_status(StatusCode.ERROR, "it broke")

    spans = sink.wait_for(lambda spans: len(spans) == 2)
    parent, child = sink.named("outer"), sink.named("inner")
    assert {span.service for span in spans} == {"agent"}
    assert (parent.kind, parent.parent_span_id, parent.status, parent.scope) == ("CLIENT", "", "UNSET", "official")
    assert parent.links == (("0a" + "0" * 30, "0b" + "0" * 14),)
    assert parent.trace_id == f"{outer.get_span_context().trace_id:032x}"
    assert (child.kind, child.status, child.description) == ("INTERNAL", "ERROR", "it broke")
    assert child.attributes == attributes
    assert sink.children(parent) == [child]
    assert sink.trace(parent.trace_id) == [parent, child]


def test_what_it_refuses_it_does_not_keep(sink: Sink, provider: TracerProvider) -> None:
    sink.answer = Answer(http_status=400, grpc_status="INVALID_ARGUMENT")
    provider.get_tracer("official").start_span("refused").end()

    assert (sink.attempts, sink.spans) == (1, [])


def test_waiting_in_vain_fails_with_what_there_is(sink: Sink, provider: TracerProvider) -> None:
    provider.get_tracer("official").start_span("other").end()

    with pytest.raises(AssertionError, match=r"not seen in 0\.05 s; 1 requests and these spans:\n  INTERNAL other"):
        sink.wait_for(lambda spans: spans[0].name == "expected", timeout=0.05)


def test_it_can_be_emptied(sink: Sink, provider: TracerProvider) -> None:
    provider.get_tracer("official").start_span("first").end()
    sink.wait_for(lambda spans: spans)
    sink.clear()

    assert (sink.spans, sink.attempts) == ([], 0)
