"""What the gateway counts and logs of denied requests."""

import logging

import pytest

from ostiary_core.policy.decision import Decision, DecisionReason
from ostiary_gateway.telemetry.denials import AccessDenials

LOG = logging.getLogger("test_denials")
DENIED = Decision(False, DecisionReason.DENIED, "sales/writers", "no-delete", generation=7)
NOT_ALLOWED = Decision(False, DecisionReason.NOT_ALLOWED)


def test_the_log_of_a_denial_names_policy_generation_rule_reason_and_caller(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        AccessDenials(LOG).note("sales/crm", "sales/bot", "tools/call", "delete\nall", DENIED)

    (message,) = caplog.messages
    assert "denied tools/call of 'delete\\nall' by sales/bot" in message
    assert message.endswith("policy sales/writers, generation 7, rule no-delete: Denied")


def test_each_reason_of_a_proxy_is_logged_once_a_minute_and_always_counted(caplog: pytest.LogCaptureFixture) -> None:
    denials = AccessDenials(LOG)

    with caplog.at_level(logging.INFO):
        for decision in (DENIED, DENIED, NOT_ALLOWED):
            denials.note("sales/crm", "sales/bot", "tools/call", "x", decision)

    assert [message.rsplit(": ", 1)[1] for message in caplog.messages] == ["Denied", "NotAllowed"]
    assert denials.counts[DecisionReason.DENIED] == {"sales/crm": 2}
    assert denials.counts[DecisionReason.NOT_ALLOWED] == {"sales/crm": 1}


def test_the_counts_of_a_proxy_that_is_gone_are_forgotten() -> None:
    denials = AccessDenials(LOG)
    denials.note("sales/crm", "sales/bot", "tools/call", "x", DENIED)

    denials.forget({"sales/crm"})

    assert not any(denials.counts.values())
