import pytest

from ostiary_core.evidence.recorded_call import CallOutcome
from ostiary_gateway.evidence.call_ring import CallDetails, EndedCall
from ostiary_gateway.telemetry.request_labels import PlainLabels
from ostiary_operator.local.call_log import CallRecord
from ostiary_operator.local.embedded_gateway import call_of

DENIED = CallDetails(policy="default/p", rule="r", reason="Denied")
LOST = CallDetails(rule="eu", reason="NoRoute")
HIDDEN = CallDetails(policy="default/p", reason="NotAllowed")
BLOCKED = CallDetails(reason="PrincipalBlocked", detail="-31001: PrincipalBlocked")
LIMITED = CallDetails(policy="default/p", rule="daily", detail="-31002: LimitReached by policy default/p, limit daily")
UNREACHABLE = CallDetails(detail="-31003: UpstreamUnreachable")
WRONG_ARGUMENTS = CallDetails(detail="-32602")
MASKED = CallDetails(findings=("CardNumber: Mask", "/structuredContent/last name: would Remove"))


def labels_of(method: str, proxy: str) -> PlainLabels:
    return (method, proxy, "", "", "", "", "", 200, "", "", "", "", "", "", "")


def call_after(
    outcome: CallOutcome = CallOutcome.OK,
    details: CallDetails | None = None,
    *,
    method: str = "tools/call",
    name: str = "echo",
    proxy: str = "default/mock",
) -> CallRecord:
    call = EndedCall(1_790_000_000_000, 0.5, 0.25, labels_of(method, proxy), name, "default/bob", outcome, "", details)
    return call_of(call)


@pytest.mark.parametrize(
    ("outcome", "details", "why"),
    [
        (CallOutcome.OK, None, ""),
        (CallOutcome.DENIED, DENIED, "by rule r of policy default/p"),
        (CallOutcome.DENIED, LOST, "by routing rule eu (NoRoute)"),
        (CallOutcome.HIDDEN, HIDDEN, "no rule of policy default/p allows it"),
        (CallOutcome.BLOCKED, BLOCKED, "PrincipalBlocked"),
        (CallOutcome.LIMITED, LIMITED, "-31002: LimitReached by policy default/p, limit daily"),
        (CallOutcome.FAILED, UNREACHABLE, "-31003: UpstreamUnreachable"),
        (CallOutcome.FAILED, WRONG_ARGUMENTS, "-32602"),
        (CallOutcome.TOOL_ERROR, None, ""),
    ],
)
def test_each_outcome_of_a_call_is_told_with_its_reason(
    outcome: CallOutcome, details: CallDetails | None, why: str
) -> None:
    call = call_after(outcome, details)
    assert (call.outcome, call.why) == (outcome, why)
    assert (call.method, call.target, call.proxy) == ("tools/call", "echo", "default/mock")
    assert call.seconds == 0.5


def test_a_method_without_a_target_has_none() -> None:
    assert call_after(method="initialize", name="").what == "initialize"


def test_a_resource_is_what_a_reading_is_about() -> None:
    call = call_after(CallOutcome.DENIED, DENIED, method="resources/read", name="users://all")
    assert call.what == "resources/read users://all"


@pytest.mark.parametrize(("method", "proxy"), [("", ""), ("GET", "default/mock"), ("DELETE", "default/mock")])
def test_what_never_became_a_message_is_no_call(method: str, proxy: str) -> None:
    call = call_after(CallOutcome.FAILED, CallDetails(detail="404: NoSuchProxy"), method=method, name="", proxy=proxy)
    assert (call.method, call.proxy, call.outcome) == ("", proxy, CallOutcome.FAILED)
    assert not call.is_shown_by_default


def test_a_caller_that_is_not_authenticated_is_shown_with_the_reason() -> None:
    call = call_after(CallOutcome.REFUSED, CallDetails(detail="401: CredentialMissing"), method="", name="")
    assert call.is_shown_by_default
    assert (call.outcome, call.why) == (CallOutcome.REFUSED, "401: CredentialMissing")


def test_what_masks_and_guards_found_is_shown_each_once() -> None:
    assert call_after(details=MASKED).why == "[CardNumber: Mask, /structuredContent/last name: would Remove]"
