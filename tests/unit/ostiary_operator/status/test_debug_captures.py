"""Uncaptured of a proxy, from the reports of replicas."""

from ostiary_operator.compile.model import ObjectKey, ResourceStatus
from ostiary_operator.status.debug_captures import evaluate
from ostiary_operator.status.replica_reports import Report
from ostiary_operator.status.replica_state import GatewayState, ReplicaState
from ostiary_operator.status.replicas import Replica

GATEWAY, PROXY = "ostiary-system/default", "tools/crm"
LIVE = {"status": "False", "reason": "Capturing", "message": "as written"}


def status(kind: str = "MCPProxy") -> ResourceStatus:
    return ResourceStatus(ObjectKey(kind, "tools", "crm"), "u", 3, (), expected={GATEWAY: {PROXY: "a" * 64}})


def reporting(*ends: int | None) -> dict[str, GatewayState]:
    """A gateway with one replica for each of these ends of a capture, in epoch milliseconds; None captures nothing."""
    states = {}
    for number, until in enumerate(ends):
        entry = {"active": "a" * 64, **({"debugCapture": {"until": until}} if until is not None else {})}
        report = Report.model_validate(
            {"gateway": GATEWAY, "revision": 1, "replica": f"r{number}", "entries": {PROXY: entry}}
        )
        states[f"http://{number}"] = ReplicaState(Replica(f"http://{number}", f"r{number}"), 0.0, report=report)
    return {GATEWAY: GatewayState(GATEWAY, 0.0, states=states)}


def test_a_proxy_that_no_replica_captures_has_no_such_condition() -> None:
    assert evaluate(status(), reporting(None, None), None) is None
    assert evaluate(status("MCPPolicy"), reporting(1_000), None) is None


def test_the_message_says_until_when_the_last_replica_captures_and_who_may_read_it() -> None:
    found = evaluate(status(), reporting(None, 1_795_975_200_000, 1_795_975_100_000), None)
    assert found is not None
    assert (found.status, found.reason) == ("False", "Capturing")
    assert "until 2026-11-29T18:00:00Z (spec.debugCapture). Who may read a gateway's Secret" in found.message


def test_it_goes_with_the_end_of_the_capture_and_stays_while_no_replica_reports() -> None:
    assert evaluate(status(), reporting(None), LIVE) is None
    kept = evaluate(status(), reporting(), LIVE)
    assert kept is not None
    assert kept.message == "as written"
