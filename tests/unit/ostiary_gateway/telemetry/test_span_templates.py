"""Spans that templates encode: their bytes are those of the encoder of records."""

import itertools
import random
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from timeouts import TIMEOUT_SECONDS

from ostiary_core.policy.principal import ANONYMOUS, Principal
from ostiary_gateway.telemetry import ServerSpan, Telemetry, span_templates
from ostiary_gateway.telemetry.configuration import Settings
from ostiary_gateway.telemetry.otlp.encoder import TraceEncoder
from ostiary_gateway.telemetry.otlp.exporter import OTLPExporter, SendResult
from ostiary_gateway.telemetry.span_templates import SpanTemplates, keep

TEXT = st.text(max_size=40) | st.sampled_from(["echo", "get_users", "x" * 300, "\ud800"])
OPTIONAL = st.none() | TEXT
EVIDENCE = ({"ostiary.gateway": "g", "ostiary.proxy.name": "a"}, {"ostiary.gateway": "g", "ostiary.proxy.name": "b"})
CALLERS = (
    None,
    ANONYMOUS,
    Principal(id="token:1", method="jwt"),
    Principal(id="consumer:a/b", method="apiKey", consumer="a/b"),
    Principal(id="consumer:a/b", method="jwt", consumer="a/b"),
)
PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
OTHER_PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4737-00f067aa0ba902b7-01"

calls = st.fixed_dictionaries(
    {
        "method": st.sampled_from(["tools/call", "tools/list", "prompts/get", "resources/read", "unknown/method"]),
        "target": OPTIONAL,
        "request_id": st.none() | TEXT | st.integers() | st.floats(),
        "protocol_version": OPTIONAL,
        "session_id": OPTIONAL | st.just("s" * 2000),
        "carrier_meta": st.none() | st.just({"traceparent": PARENT}) | st.just({"traceparent": "no"}),
    }
)
servers = st.fixed_dictionaries({"server_name": OPTIONAL, "address": OPTIONAL, "port": st.none() | st.just(80)})
answers = st.fixed_dictionaries({"code": st.none() | st.sampled_from([-32602, -32603]), "is_error": st.booleans()})
requests = st.fixed_dictionaries(
    {
        "call": st.none() | calls,
        "headers": st.sampled_from([(None, None), (PARENT, None), (OTHER_PARENT, None), (PARENT, "a=1")]),
        "evidence": st.none() | st.sampled_from(EVIDENCE),
        "revision": st.sampled_from([1, 2]),
        "caller": st.sampled_from(CALLERS),
        "allowed": st.none() | st.tuples(OPTIONAL, OPTIONAL, st.none() | st.integers(0, 2**63 - 1)),
        "address": st.sampled_from(["", "10.0.0.1", "x" * 2000]),
        "server": st.none() | servers,
        "peer": st.none() | st.just(("10.0.0.9", 8080)),
        "answer": answers,
        "extra": st.none() | TEXT,
    }
)
settings = st.fixed_dictionaries(
    {
        "attribute_text_limit": st.sampled_from([3, 1024]),
        "attribute_count_limit": st.sampled_from([4, 10, 20, 128]),
    }
)


class Payloads:
    """A transport that keeps what it is given."""

    address = "memory"

    def __init__(self) -> None:
        self.payloads: list[bytes] = []

    def send(self, payload: bytes, *, timeout: float) -> SendResult:  # noqa: ARG002  the protocol's
        self.payloads.append(payload)
        return SendResult()

    def close(self) -> None:
        pass


def serve(telemetry: Telemetry, request: dict[str, Any]) -> None:
    """Report a request as the pipeline does."""
    traceparent, tracestate = request["headers"]
    with telemetry.server_span(traceparent=traceparent, tracestate=tracestate) as span:
        if request["evidence"] is not None:
            span.routed(request["evidence"], revision=request["revision"])
        if request["caller"] is not None:
            span.authenticated(request["caller"])
        if request["call"] is not None:
            span.message(**request["call"])
        if request["allowed"] is not None:
            policy, rule, generation = request["allowed"]
            span.allow(policy=policy, rule=rule, generation=generation)
        if request["server"] is not None:
            _send(span, request)
        span.respond(**request["answer"], message="words")
        if request["extra"] is not None:
            span.set("ostiary.route.rule", request["extra"])
        span.client_address = request["address"]


def _send(span: ServerSpan, request: dict[str, Any]) -> None:
    call = request["call"] or {}
    known = {key: call.get(key) for key in ("request_id", "protocol_version", "session_id")}
    with span.client(**request["server"], **known) as client:
        client.reach(request["peer"])
        client.respond(**request["answer"], message="words")


