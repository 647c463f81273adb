"""The CLIENT span: one per contact with an upstream, and the context that the upstream gets."""

from collections.abc import Callable
from typing import Any

import pytest

from ostiary_gateway.telemetry import SpanRecord, Telemetry
from ostiary_gateway.telemetry.context import parse

TRACE_ID, SPAN_ID = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
SAMPLED = f"00-{TRACE_ID}-{SPAN_ID}-01"
UNSAMPLED = f"00-{TRACE_ID}-{SPAN_ID}-00"


def contact(telemetry: Telemetry, report: Callable[[Any], object], meta: Any = None) -> None:
    with telemetry.server_span() as span:
        span.message(method="tools/call", target="mock_echo", carrier_meta=meta)
        with span.client(server_name="mock", address="mock.tools", port=7878, target="echo") as upstream:
            report(upstream)
        span.respond()


def client_of(spans: list[SpanRecord]) -> SpanRecord:
    (client,) = [span for span in spans if span.kind == 3]
    return client


def test_a_contact_is_a_child_named_as_the_upstream_is_asked(traced: Any) -> None:
    with traced.telemetry.server_span() as span:
        span.message(method="tools/call", target="mock_echo", request_id="a")
        with span.client(
            server_name="mock",
            address="mock.tools",
            port=7878,
            target="echo",
            request_id=17,
            protocol_version="2025-06-18",
            session_id="theirs",
        ) as upstream:
            upstream.respond(http_status=200)

    client, server = traced.spans()
    assert (client.name, client.kind) == ("tools/call echo", 3)
    assert (client.trace_id, client.parent_span_id) == (server.trace_id, server.span_id)
    assert not client.parent_is_remote
    assert client.attributes.pop("mcp.session.id") != "theirs"
    assert client.attributes == {
        "mcp.method.name": "tools/call",
        "gen_ai.operation.name": "execute_tool",
        "openinference.span.kind": "CHAIN",
        "gen_ai.tool.name": "echo",
        "jsonrpc.request.id": "17",
        "mcp.protocol.version": "2025-06-18",
        "network.transport": "tcp",
        "network.protocol.name": "http",
        "ostiary.server.name": "mock",
        "server.address": "mock.tools",
        "server.port": 7878,
        "http.response.status_code": 200,
    }


def test_each_peer_stands_on_its_own_side_only(traced: Any) -> None:
    with traced.telemetry.server_span(client_address="10.1.2.3", client_port=1) as span:
        span.message(method="ping")
        with span.client(address="mock.tools", port=7878):
            pass

    client, server = traced.spans()
    assert not {"client.address", "client.port"} & client.attributes.keys()
    assert not {"server.address", "server.port"} & server.attributes.keys()


def test_every_contact_has_a_span_of_its_own(traced: Any) -> None:
    with traced.telemetry.server_span() as span:
        span.message(method="tools/list")
        for name in ("a", "b", "c"):
            with span.client(server_name=name) as upstream:
                upstream.respond()

    *clients, server = traced.spans()
    assert [client.attributes["ostiary.server.name"] for client in clients] == ["a", "b", "c"]
    assert len({client.span_id for client in clients}) == 3
    assert {client.parent_span_id for client in clients} == {server.span_id}


def test_a_contact_may_ask_something_else_than_the_agent_did(traced: Any) -> None:
    with traced.telemetry.server_span() as span:
        span.message(method="tools/list")
        with span.client(method="initialize"):
            pass

    assert client_of(traced.spans()).name == "initialize"


@pytest.mark.parametrize("code", [-32700, -32600, -32601, -32602, -32002, -32603, -31001, 7])
def test_every_code_is_an_error_of_the_upstream(traced: Any, code: int) -> None:
    contact(traced.telemetry, lambda upstream: upstream.respond(code=code, message="no", http_status=200))

    client = client_of(traced.spans())
    assert client.attributes["error.type"] == client.attributes["rpc.response.status_code"] == str(code)
    assert (client.status, client.description) == (2, "no")


def test_a_tool_error_is_an_error_on_both_sides(traced: Any) -> None:
    contact(traced.telemetry, lambda upstream: upstream.respond(is_error=True, http_status=200))

    assert client_of(traced.spans()).attributes["error.type"] == "tool_error"


