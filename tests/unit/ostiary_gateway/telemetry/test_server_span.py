"""The SERVER span: what a message looks like, and how long it lasts."""

from collections.abc import Callable
from typing import Any

import pytest

from ostiary_core.mcp.methods import METHODS
from ostiary_gateway.telemetry import Telemetry

UNSAMPLED = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00"

TOOL_KEYS = {"gen_ai.tool.name", "gen_ai.operation.name", "gen_ai.prompt.name"}


def call(telemetry: Telemetry, method: str = "tools/call", target: str | None = "echo", **more: Any) -> None:
    with telemetry.server_span() as span:
        span.message(method=method, target=target, **more)
        span.respond()


def test_a_tool_call_carries_what_the_conventions_ask_for(traced: Any) -> None:
    with traced.telemetry.server_span(client_address="10.1.2.3", client_port=50123, http_version="1.1") as span:
        span.message(
            method="tools/call", target="get_weather", request_id=42, protocol_version="2026-07-28", carrier_meta={}
        )
        span.respond()

    ended = traced.span()
    assert ended.name == "tools/call get_weather"
    assert (ended.kind, ended.status, ended.description) == (2, 0, "")
    assert ended.attributes == {
        "mcp.method.name": "tools/call",
        "gen_ai.operation.name": "execute_tool",
        "gen_ai.tool.name": "get_weather",
        "jsonrpc.request.id": "42",
        "mcp.protocol.version": "2026-07-28",
        "network.transport": "tcp",
        "network.protocol.name": "http",
        "network.protocol.version": "1.1",
        "client.address": "10.1.2.3",
        "client.port": 50123,
    }


def test_a_prompt_is_named_and_is_no_tool(traced: Any) -> None:
    call(traced.telemetry, "prompts/get", "greeting")

    ended = traced.span()
    assert ended.name == "prompts/get greeting"
    assert ended.attributes["gen_ai.prompt.name"] == "greeting"
    assert "gen_ai.operation.name" not in ended.attributes


@pytest.mark.parametrize("method", ["resources/read", "resources/subscribe", "resources/unsubscribe"])
def test_a_resource_is_an_attribute_and_never_in_the_name(traced: Any, method: str) -> None:
    call(traced.telemetry, method, "file:///etc/motd")

    ended = traced.span()
    assert ended.name == method
    assert ended.attributes["mcp.resource.uri"] == "file:///etc/motd"


@pytest.mark.parametrize("method", sorted(METHODS.keys() - {"tools/call", "prompts/get"}))
def test_no_other_method_carries_a_tool(traced: Any, method: str) -> None:
    call(traced.telemetry, method, "echo")

    ended = traced.span()
    assert ended.name == method
    assert ended.attributes["mcp.method.name"] == method
    assert not TOOL_KEYS & ended.attributes.keys()


def test_a_method_that_does_not_exist_cannot_name_a_span(traced: Any) -> None:
    with traced.telemetry.server_span() as span:
        span.message(method="tools/invent", target="x")
        span.respond(code=-32601, message="Method not found")

    ended = traced.span()
    assert ended.name == "POST"
    assert ended.attributes["mcp.method.name"] == "tools/invent"


@pytest.mark.parametrize(("request_id", "text"), [("abc", "abc"), (0, "0"), (1.5, "1.5"), ("", "")])
def test_a_request_id_is_text(traced: Any, request_id: Any, text: str) -> None:
    call(traced.telemetry, request_id=request_id)

    assert traced.span().attributes["jsonrpc.request.id"] == text


def test_a_notification_has_no_request_id(traced: Any) -> None:
    call(traced.telemetry, "notifications/initialized", None)

    assert "jsonrpc.request.id" not in traced.span().attributes


def test_a_session_is_recorded_by_a_digest_that_does_not_reveal_it(traced: Any) -> None:
    call(traced.telemetry, session_id="sealed-session-id")
    call(traced.telemetry, session_id="sealed-session-id")
    call(traced.telemetry, session_id="another")

    first, second, third = (span.attributes["mcp.session.id"] for span in traced.spans())
    assert first == second != third
    assert len(first) == 32
    assert "sealed" not in first


