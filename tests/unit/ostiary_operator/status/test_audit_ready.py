"""AuditReady of an MCPPolicy, from what each replica says of its trail."""

from typing import Any

from ostiary_operator.compile.model import ObjectKey, ResourceStatus
from ostiary_operator.status.audit_ready import evaluate
from ostiary_operator.status.replica_reports import Report
from ostiary_operator.status.replica_state import GatewayState, ReplicaState
from ostiary_operator.status.replicas import Replica

GATEWAY = "ostiary-system/default"
GOOD = {"fault": None, "sinks": [{"name": "stdout", "fault": None, "written": 3}], "waiting": 0}
COPY_AWAY = {"fault": None, "sinks": [{"name": "stdout", "fault": None}, {"name": "otlp", "fault": "it is away"}]}
FULL = {"fault": "/secret/path cannot be written: No space left on device", "sinks": [{"fault": "full"}]}


def status(*, is_audited: bool = True) -> ResourceStatus:
    expected = {GATEWAY: {"tools/mock": "0" * 64}}
    key = ObjectKey("MCPPolicy", "tools", "audited")
    return ResourceStatus(key, "u", 1, (), expected=expected, is_audited=is_audited)


def reporting(*trails: dict[str, Any] | None) -> dict[str, GatewayState]:
    states = {}
    for number, trail in enumerate(trails):
        report = Report.model_validate(
            {"gateway": GATEWAY, "revision": 1, "replica": f"r{number}", "entries": {}, "auditTrail": trail}
        )
        states[f"http://{number}"] = ReplicaState(Replica(f"http://{number}", f"r{number}"), 0.0, report=report)
    return {GATEWAY: GatewayState(GATEWAY, 0.0, states=states)}


def judged(*trails: dict[str, Any] | None) -> tuple[str, str]:
    found = evaluate(status(), reporting(*trails), None)
    assert found is not None
    return found.status, found.reason


def test_a_policy_without_audit_has_no_such_condition() -> None:
    assert evaluate(status(is_audited=False), reporting(FULL), None) is None


def test_all_replicas_must_write_to_all_sinks() -> None:
    assert judged(GOOD, GOOD) == ("True", "AuditReady")
    assert judged(GOOD, None) == ("Unknown", "Pending")
    assert judged(GOOD, None, COPY_AWAY) == ("False", "CopyFailing")
    assert judged(GOOD, COPY_AWAY, FULL) == ("False", "RecordsNotWritten")


def test_owners_of_policies_learn_the_gateway_and_not_the_paths_of_its_sinks() -> None:
    found = evaluate(status(), reporting(GOOD, FULL), None)
    assert found is not None
    assert GATEWAY in found.message
    assert "/secret/path" not in found.message


def test_without_a_report_the_condition_stays_as_it_is() -> None:
    live = {"status": "False", "reason": "RecordsNotWritten", "message": "m"}
    found = evaluate(status(), reporting(), live)
    assert found is not None
    assert (found.status, found.reason, found.message) == ("False", "RecordsNotWritten", "m")
    assert judged() == ("Unknown", "Pending")


def test_counters_of_a_trail_do_not_change_what_is_compared() -> None:
    state = next(iter(reporting(GOOD)[GATEWAY].states.values()))
    assert state.report is not None
    state.answered(state.report, 1.0)
    later = Report.model_validate(
        {"gateway": GATEWAY, "revision": 1, "replica": "r0", "entries": {}, "auditTrail": {**GOOD, "waiting": 7}}
    )
    assert not state.answered(later, 2.0)
    faulty = later.model_copy(update={"audit_trail": None})
    assert state.answered(faulty, 3.0)
    assert state.changes.everything
