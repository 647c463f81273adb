"""How a SERVER span ends: answers, refusals, exceptions, and requests that never become a message."""

from collections.abc import Callable
from typing import Any

import pytest

from ostiary_gateway.errors import Refusal, UpstreamFault
from ostiary_gateway.telemetry import Telemetry

TRACE_ID, SPAN_ID = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
SAMPLED = f"00-{TRACE_ID}-{SPAN_ID}-01"


def break_off(telemetry: Telemetry, error: Exception, report: Callable[[Any], object] = lambda _: None) -> None:
    with telemetry.server_span() as span:
        span.message(method="ping")
        report(span)
        raise error


@pytest.mark.parametrize("code", [-32700, -32600, -32601, -32602, -32002])
def test_a_mistake_of_the_caller_is_recorded_but_is_no_error_of_the_server(traced: Any, code: int) -> None:
    with traced.telemetry.server_span() as span:
        span.message(method="ping")
        span.respond(code=code, message="you did this")

    ended = traced.span()
    assert ended.attributes["rpc.response.status_code"] == str(code)
    assert "error.type" not in ended.attributes
    assert (ended.status, ended.description) == (0, "")


@pytest.mark.parametrize("code", [-32603, -32000, -32020, -32022, -32042, -31001, -31003, -31007, 1])
def test_every_other_code_is_an_error_of_the_server(traced: Any, code: int) -> None:
    with traced.telemetry.server_span() as span:
        span.message(method="ping")
        span.respond(code=code, message="it went wrong")

    ended = traced.span()
    assert ended.attributes["rpc.response.status_code"] == ended.attributes["error.type"] == str(code)
    assert (ended.status, ended.description) == (2, "it went wrong")


def test_a_result_with_is_error_is_a_tool_error(traced: Any) -> None:
    with traced.telemetry.server_span() as span:
        span.message(method="tools/call", target="echo")
        span.respond(is_error=True)

    ended = traced.span()
    assert (ended.attributes["error.type"], ended.status) == ("tool_error", 2)
    assert "rpc.response.status_code" not in ended.attributes


def test_a_denied_call_prints_the_policy_that_denied_it_and_why(traced: Any) -> None:
    with traced.telemetry.server_span() as span:
        span.message(method="tools/call", target="delete_ticket")
        span.deny(policy="sales/readers", rule="no-delete", reason="denied", code=-31001, message="Denied")

    ended = traced.span()
    assert ended.name == "tools/call delete_ticket"
    assert (
        ended.attributes.items()
        >= {
            "ostiary.access.decision": "deny",
            "ostiary.access.policy": "sales/readers",
            "ostiary.access.rule": "no-delete",
            "ostiary.access.reason": "denied",
            "error.type": "-31001",
            "rpc.response.status_code": "-31001",
        }.items()
    )


def test_a_hidden_tool_is_a_denial_without_error_whose_name_does_not_name_the_span(traced: Any) -> None:
    with traced.telemetry.server_span() as span:
        span.message(method="tools/call", target="guess-17")
        span.deny(policy="sales/readers", reason="hidden", code=-32602, message="Unknown tool: guess-17")

    ended = traced.span()
    assert ended.name == "tools/call"
    assert ended.attributes["gen_ai.tool.name"] == "guess-17"
    assert ended.attributes["ostiary.access.decision"] == "deny"
    assert ended.status == 0


def test_an_allowed_call_prints_the_rule_that_allowed_it(traced: Any) -> None:
    with traced.telemetry.server_span() as span:
        span.message(method="tools/call", target="echo")
        span.allow(policy="sales/readers", rule="read")

    attributes = traced.span().attributes
    assert attributes["ostiary.access.decision"] == "allow"
    assert (attributes["ostiary.access.policy"], attributes["ostiary.access.rule"]) == ("sales/readers", "read")


def test_an_exception_that_leaves_the_block_is_recorded_by_its_class_alone(traced: Any) -> None:
    with pytest.raises(KeyError):
        break_off(traced.telemetry, KeyError("a secret"))

    ended = traced.span()
    assert (ended.attributes["error.type"], ended.status, ended.description) == ("KeyError", 2, "")


@pytest.mark.parametrize(
    ("error", "error_type"),
    [
        (TimeoutError(), "timeout"),
        (ConnectionResetError(), "ConnectionResetError"),
        (UpstreamFault("connect_failed", "no route"), "connect_failed"),
    ],
)
def test_time_outs_and_faults_of_upstreams_have_names_of_their_own(
    traced: Any, error: Exception, error_type: str
) -> None:
    with pytest.raises(type(error)):
        break_off(traced.telemetry, error)

    assert traced.span().attributes["error.type"] == error_type


def test_a_failure_that_was_reported_is_not_replaced_by_the_exception_after_it(traced: Any) -> None:
    with pytest.raises(RuntimeError):
        break_off(traced.telemetry, RuntimeError(), lambda span: span.fail("upstream_closed", "gone", code=-31003))

    ended = traced.span()
    assert (ended.attributes["error.type"], ended.description) == ("upstream_closed", "gone")
    assert ended.attributes["rpc.response.status_code"] == "-31003"


def test_an_answer_to_a_callers_mistake_stays_no_error_when_an_exception_follows_it(traced: Any) -> None:
    with pytest.raises(RuntimeError):
        break_off(traced.telemetry, RuntimeError(), lambda span: span.respond(code=-32602))

    assert traced.span().status == 0


def test_a_refusal_that_travels_as_an_exception_is_an_answer(traced: Any) -> None:
    with pytest.raises(Refusal):
        break_off(traced.telemetry, Refusal(200, "hidden", "Unknown tool: echo", code=-32602))
    with pytest.raises(Refusal):
        break_off(traced.telemetry, Refusal(401, "unauthorized", "a token is needed"))

    hidden, unauthorized = traced.spans()
    assert (hidden.attributes["rpc.response.status_code"], hidden.status) == ("-32602", 0)
    assert (unauthorized.attributes["error.type"], unauthorized.description) == ("401", "a token is needed")


# Requests that never become a message


def test_a_request_that_never_becomes_a_message_is_named_by_its_http_method(traced: Any) -> None:
    with traced.telemetry.server_span(http_method="POST") as span:
        span.respond(http_status=404)

    ended = traced.span()
    assert ended.name == "POST"
    assert ended.attributes == {
        "http.request.method": "POST",
        "http.response.status_code": 404,
        "error.type": "404",
    }
    assert ended.status == 2


def test_a_malformed_body_is_the_callers_mistake(traced: Any) -> None:
    with traced.telemetry.server_span() as span:
        span.respond(code=-32700, message="not JSON", http_status=400)

    ended = traced.span()
    assert (ended.name, ended.status) == ("POST", 0)
    assert ended.attributes["rpc.response.status_code"] == "-32700"


def test_an_http_method_that_does_not_exist_cannot_name_a_span(traced: Any) -> None:
    with traced.telemetry.server_span(http_method="BREW") as span:
        span.respond(http_status=405)

    ended = traced.span()
    assert (ended.name, ended.attributes["http.request.method"]) == ("HTTP", "_OTHER")


def test_a_request_without_a_message_joins_the_trace_of_its_headers(traced: Any) -> None:
    with traced.telemetry.server_span(traceparent=SAMPLED) as span:
        span.respond(http_status=401)

    assert (traced.span().trace_id, traced.span().parent_span_id) == (TRACE_ID, SPAN_ID)
