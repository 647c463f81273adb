"""Evidence of a process: on unless the settings turn it off, and an observer never harms a request."""

from typing import cast

import pytest
from ended_calls import NOW, ended_call, serving_proxies, uid_of

from ostiary_core.evidence.recorded_call import CallOutcome
from ostiary_gateway.evidence.call_ring import CallDetails, EndedCall
from ostiary_gateway.evidence.gateway_evidence import GatewayEvidence

CRM = "tools/crm"


def evidence(*, recording: str | None = None) -> GatewayEvidence:
    made = GatewayEvidence(now=lambda: NOW)
    made.on_swap(serving_proxies(CRM, recording=recording), frozenset())
    return made


def test_a_denial_and_what_shadow_policies_would_deny_are_two_refusals() -> None:
    made = evidence()
    denied = CallDetails(reason="Denied", policy="a/p", rule="r")
    shadow = CallDetails(shadow_policy="a/s", shadow_rule="q", shadow_reason="Denied")
    made.record(uid_of(CRM), ended_call(tool="t", outcome=CallOutcome.DENIED, details=denied))
    made.record(uid_of(CRM), ended_call(tool="t", details=shadow))
    made.record(uid_of(CRM), ended_call(tool="t", outcome=CallOutcome.FAILED, details=CallDetails(detail="x")))
    found = {(key.policy, key.rule, key.is_shadow): counted[0] for key, counted in made.refusals.items()}
    assert found == {("a/p", "r", False): 1, ("a/s", "q", True): 1}
    assert len(made.calls) == 3


def test_off_nothing_is_kept_and_nothing_is_asked_of_the_record_stage() -> None:
    made = evidence(recording="Off")
    assert (made.is_on, made.keeps_calls) == (False, False)
    made.on_swap(serving_proxies(CRM), frozenset())
    assert made.keeps_calls


def test_an_observer_gets_calls_that_are_not_kept() -> None:
    made, seen = evidence(recording="Off"), list[EndedCall]()
    made.on_call = seen.append
    assert made.keeps_calls
    assert made.is_live
    made.record(uid_of(CRM), ended_call(tool="t"))
    assert [each.name for each in seen] == ["t"]
    assert len(made.calls) == 0


def test_an_observer_that_fails_harms_no_request_and_is_warned_of_once(caplog: pytest.LogCaptureFixture) -> None:
    def fail(_: EndedCall) -> None:
        raise ZeroDivisionError

    made = evidence()
    made.on_call = fail
    for _ in range(10):
        made.record(uid_of(CRM), ended_call())
    assert caplog.messages == ["the observer of calls failed"]
    assert len(made.calls) == 10


def test_a_request_that_cannot_be_kept_costs_no_other_of_its_batch(caplog: pytest.LogCaptureFixture) -> None:
    made = evidence()
    broken = ended_call(seconds=cast("float", "no number"))
    made.take([(uid_of(CRM), 0, 0, "", call) for call in (ended_call(tool="a"), broken, ended_call(tool="b"))])
    assert len(made.calls) == 2
    assert caplog.messages == ["a request could not be kept as evidence: this is a bug"]
