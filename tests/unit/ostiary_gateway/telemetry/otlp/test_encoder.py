"""The gateway's encoder compared with the SDK's: the same span gives the same message."""

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.attributes import BoundedAttributes
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Link, SpanContext, SpanKind, TraceFlags, TraceState
from opentelemetry.trace.status import Status, StatusCode

from ostiary_gateway.telemetry import SpanRecord, semantic_conventions
from ostiary_gateway.telemetry.otlp.encoder import TraceEncoder, any_value, encode_span
from ostiary_gateway.telemetry.otlp.wire_format import fields

INT64 = st.integers(-(2**63), 2**63 - 1)
TEXT = st.text(max_size=300)
scalars = TEXT | st.booleans() | INT64 | st.floats()
values = (
    scalars | st.lists(TEXT) | st.lists(INT64) | st.lists(st.booleans()) | st.lists(st.floats()) | st.lists(scalars)
)
keys = st.text(min_size=1, max_size=150) | st.sampled_from(
    [semantic_conventions.JSONRPC_REQUEST_ID, semantic_conventions.CLIENT_PORT, semantic_conventions.ERROR_TYPE]
)
trace_ids = st.integers(1, 2**128 - 1).map("{:032x}".format)
span_ids = st.integers(1, 2**64 - 1).map("{:016x}".format)
tracestates = st.dictionaries(
    st.from_regex(r"[a-z][a-z0-9_]{0,10}", fullmatch=True),
    st.from_regex(r"[a-zA-Z0-9:;/!~.]{1,12}", fullmatch=True),
    max_size=5,
)
NANOSECONDS = st.integers(0, 2**64 - 1)
statuses = st.just((0, "")) | st.tuples(st.just(2), TEXT)


@st.composite
def records(draw: st.DrawFn) -> SpanRecord:
    status, description = draw(statuses)
    parent = draw(st.just("") | span_ids)
    return SpanRecord(
        trace_id=draw(trace_ids),
        span_id=draw(span_ids),
        parent_span_id=parent,
        parent_is_remote=bool(parent) and draw(st.booleans()),
        tracestate=",".join(f"{key}={value}" for key, value in draw(tracestates).items()),
        name=draw(TEXT),
        kind=draw(st.sampled_from([2, 3])),
        start_ns=draw(NANOSECONDS),
        end_ns=draw(NANOSECONDS),
        attributes=draw(st.dictionaries(keys, values, max_size=8)),
        status=status,
        description=description,
        links=tuple(draw(st.lists(st.tuples(trace_ids, span_ids), max_size=3))),
        dropped_attributes=draw(st.integers(0, 2**32 - 1)),
    )


class Dropping(BoundedAttributes):
    """The SDK's attributes, with a count of dropped ones that we choose and values that it does not clean."""

    def __init__(self, attributes: Mapping[str, Any], dropped: int) -> None:
        super().__init__(attributes={}, immutable=False)
        self._dict = dict(attributes)
        self.dropped = dropped


def the_sdks(span: SpanRecord, resource: Mapping[str, Any], scope: InstrumentationScope) -> ReadableSpan:
    def context(trace_id: str, span_id: str, *, remote: bool) -> SpanContext:
        state = TraceState.from_header([span.tracestate])
        return SpanContext(int(trace_id, 16), int(span_id, 16), remote, TraceFlags(1), state)

    parent = context(span.trace_id, span.parent_span_id, remote=span.parent_is_remote) if span.parent_span_id else None
    return ReadableSpan(
        name=span.name,
        context=context(span.trace_id, span.span_id, remote=False),
        parent=parent,
        resource=Resource(resource),
        attributes=Dropping(span.attributes, span.dropped_attributes),
        links=[Link(context(trace_id, span_id, remote=True)) for trace_id, span_id in span.links],
        kind=SpanKind.SERVER if span.kind == 2 else SpanKind.CLIENT,
        status=Status(StatusCode.ERROR, span.description) if span.status else Status(),
        start_time=span.start_ns,
        end_time=span.end_ns,
        instrumentation_scope=scope,
    )


def canonical(payload: bytes) -> bytes:
    """The message written again in one order, so that two can be compared though NaN differs from itself."""
    return bytes(ExportTraceServiceRequest.FromString(payload).SerializeToString(deterministic=True))


@given(
    spans=st.lists(records(), min_size=1, max_size=4),
    resource=st.dictionaries(keys, TEXT, max_size=5),
    scope=st.builds(
        InstrumentationScope,
        st.text(min_size=1),
        st.text(max_size=20),
        st.sampled_from(["", semantic_conventions.SCHEMA_URL]),
    ),
)
def test_a_batch_is_encoded_as_the_sdk_encodes_it(
    spans: list[SpanRecord], resource: dict[str, Any], scope: InstrumentationScope
) -> None:
    encoder = TraceEncoder(
        resource, scope_name=scope.name, scope_version=scope.version or "", schema_url=scope.schema_url or ""
    )
    theirs = encode_spans([the_sdks(span, resource, scope) for span in spans]).SerializeToString()

    ours = encoder.request([encode_span(span) for span in spans])

    assert canonical(ours) == canonical(theirs)


@given(records(), st.sampled_from([True, 1, 1.0, "1", False, 0, 0.0, -0.0, "", "True"]))
def test_values_that_python_considers_equal_keep_their_types_in_the_cache(span: SpanRecord, value: Any) -> None:
    same: dict[str, Any] = {"k": value}
    theirs = encode_spans([the_sdks(span._replace(attributes=same), {}, InstrumentationScope("s"))])
    message = theirs.resource_spans[0].scope_spans[0].spans[0].attributes

    ours = TraceEncoder({}, scope_name="s", scope_version="").request([encode_span(span._replace(attributes=same))])

    parsed = ExportTraceServiceRequest.FromString(ours).resource_spans[0].scope_spans[0].spans[0].attributes
    assert [pair.SerializeToString() for pair in parsed] == [pair.SerializeToString() for pair in message]


def test_a_number_beyond_64_bits_is_sent_as_text() -> None:
    assert any_value(2**64) == any_value(str(2**64))
    assert any_value(-(2**63) - 1) == any_value(str(-(2**63) - 1))


def test_an_empty_batch_is_a_request_with_the_resource_alone() -> None:
    encoder = TraceEncoder({"service.name": "x"}, scope_name="s", scope_version="1")

    (group,) = ExportTraceServiceRequest.FromString(encoder.request([])).resource_spans

    assert group.resource.attributes[0].value.string_value == "x"
    assert not group.scope_spans[0].spans


@pytest.mark.parametrize("message", [b"\x0a\x05abc", b"\xff" * 11, b"\x0b", b"\x09\x01", b"\x80"])
def test_what_is_no_message_is_refused(message: bytes) -> None:
    with pytest.raises(ValueError, match="not a protobuf message"):
        list(fields(message))