def test_what_was_reported_before_the_message_is_kept(traced: Any) -> None:
    proxy = {"ostiary.proxy.name": "crm", "ostiary.proxy.namespace": "sales"}
    with traced.telemetry.server_span() as span:
        for name, value in proxy.items():
            span.set(name, value)
        span.message(method="ping")

    assert traced.span().attributes.items() >= proxy.items()


def test_reports_of_one_span_never_reach_another(traced: Any) -> None:
    shared = {"ostiary.proxy.name": "crm"}
    with traced.telemetry.server_span() as span:
        span.routed(shared, revision=1)
        span.message(method="ping")
        span.set("ostiary.access.rule", "first")
    call(traced.telemetry, "ping", None)

    assert shared == {"ostiary.proxy.name": "crm"}
    assert "ostiary.access.rule" not in traced.spans()[1].attributes


def test_nothing_is_set_by_none(traced: Any) -> None:
    with traced.telemetry.server_span() as span:
        span.message(method="ping")
        span.set("ostiary.access.rule", None)

    assert "ostiary.access.rule" not in traced.span().attributes


def test_the_text_of_a_caller_is_cut_before_the_queue_keeps_it(make_traced: Callable[..., Any]) -> None:
    traced = make_traced(attribute_text_limit=50)
    long = "x" * 1_000_000
    with traced.telemetry.server_span() as span:
        span.message(
            method="tools/call", target=long, request_id=long, protocol_version=long, session_id=long, carrier_meta={}
        )
        span.set("ostiary.access.reason", long)
        span.fail("timeout", long)

    ended = traced.span()
    texts = [value for value in ended.attributes.values() if isinstance(value, str)]
    assert max(map(len, [*texts, ended.description])) == 50
    assert len(ended.name) < 300


def test_attributes_over_the_limit_are_dropped_and_counted(make_traced: Callable[..., Any]) -> None:
    traced = make_traced(attribute_count_limit=10)
    with traced.telemetry.server_span() as span:
        span.message(method="ping")
        for number in range(20):
            span.set(f"ostiary.test.{number}", number)

    ended = traced.span()
    assert len(ended.attributes) == 10
    assert ended.attributes["mcp.method.name"] == "ping"
    assert ended.dropped_attributes == 13


# Sampling, ends and times


def test_an_unsampled_parent_leaves_nothing_behind(traced: Any) -> None:
    with traced.telemetry.server_span() as span:
        span.routed({"ostiary.proxy.name": "crm"}, revision=1)
        span.message(method="ping", carrier_meta={"traceparent": UNSAMPLED})
        assert not span.recording
        span.set("ostiary.access.rule", "x")
        span.deny(code=-31001)

    assert (span.sampled, span.error_type, span.rpc_code) == (False, "-31001", -31001)
    assert traced.spans() == []


def test_a_request_without_a_message_is_sampled_like_any_other(make_traced: Callable[..., Any]) -> None:
    traced = make_traced(sampler="always_off")
    with traced.telemetry.server_span() as span:
        span.respond(http_status=404)

    assert traced.spans() == []


def test_a_span_may_end_before_its_block(traced: Any) -> None:
    with traced.telemetry.server_span() as span:
        span.message(method="ping")
        span.end()
        span.set("ostiary.access.rule", "too late")
        span.end()

    assert "ostiary.access.rule" not in traced.span().attributes


def test_times_are_wall_clock_and_children_are_within_their_parents(traced: Any) -> None:
    with traced.telemetry.server_span() as span:
        span.message(method="ping")
        with span.client(server_name="a"):
            pass
        assert 0 < span.elapsed < 10

    child, parent = traced.spans()
    assert parent.start_ns <= child.start_ns <= child.end_ns <= parent.end_ns
    assert parent.duration_ns == parent.end_ns - parent.start_ns > 0


def test_a_clock_that_is_set_back_makes_no_negative_duration(traced: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    times = iter([2_000_000_000_000_000_000, 1_000_000_000_000_000_000])
    monkeypatch.setattr("ostiary_gateway.telemetry.server_span.time_ns", lambda: next(times))
    call(traced.telemetry)
    call(traced.telemetry)

    first, second = traced.spans()
    assert first.start_ns == 2_000_000_000_000_000_000
    assert second.start_ns == 1_000_000_000_000_000_000
    assert min(first.duration_ns, second.duration_ns) > 0
