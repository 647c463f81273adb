"""LimitStoreReady of an MCPPolicy, from what each replica says of its store."""

from ostiary_core.limit_store_states import StoreState
from ostiary_operator.api.limit_store_reasons import LimitStoreReadyReason
from ostiary_operator.compile.model import ObjectKey, ResourceStatus
from ostiary_operator.status.limit_store_ready import evaluate
from ostiary_operator.status.replica_reports import Report, parse_report
from ostiary_operator.status.replica_state import GatewayState, ReplicaState, ReportChanges
from ostiary_operator.status.replicas import Replica

GATEWAY = "ostiary-system/default"


def status(*, counts_in: tuple[str, ...] = (GATEWAY,)) -> ResourceStatus:
    return ResourceStatus(ObjectKey("MCPPolicy", "tools", "limits"), "u", 1, (), counts_in=counts_in)


def reporting(*reasons: str | None) -> dict[str, GatewayState]:
    states = {}
    for number, reason in enumerate(reasons):
        store = {} if reason is None else {"limitStore": {"reason": reason}}
        report = Report.model_validate(
            {"gateway": GATEWAY, "revision": 1, "replica": f"r{number}", "entries": {}} | store
        )
        states[f"http://{number}"] = ReplicaState(Replica(f"http://{number}", f"r{number}"), 0.0, report=report)
    return {GATEWAY: GatewayState(GATEWAY, 0.0, states=states)}


def judged(*reasons: str | None) -> tuple[str, str]:
    found = evaluate(status(), reporting(*reasons), None)
    assert found is not None
    return found.status, found.reason


def test_a_policy_that_counts_in_no_store_has_no_such_condition() -> None:
    assert evaluate(status(counts_in=()), reporting("LimitStoreReady"), None) is None


def test_all_replicas_must_count_in_the_store() -> None:
    assert judged("LimitStoreReady", "LimitStoreReady") == ("True", "LimitStoreReady")
    assert judged("LimitStoreReady", "Pending") == ("Unknown", "Pending")
    assert judged("LimitStoreReady", "Pending", "StoreTimeout") == ("False", "StoreTimeout")


def test_without_a_report_the_condition_stays_as_it_is() -> None:
    live = {"status": "False", "reason": "StoreTimeout", "message": "m"}
    found = evaluate(status(), reporting(None), live)
    assert found is not None
    assert (found.status, found.reason, found.message) == ("False", "StoreTimeout", "m")
    assert judged(None) == ("Unknown", "Pending")


def test_each_state_of_a_store_has_a_reason_with_a_remedy() -> None:
    assert {str(each) for each in StoreState} == {str(each) for each in LimitStoreReadyReason}
    for reason in LimitStoreReadyReason:
        found = evaluate(status(), reporting(reason), None)
        assert found is not None
        assert reason.meaning in found.message


def test_a_reason_of_another_version_is_shown_and_a_word_that_is_none_is_not() -> None:
    assert judged("StoreOnFire") == ("False", "StoreOnFire")
    body = b'{"gateway": "g/n", "revision": 1, "replica": "r", "entries": {}, "limitStore": {"reason": "<b>"}}'
    store = parse_report(body, gateway="g/n").limit_store
    assert store is not None
    assert store.reason == "Invalid"


def test_a_change_of_it_alone_is_published() -> None:
    before, after, again = (
        parse_report(
            b'{"gateway": "g/n", "revision": 1, "replica": "r", "entries": {}, "limitStore": {"reason": "%s"}}' % each,
            gateway="g/n",
        )
        for each in (b"LimitStoreReady", b"StoreTimeout", b"StoreTimeout")
    )
    replica = ReplicaState(Replica("http://r", "r"), 0.0)
    replica.answered(before, 1.0)
    replica.changes = ReportChanges()

    assert replica.answered(after, 2.0)
    assert replica.changes.everything
    replica.changes = ReportChanges()
    assert not replica.answered(again, 3.0)
    assert not replica.changes.everything
