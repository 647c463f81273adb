from collections.abc import Callable
from dataclasses import replace

import pytest

from ostiary_core.content.finding import ContentFinding, Direction
from ostiary_gateway.telemetry import ServerSpan, SpanRecord, Telemetry, semantic_conventions
from ostiary_gateway.telemetry.content_findings import report_findings
from ostiary_operator.local.call_log import CallOutcome, CallRecord
from ostiary_operator.local.embedded_gateway import call_of


def denied(span: ServerSpan) -> None:
    span.deny(policy="default/p", rule="r", reason="Denied", code=-31001, message="Denied")


def hidden(span: ServerSpan) -> None:
    span.deny(policy="default/p", reason="NotAllowed", code=-32602)


def lost(span: ServerSpan) -> None:
    span.deny(policy="", rule="eu", reason="NoRoute", code=-31001)


def unreachable(span: ServerSpan) -> None:
    span.respond(code=-31003, message="UpstreamUnreachable")


def wrong_arguments(span: ServerSpan) -> None:
    span.respond(code=-32602, message="Invalid params")


def tool_error(span: ServerSpan) -> None:
    span.respond(is_error=True)


def masked(span: ServerSpan) -> None:
    mask = ContentFinding("default/pii", "cards", "CardNumber", "Mask", Direction.RESULTS)
    place = replace(mask, rule="last", detector="/structuredContent/last name", action="Remove", is_shadow=True)
    report_findings(span, {mask: 2, replace(mask, rule="others"): 1, place: 1})
    span.respond()


def fine(span: ServerSpan) -> None:
    span.respond()


def call_after(
    report: Callable[[ServerSpan], None], method: str = "tools/call", target: str | None = "echo"
) -> CallRecord:
    seen: list[SpanRecord] = []
    with Telemetry.disabled(on_end=seen.append).server_span() as span:
        span.routed(
            {semantic_conventions.OSTIARY_PROXY_NAMESPACE: "default", semantic_conventions.OSTIARY_PROXY_NAME: "mock"},
            revision=1,
        )
        span.message(method=method, target=target)
        report(span)
    return call_of(seen[0])


@pytest.mark.parametrize(
    ("report", "outcome", "why"),
    [
        (fine, CallOutcome.OK, ""),
        (denied, CallOutcome.DENIED, "by rule r of policy default/p"),
        (lost, CallOutcome.DENIED, "by routing rule eu (NoRoute)"),
        (hidden, CallOutcome.HIDDEN, "no rule of policy default/p allows it"),
        (unreachable, CallOutcome.FAILED, "-31003: UpstreamUnreachable"),
        (wrong_arguments, CallOutcome.FAILED, "-32602"),
        (tool_error, CallOutcome.TOOL_ERROR, ""),
    ],
)
def test_each_outcome_of_a_call_has_its_name(
    report: Callable[[ServerSpan], None], outcome: CallOutcome, why: str
) -> None:
    call = call_after(report)
    assert (call.outcome, call.why) == (outcome, why)
    assert (call.method, call.target, call.proxy) == ("tools/call", "echo", "default/mock")
    assert call.seconds > 0


def test_a_method_without_a_target_has_none() -> None:
    assert call_after(fine, "initialize", None).what == "initialize"


def test_a_resource_is_what_a_reading_is_about() -> None:
    assert call_after(denied, "resources/read", "users://all").what == "resources/read users://all"


def test_what_never_became_a_message_is_no_call() -> None:
    seen: list[SpanRecord] = []
    with Telemetry.disabled(on_end=seen.append).server_span() as span:
        span.respond(http_status=404, message="NoSuchProxy")
    call = call_of(seen[0])
    assert (call.method, call.proxy, call.outcome) == ("", "", CallOutcome.FAILED)
    assert not call.is_shown_by_default


@pytest.mark.parametrize(("status", "reason"), [(401, "CredentialMissing"), (503, "IdentityProviderUnavailable")])
def test_a_caller_that_is_not_authenticated_is_shown_with_the_reason(status: int, reason: str) -> None:
    seen: list[SpanRecord] = []
    with Telemetry.disabled(on_end=seen.append).server_span() as span:
        span.routed({semantic_conventions.OSTIARY_PROXY_NAME: "mock"}, revision=1)
        span.respond(http_status=status, message=reason)
    call = call_of(seen[0])
    assert call.is_shown_by_default
    assert (call.outcome, call.why) == (CallOutcome.REFUSED, f"{status}: {reason}")


def test_what_masks_and_guards_found_is_shown_each_once() -> None:
    call = call_after(masked)
    assert call.outcome is CallOutcome.OK
    assert call.why == "[CardNumber: Mask, /structuredContent/last name: would Remove]"
