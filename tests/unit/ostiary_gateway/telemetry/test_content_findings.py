"""What the gateway counts, logs and traces of what rules about content found."""

import logging
from dataclasses import replace
from typing import Any

import pytest

from ostiary_core.content.finding import ContentFinding, Direction, summed
from ostiary_gateway.telemetry import content_findings
from ostiary_gateway.telemetry.content_findings import ContentFindings, report_findings

CARDS = ContentFinding("sales/pii", "cards", "CardNumber", "Mask", Direction.RESULTS, 2)
SHADOW = ContentFinding("sales/pii", "mails", "Email", "Remove", Direction.ARGUMENTS, is_shadow=True)


def note(findings: ContentFindings, *found: ContentFinding, proxy: str = "sales/crm") -> None:
    findings.note(proxy, found, method="tools/call", caller="sales/bot")


def test_places_are_counted_by_proxy_rule_detector_action_direction_and_mode() -> None:
    findings = ContentFindings()

    note(findings, CARDS, SHADOW)
    note(findings, CARDS)

    cards = ("sales/crm", "sales/pii", "cards", "CardNumber", "Mask", Direction.RESULTS, "Enforce")
    assert findings.counts[cards] == 4
    assert [key[-1] for key in findings.counts] == ["Enforce", "Shadow"]


def test_each_rule_is_logged_once_a_minute_and_says_what_shadow_mode_would_do(caplog: pytest.LogCaptureFixture) -> None:
    findings = ContentFindings()

    with caplog.at_level(logging.INFO):
        note(findings, CARDS, CARDS, SHADOW)

    assert caplog.messages == [
        "proxy sales/crm: policy sales/pii, rule cards, found CardNumber in Results of tools/call by sales/bot: Mask",
        (
            "proxy sales/crm: policy sales/pii, rule mails, in Shadow mode, found Email in Arguments of tools/call by "
            "sales/bot: would Remove"
        ),
    ]


def test_only_the_policies_of_a_changed_proxy_that_still_apply_are_kept() -> None:
    findings = ContentFindings()
    note(findings, CARDS, replace(CARDS, policy="sales/old"))
    note(findings, CARDS, proxy="sales/other")

    findings.keep({"sales/crm": {"sales/pii"}})
    assert sorted(key[:2] for key in findings.counts) == [("sales/crm", "sales/pii"), ("sales/other", "sales/pii")]

    findings.keep({"sales/crm": set()})
    assert [key[0] for key in findings.counts] == ["sales/other"]


def test_beyond_the_most_series_findings_are_counted_without_their_rule(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(content_findings, "MOST_SERIES", 1)
    findings = ContentFindings()

    note(findings, CARDS)
    note(findings, *(replace(CARDS, rule=f"rule-{number}") for number in range(3)))

    assert len(findings.counts) == 2
    assert findings.counts["sales/crm", "sales/pii", "", "", "Mask", Direction.RESULTS, "Enforce"] == 6


def test_a_span_lists_what_was_found_and_the_actions_that_are_in_force(traced: Any) -> None:
    with traced.telemetry.server_span() as span:
        span.message(method="tools/call", target="get_customer")
        report_findings(span, summed(None, [CARDS, SHADOW]))

    attributes = traced.span().attributes
    assert attributes["ostiary.content.findings"] == [
        "sales/pii/cards Results CardNumber Mask 2",
        "sales/pii/mails Arguments Email Remove 1 Shadow",
    ]
    assert attributes["ostiary.content.detectors"] == ["CardNumber"]
    assert attributes["ostiary.content.actions"] == ["Mask"]
