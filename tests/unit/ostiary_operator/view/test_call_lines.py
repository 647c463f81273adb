"""Why a call ended so, in one sentence."""

import pytest

from ostiary_core.evidence.recorded_call import CallOutcome, RecordedCall
from ostiary_operator.view.call_lines import why_of

CALL = RecordedCall(
    number=1,
    at=1,
    proxy="default/weather",
    method="tools/call",
    name="get_weather",
    principal="default/bot",
    outcome=CallOutcome.LIMITED,
    duration_ms=1.0,
    upstream_ms=0.0,
    status=200,
)
LIMIT = "-31002: LimitReached by policy default/limits, limit daily"


@pytest.mark.parametrize(
    ("told", "why"),
    [
        ({"reason": "LimitReached", "policy": "default/limits", "rule": "daily", "detail": LIMIT}, LIMIT),
        ({"reason": "CredentialInvalid", "detail": "401: CredentialInvalid"}, "401: CredentialInvalid"),
        ({"reason": "Denied", "policy": "default/p", "rule": "r"}, "Denied by rule r of policy default/p"),
        ({"reason": "NotAllowed", "policy": "default/p"}, "NotAllowed by policy default/p"),
        (
            {"reason": "Blocked", "policy": "default/p", "detail": "-1: Blocked"},
            "Blocked by policy default/p -1: Blocked",
        ),
    ],
)
def test_what_decided_is_said_once(told: dict[str, str], why: str) -> None:
    assert " ".join(why_of(CALL.model_copy(update=told))) == why
