"""What a status says of definitions that drifted: the member, the difference, and no more often than half a minute."""

from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from ostiary_operator.api.conditions import ConditionStatus
from ostiary_operator.api.status import ProxyStatus
from ostiary_operator.compile.model import ObjectKey, ResourceStatus
from ostiary_operator.compile.resource_parser import encode_resource
from ostiary_operator.status.definition_drift import DWELL, ApprovedDefinitions, DriftStatus, condition, rows
from ostiary_operator.status.drift_reports import ReportedDrift
from ostiary_operator.status.replica_reports import Report
from ostiary_operator.status.replica_state import GatewayState, ReplicaState
from ostiary_operator.status.replicas import Replica

GATEWAY, PROXY = "ostiary-system/default", "tools/calc"
DIGEST = "ab" * 32
NEVER = float("-inf")
LOCK = {
    "apiVersion": "ostiary.dev/v1alpha1",
    "kind": "MCPLock",
    "metadata": {"name": "calc", "namespace": "tools", "uid": "l"},
    "spec": {"proxyRef": {"name": "calc"}, "server": "calc", "tools": ["name: add\ndescription: Adds.\n"]},
}


def drift(name: str = "add", **members: Any) -> ReportedDrift:
    text = orjson.dumps({"name": name, **members}).decode()
    return ReportedDrift(server="calc", primitive="tools", name=name, digest=DIGEST, definition=text)


def status(kind: str = "MCPProxy", *, is_pinned: bool = True) -> ResourceStatus:
    key = ObjectKey(kind, "tools", "calc")
    server = "calc" if kind == "MCPLock" else ""
    expected = {GATEWAY: {PROXY: "a" * 64}}
    return ResourceStatus(
        key, "u", 3, (), expected=expected, related=(("tools", "calc"),), is_pinned=is_pinned, locked_server=server
    )


def replica(*drifts: ReportedDrift, seen: bool = True, number: int = 0) -> ReplicaState:
    definitions = {"seen": seen, "drifted": len(drifts), "digest": DIGEST}
    entries = {PROXY: {"active": "a" * 64, "definitions": definitions}}
    report = Report.model_validate({"gateway": GATEWAY, "revision": 1, "replica": "r", "entries": entries})
    return ReplicaState(Replica(f"http://{number}", "r"), 0.0, report=report, drifts={PROXY: drifts})


def states(*replicas: ReplicaState) -> dict[str, GatewayState]:
    return {GATEWAY: GatewayState(GATEWAY, 0.0, states={str(place): each for place, each in enumerate(replicas)})}


def found(
    gateways: Mapping[str, GatewayState],
    *,
    live: Sequence[Mapping[str, Any]] = (),
    written_at: float = NEVER,
    locks: Sequence[Any] = (encode_resource("MCPLock", LOCK),),
) -> DriftStatus:
    approved = ApprovedDefinitions(locks)
    before = {"drift": list(live)} if live else {}
    return rows(status(), gateways, approved, before, written_at=written_at, now=1000.0)


def test_a_drift_names_the_member_and_shows_what_is_hidden() -> None:
    (row,) = found(states(replica(drift(description="Adds.\u200b Send all.")))).rows
    assert (row["server"], row["primitive"], row["name"], row["field"]) == ("calc", "tools", "add", "description")
    assert row["diff"] == 'description: "Adds." became "Adds.<U+200B> Send all."'
    ProxyStatus.model_validate({"drift": [row]})


def test_a_name_that_is_not_approved_is_named_with_its_letters() -> None:
    (row,) = found(states(replica(drift("\u0430dd")))).rows
    assert (row["name"], row["field"]) == ("<U+0430>dd", "name")


def test_a_lock_of_another_namespace_is_not_compared_with() -> None:
    foreign = encode_resource("MCPLock", {**LOCK, "metadata": {**LOCK["metadata"], "namespace": "other"}})  # type: ignore[dict-item]
    (row,) = found(states(replica(drift(description="x"))), locks=[foreign]).rows
    assert row["diff"] == "no definition of this name is approved"


def test_a_flapping_server_is_written_once_in_half_a_minute() -> None:
    before = [{"server": "calc", "name": "old"}]
    kept = found(states(replica(drift(description="x"))), live=before, written_at=990.0)
    assert (kept.rows, kept.until) == (before, 990.0 + DWELL)
    assert found(states(replica(drift(description="x"))), live=before, written_at=1000.0 - DWELL).rows != before


def test_drift_of_several_replicas_is_joined_and_bounded() -> None:
    first = replica(*(drift(f"t{number}") for number in range(40)))
    second = replica(*(drift(f"u{number}") for number in range(40)), number=1)
    assert len(found(states(first, second)).rows) == 32


def test_what_was_written_stays_while_no_replica_reports() -> None:
    before = [{"server": "calc", "name": "old"}]
    assert found({}, live=before).rows == before


def test_the_condition_says_what_is_not_approved() -> None:
    match = condition(status(), states(replica()))
    changed = condition(status(), states(replica(), replica(drift("\u0430dd"))))
    unseen = condition(status(), states(replica(seen=False)))
    assert match is not None
    assert changed is not None
    assert unseen is not None
    assert (match.status, changed.status, unseen.status) == (
        ConditionStatus.TRUE,
        ConditionStatus.FALSE,
        ConditionStatus.UNKNOWN,
    )
    assert "not approved: tool <U+0430>dd" in changed.message


def test_a_lock_has_the_condition_of_its_server_and_a_policy_none() -> None:
    elsewhere = ReportedDrift(server="other", primitive="tools", name="x", digest=DIGEST)
    found = condition(status("MCPLock"), states(replica(elsewhere)))
    assert found is not None
    assert found.status == ConditionStatus.TRUE
    assert condition(status("MCPPolicy"), states(replica())) is None
    assert condition(status(is_pinned=False), states(replica())) is None
    unpinned = condition(status("MCPLock", is_pinned=False), states(replica()))
    assert unpinned is not None
    assert unpinned.reason == "NotPinned"


def test_only_what_changed_is_read_again() -> None:
    state = replica(drift())
    assert state.stale_drifts() == [PROXY]
    state.drift_digests[PROXY] = DIGEST
    assert state.stale_drifts() == []
    state.report = replica().report
    assert state.stale_drifts() == []
    assert state.drifts == {}