@pytest.mark.parametrize("status", [302, 401, 404, 503])
def test_an_answer_below_mcp_is_an_error_named_by_its_status(traced: Any, status: int) -> None:
    contact(traced.telemetry, lambda upstream: upstream.respond(http_status=status))

    client = client_of(traced.spans())
    assert (client.attributes["error.type"], client.status) == (str(status), 2)
    assert client.attributes["http.response.status_code"] == status


def test_an_accepted_notification_is_no_error(traced: Any) -> None:
    contact(traced.telemetry, lambda upstream: upstream.respond(http_status=202, protocol_version="2025-11-25"))

    client = client_of(traced.spans())
    assert client.status == 0
    assert client.attributes["mcp.protocol.version"] == "2025-11-25"


def test_a_contact_that_breaks_off_is_recorded_and_its_parent_decides_for_itself(traced: Any) -> None:
    with traced.telemetry.server_span() as span:
        span.message(method="ping")
        with pytest.raises(ConnectionResetError), span.client():
            raise ConnectionResetError("secret")
        span.respond(code=-31003, message="upstream unavailable")

    client, server = traced.spans()
    assert (client.attributes["error.type"], client.description) == ("ConnectionResetError", "")
    assert server.attributes["error.type"] == "-31003"


# What the upstream gets


def traceparent(telemetry: Telemetry, meta: Any) -> tuple[str | None, str]:
    got: list[tuple[str | None, str]] = []
    contact(telemetry, lambda upstream: got.append((upstream.context.get("traceparent"), upstream.tracestate)), meta)
    return got[0]


def test_the_upstream_gets_the_client_span_as_its_parent(traced: Any) -> None:
    value, tracestate = traceparent(traced.telemetry, {"traceparent": SAMPLED, "tracestate": "rojo=1"})

    client = client_of(traced.spans())
    assert value == f"00-{TRACE_ID}-{client.span_id}-01"
    assert tracestate == "rojo=1"


def test_the_traceparent_stays_the_same_however_often_it_is_asked_for(traced: Any) -> None:
    with traced.telemetry.server_span() as span:
        span.message(method="ping")
        with span.client() as upstream:
            assert upstream.context["traceparent"] == upstream.context["traceparent"]


def test_a_trace_that_starts_here_sets_the_random_flag(traced: Any) -> None:
    value, _ = traceparent(traced.telemetry, None)

    context = parse(value)
    assert context is not None
    assert context.flags == 3


def test_the_random_flag_of_a_caller_is_passed_on_and_unknown_flags_are_not(traced: Any) -> None:
    assert str(traceparent(traced.telemetry, {"traceparent": SAMPLED[:-2] + "ff"})[0])[-2:] == "03"
    assert str(traceparent(traced.telemetry, {"traceparent": SAMPLED[:-2] + "fd"})[0])[-2:] == "01"


def test_an_unsampled_context_travels_on_unsampled_with_a_fresh_span(traced: Any) -> None:
    value, tracestate = traceparent(traced.telemetry, {"traceparent": UNSAMPLED, "tracestate": "a=1"})

    context = parse(value)
    assert context is not None
    assert (context.trace_id, context.flags, tracestate) == (TRACE_ID, 0, "a=1")
    assert context.span_id != SPAN_ID


def test_beyond_the_rate_the_context_travels_on_unsampled(make_traced: Callable[..., Any]) -> None:
    traced = make_traced(sampler="parentbased_always_off", remote_sampled_per_second=1)
    flags = [str(traceparent(traced.telemetry, {"traceparent": SAMPLED})[0])[-2:] for _ in range(3)]

    assert flags == ["01", "00", "00"]
    assert len(traced.spans()) == 2
    assert traced.telemetry.stats.remote_sampled_refused == 2


def test_with_tracing_off_the_callers_context_passes_unchanged() -> None:
    telemetry = Telemetry.disabled()

    assert traceparent(telemetry, {"traceparent": SAMPLED, "tracestate": "a=1"}) == (SAMPLED, "a=1")
    assert traceparent(telemetry, {"traceparent": "forged"}) == (None, "")
    assert traceparent(telemetry, None) == (None, "")


def test_with_tracing_off_the_headers_context_passes_when_meta_has_none() -> None:
    with Telemetry.disabled().server_span(traceparent=SAMPLED) as span:
        span.message(method="ping", carrier_meta={"baggage": "user=eve"})
        with span.client() as upstream:
            meta: dict[str, Any] = {"baggage": "user=eve", "progressToken": 1}
            upstream.inject(meta)

    assert meta == {"traceparent": SAMPLED, "progressToken": 1}
