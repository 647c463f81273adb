"""AuthDiscovery of a proxy, from the reports of replicas."""

from collections.abc import Mapping
from typing import Any

import pytest

from ostiary_core.auth_discovery import DiscoveryOutcome
from ostiary_operator.api.upstream_reasons import AuthDiscoveryReason
from ostiary_operator.compile.model import ConditionDraft, ObjectKey, ResourceStatus
from ostiary_operator.status.auth_discovery import evaluate
from ostiary_operator.status.replica_reports import Report
from ostiary_operator.status.replica_state import GatewayState, ReplicaState
from ostiary_operator.status.replicas import Replica

GATEWAY, PROXY = "ostiary-system/default", "tools/crm"
COMPLETE, PENDING = {"reason": "AuthDiscovery"}, {"reason": "Pending"}
OPEN = {"reason": "NoUnauthorizedResponse", "message": "it responds with HTTP 200"}


def status(kind: str = "MCPProxy") -> ResourceStatus:
    return ResourceStatus(ObjectKey(kind, "tools", "crm"), "u", 3, (), expected={GATEWAY: {PROXY: "a" * 64}})


def reporting(*found: Mapping[str, Any] | None) -> dict[str, GatewayState]:
    """A gateway with one replica for each of these reports; None reports that it authenticates callers itself."""
    states = {}
    for number, discovery in enumerate(found):
        entry = {"active": "a" * 64, **({"authDiscovery": discovery} if discovery is not None else {})}
        report = Report.model_validate(
            {"gateway": GATEWAY, "revision": 1, "replica": f"r{number}", "entries": {PROXY: entry}}
        )
        states[f"http://{number}"] = ReplicaState(Replica(f"http://{number}", f"r{number}"), 0.0, report=report)
    return {GATEWAY: GatewayState(GATEWAY, 0.0, states=states)}


def judged(*found: Mapping[str, Any] | None) -> tuple[str, str]:
    draft = evaluate(status(), reporting(*found), None)
    assert draft is not None
    return draft.status, draft.reason


def test_a_proxy_whose_callers_the_gateway_authenticates_has_no_such_condition() -> None:
    assert evaluate(status(), reporting(None, None), None) is None
    assert evaluate(status("MCPPolicy"), reporting(COMPLETE), None) is None


def test_a_complete_discovery_is_true_and_an_unfinished_check_is_unknown() -> None:
    assert judged(COMPLETE) == judged(PENDING, COMPLETE) == ("True", "AuthDiscovery")
    assert judged(PENDING) == ("Unknown", "Pending")
    assert judged({"reason": "ServerUnavailable"}) == ("Unknown", "ServerUnavailable")


def test_one_replica_that_finds_a_missing_step_is_enough_and_the_message_names_step_cause_and_remedy() -> None:
    assert judged(COMPLETE, OPEN, PENDING) == ("False", "NoUnauthorizedResponse")
    found = evaluate(status(), reporting(OPEN), None)
    assert found is not None
    assert found.message.startswith("The server does not respond with 401 to a request without a token")
    assert "(it responds with HTTP 200). Enable OAuth in the server" in found.message


@pytest.mark.parametrize("reason", [each for each in AuthDiscoveryReason if each.remedy.startswith(("Make", "Add"))])
def test_every_missing_step_is_false(reason: AuthDiscoveryReason) -> None:
    assert judged({"reason": str(reason)}) == ("False", reason)


def test_a_reason_that_only_a_newer_gateway_knows_is_reported_by_its_name() -> None:
    assert judged({"reason": "Novel", "message": "words"}) == ("False", "Novel")


def test_the_condition_stays_while_no_replica_reports_and_goes_when_passthrough_does() -> None:
    live = {"status": "True", "reason": "AuthDiscovery", "message": "m", "observedGeneration": 3}
    kept = ConditionDraft("AuthDiscovery", "True", "AuthDiscovery", "m")
    assert evaluate(status(), {}, live) == kept
    assert evaluate(status(), reporting(None), live) is None
    assert evaluate(status(), {}, None) is None


def test_the_reasons_are_the_outcomes_of_the_gateways_check() -> None:
    assert {str(reason) for reason in AuthDiscoveryReason} == {str(outcome) for outcome in DiscoveryOutcome}


def test_a_hostile_report_cannot_break_the_status() -> None:
    hostile = {"reason": "x" * 100, "message": "a\x1b[2J\n" + "b" * 9000}
    draft = evaluate(status(), reporting(hostile), None)
    assert draft is not None
    assert (draft.reason, "\x1b" in draft.message, len(draft.message) < 600) == ("Invalid", False, True)