def exported(requests: Sequence[dict[str, Any]], *, by_template: bool, **limits: Any) -> list[bytes]:
    """Serve requests at the same times with the same random numbers; return what is sent to the collector."""
    clock = itertools.count(10**18, 1001)
    random.seed(18)
    transport = Payloads()
    exporter = OTLPExporter(transport, TraceEncoder({}, scope_name="s", scope_version="1"), timeout=TIMEOUT_SECONDS)
    telemetry = Telemetry(Settings(off=None, delay=3600.0, **limits), exporter)
    assert telemetry.templates is not None
    if not by_template:
        telemetry.templates = None
    with pytest.MonkeyPatch.context() as patch:
        for name in ("server_span.time_ns", "server_span.perf_counter_ns", "client_span.perf_counter_ns"):
            patch.setattr(f"ostiary_gateway.telemetry.{name}", lambda: next(clock))
        patch.setattr("ostiary_gateway.telemetry.span.perf_counter_ns", lambda: next(clock))
        for request in requests:
            serve(telemetry, request)
    assert not any(telemetry.close(TIMEOUT_SECONDS).lost.values())
    return transport.payloads


USUAL: dict[str, Any] = {
    "call": {"method": "tools/call", "target": "echo", "request_id": 7, "protocol_version": "2026-07-28"},
    "headers": (None, None),
    "evidence": EVIDENCE[0],
    "revision": 1,
    "caller": CALLERS[2],
    "allowed": ("sales/readers", "read", 3),
    "address": "10.0.0.1",
    "server": {"server_name": "mock", "address": "mock.tools", "port": 80},
    "peer": None,
    "answer": {},
    "extra": None,
}


@given(st.lists(requests, min_size=1, max_size=4), settings)
def test_spans_by_template_have_the_bytes_of_encoded_records(
    requests: list[dict[str, Any]], limits: dict[str, int]
) -> None:
    served = [*requests, *requests]  # templates are made by the first ones, and used by the others

    assert exported(served, by_template=True, **limits) == exported(served, by_template=False, **limits)


def test_a_usual_call_is_encoded_by_templates_and_keeps_no_record(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Telemetry, "ended", None)  # takes records

    (payload,) = exported([USUAL, USUAL], by_template=True)

    assert payload.count(b"tools/call echo") == 4


@pytest.mark.parametrize(
    "difference",
    [
        {"evidence": EVIDENCE[1]},
        {"revision": 2},
        {"caller": CALLERS[3]},
        {"allowed": ("sales/readers", "read", 4)},
        {"allowed": None},
        {"address": "10.0.0.2"},
        {"server": {"server_name": "mock", "address": "mock.tools", "port": 81}},
        {"peer": ("10.0.0.9", 8080)},
        {"headers": (PARENT, None)},
        {"call": {**USUAL["call"], "target": "other"}},
        {"call": {**USUAL["call"], "method": "prompts/get"}},
        {"call": {**USUAL["call"], "protocol_version": None}},
        {"call": {**USUAL["call"], "session_id": "s"}},
    ],
)
def test_no_template_serves_a_call_that_differs_in_what_it_shows(
    difference: dict[str, Any],
) -> None:
    served = [USUAL, {**USUAL, **difference}, USUAL]

    assert exported(served, by_template=True) == exported(served, by_template=False)


def test_templates_are_bounded_in_number_and_in_length_whatever_callers_send(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(span_templates, "_MOST", 10)
    known: dict[Any, bytes] = {}

    for number in range(100):
        keep(known, (str(number),), b"template")
    assert len(known) == 10
    keep(known, ("x" * 257,), b"template")

    assert len(known) == 10
    assert ("x" * 257,) not in known


def test_templates_of_an_earlier_config_are_forgotten_and_its_requests_need_none(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made = SpanTemplates()
    monkeypatch.setattr("ostiary_gateway.telemetry.provider.SpanTemplates", lambda: made)

    served = [USUAL, {**USUAL, "revision": 2}, USUAL]
    sent = exported(served, by_template=True)

    assert sent == exported(served, by_template=False)
    assert (made.revision, len(made.server), len(made.callers)) == (2, 1, 1)


def test_what_cannot_be_encoded_fails_no_request(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(_: object) -> bytes:
        raise ZeroDivisionError

    monkeypatch.setattr("ostiary_gateway.telemetry.provider.encode_span", fail)

    (payload,) = exported([{**USUAL, "extra": "unusual"}], by_template=True)

    assert payload.count(b"tools/call echo") == 2  # the thread encodes it
    assert caplog.messages == ["a span could not be encoded: this is a bug"]
