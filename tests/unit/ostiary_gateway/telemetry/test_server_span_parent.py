"""The parent of a SERVER span: from ``_meta``, from the HTTP headers, or none. The sender may be hostile."""

from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ostiary_gateway.telemetry import Telemetry
from ostiary_gateway.telemetry.configuration import Settings
from ostiary_gateway.telemetry.otlp.encoder import encode_span
from ostiary_gateway.telemetry.otlp.exporter import ExportResult, QueuedSpan, ShutdownSignal

TRACE_ID, SPAN_ID = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
SAMPLED = f"00-{TRACE_ID}-{SPAN_ID}-01"
UNSAMPLED = f"00-{TRACE_ID}-{SPAN_ID}-00"
OTHER_TRACE, OTHER_SPAN = "c" * 32, "d" * 16
OTHER = f"00-{OTHER_TRACE}-{OTHER_SPAN}-01"

ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


class Encoding:
    """Encodes what it is given and throws it away."""

    address = "nowhere"

    def export(self, batch: Sequence[QueuedSpan], closing: ShutdownSignal) -> ExportResult:  # noqa: ARG002  the protocol's
        for span in batch:
            if not isinstance(span, bytes):
                encode_span(span)
        return ExportResult()

    def close(self) -> None:
        pass


@pytest.fixture(scope="module")
def encoding() -> Iterator[Telemetry]:
    telemetry = Telemetry(Settings(off=None), Encoding())
    yield telemetry
    assert telemetry.close(5).lost_export_failed == 0


def call(telemetry: Telemetry, method: str = "tools/call", target: str | None = "echo", **more: Any) -> None:
    with telemetry.server_span() as span:
        span.message(method=method, target=target, **more)
        span.respond()


def test_the_context_in_meta_is_the_parent(traced: Any) -> None:
    call(traced.telemetry, carrier_meta={"traceparent": SAMPLED, "tracestate": "rojo=1"})

    ended = traced.span()
    assert (ended.trace_id, ended.parent_span_id, ended.parent_is_remote) == (TRACE_ID, SPAN_ID, True)
    assert ended.tracestate == "rojo=1"
    assert ended.links == ()


def test_without_meta_the_http_headers_are_the_parent(traced: Any) -> None:
    with traced.telemetry.server_span(traceparent=SAMPLED, tracestate="rojo=1") as span:
        span.message(method="ping", carrier_meta={"progressToken": 1})

    ended = traced.span()
    assert (ended.trace_id, ended.parent_span_id, ended.tracestate) == (TRACE_ID, SPAN_ID, "rojo=1")


def test_meta_wins_over_http_which_becomes_a_link_and_lends_no_tracestate(traced: Any) -> None:
    with traced.telemetry.server_span(traceparent=OTHER, tracestate="http=1") as span:
        span.message(method="ping", carrier_meta={"traceparent": SAMPLED})

    ended = traced.span()
    assert (ended.trace_id, ended.parent_span_id, ended.tracestate) == (TRACE_ID, SPAN_ID, "")
    assert ended.links == ((OTHER_TRACE, OTHER_SPAN),)


def test_the_same_context_twice_is_no_link_whatever_its_flags(traced: Any) -> None:
    with traced.telemetry.server_span(traceparent=UNSAMPLED) as span:
        span.message(method="ping", carrier_meta={"traceparent": SAMPLED})

    assert traced.span().links == ()


def test_a_bad_context_in_meta_falls_back_to_the_headers(traced: Any) -> None:
    with traced.telemetry.server_span(traceparent=SAMPLED) as span:
        span.message(method="ping", carrier_meta={"traceparent": "00-bad-bad-01"})

    assert traced.span().parent_span_id == SPAN_ID


def test_without_any_parent_the_span_is_a_root_with_an_id_of_its_own(traced: Any) -> None:
    call(traced.telemetry)
    call(traced.telemetry)

    first, second = traced.spans()
    assert first.parent_span_id == ""
    assert not first.parent_is_remote
    assert first.trace_id != second.trace_id
    assert len(first.trace_id) == 32


@given(meta=ANY_JSON | st.dictionaries(st.sampled_from(["traceparent", "tracestate", "baggage"]), ANY_JSON))
def test_no_meta_can_break_a_span(encoding: Telemetry, meta: Any) -> None:
    for telemetry in (encoding, Telemetry.disabled()):
        with telemetry.server_span(traceparent=SAMPLED) as span:
            span.message(method="tools/call", target="echo", carrier_meta=meta)
            with span.client() as upstream:
                upstream.inject({})


@given(target=st.text(), request_id=st.text() | st.integers() | st.floats(), key=st.text(), value=st.text())
def test_no_text_of_a_caller_can_break_the_encoding(
    encoding: Telemetry, target: str, request_id: Any, key: str, value: str
) -> None:
    with encoding.server_span(http_method=value, client_address=value) as span:
        span.message(method="tools/call", target=target, request_id=request_id, session_id=value)
        span.set(key, value)
        span.respond(code=-32603, message=value)


def test_half_a_surrogate_pair_from_a_header_is_encoded_as_a_question_mark(traced: Any) -> None:
    call(traced.telemetry, "tools/call", "caf\udce9")

    assert b"caf?" in encode_span(traced.span())
