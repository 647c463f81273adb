from collections.abc import Mapping
from typing import Any

from operator_objects import GATEWAY

from ostiary_core.contract.manifest import GatewayIdentity, Manifest
from ostiary_core.secret_bytes import SecretBytes
from ostiary_operator.compile.model import ConditionDraft, ObjectKey, ResourceStatus
from ostiary_operator.status.programmed import (
    GRACE,
    ROLLOUT,
    UNREACHABLE_AFTER,
    ProgrammedState,
    evaluate,
    was_programmed,
)
from ostiary_operator.status.replica_reports import Report
from ostiary_operator.status.replica_state import GatewayState, problems
from ostiary_operator.status.replicas import Replica

NEW, OLD = "a" * 64, "b" * 64
ACCEPTED = ConditionDraft("Accepted", "True", "Accepted", "fine")
RESOLVED = ConditionDraft("ResolvedRefs", "True", "ResolvedRefs", "fine")
KEY = ObjectKey("MCPProxy", "tools", "crm")


def status(**changes: Any) -> ResourceStatus:
    given: dict[str, Any] = {
        "key": KEY,
        "uid": "u",
        "generation": 2,
        "conditions": (ACCEPTED, RESOLVED),
        "expected": {GATEWAY: {"tools/crm": NEW}},
    }
    return ResourceStatus(**(given | changes))


def watch(*names: str, at: float = 0.0, identity: str = GATEWAY) -> GatewayState:
    namespace, _, name = identity.partition("/")
    manifest = Manifest(
        gateway=GatewayIdentity(namespace=namespace, name=name), revision=10, settings=NEW, parts=[], entries=[]
    )
    it = GatewayState(identity, known_since=at)
    it.given(manifest, SecretBytes(b"t"), at)
    it.has([Replica(f"http://{each}:8081", each) for each in names], at)
    return it


def reports(it: GatewayState, name: str, active: str | None = NEW, *, now: float = 0.0, **more: Any) -> None:
    rejected = more.pop("rejected", None)
    entry = {"active": active, "rejected": {"digest": NEW} | rejected if rejected else None}
    report = {"gateway": it.identity, "revision": 10, "replica": name, "entries": {"tools/crm": entry}} | more
    it.states[f"http://{name}:8081"].answered(Report.model_validate(report), now)


def silent(it: GatewayState, name: str) -> None:
    it.states[f"http://{name}:8081"].silent("no answer: it took too long")


def judged(
    it: GatewayState | Mapping[str, GatewayState], now: float = 1.0, *, was: bool = False, **changes: Any
) -> ProgrammedState:
    watches = {it.identity: it} if isinstance(it, GatewayState) else it
    return evaluate(status(**changes), watches, was_programmed=was, now=now)


def verdict(judgement: ProgrammedState) -> tuple[str, str]:
    return str(judgement.condition.status), str(judgement.condition.reason)


def numbers(judgement: ProgrammedState) -> list[tuple[int, int]]:
    return [(count.ready, count.desired) for count in judgement.gateways]


def test_it_is_programmed_when_every_ready_replica_runs_exactly_what_is_expected() -> None:
    it = watch("a", "b")
    reports(it, "a")
    reports(it, "b")
    judgement = judged(it)
    assert verdict(judgement) == ("True", "Programmed")
    assert numbers(judgement) == [(2, 2)]
    assert judgement.settled


def test_one_replica_that_runs_something_else_is_enough_to_wait() -> None:
    it = watch("a", "b")
    reports(it, "a")
    reports(it, "b", OLD)
    judgement = judged(it)
    assert verdict(judgement) == ("Unknown", "Pending")
    assert numbers(judgement) == [(1, 2)]
    assert "replica b of gateway ostiary-system/default" in judgement.condition.message


def test_the_workers_of_a_replica_that_do_not_answer_are_named_where_it_waits_for_them() -> None:
    it = watch("a")
    reports(it, "a", OLD, missingWorkers=[1])
    judgement = judged(it)
    assert verdict(judgement) == ("Unknown", "Pending")
    assert judgement.condition.message.endswith("does not run it yet: its worker 1 does not answer")
    it.take_changes()
    reports(it, "a", OLD, missingWorkers=[1, 3])
    assert it.take_changes().everything
    assert judged(it).condition.message.endswith("its workers 1, 3 do not answer")
    reports(it, "a", NEW, missingWorkers=[1])
    assert verdict(judged(it)) == ("True", "Programmed"), "they had taken it before"


def test_a_replica_that_runs_nothing_of_it_is_waited_for() -> None:
    it = watch("a")
    reports(it, "a", entries={})
    assert verdict(judged(it)) == ("Unknown", "Pending")


def test_a_policy_needs_every_entry_that_carries_it() -> None:
    it = watch("a")
    reports(it, "a")
    assert verdict(judged(it, expected={GATEWAY: {"tools/crm": NEW, "tools/wiki": NEW}})) == ("Unknown", "Pending")


def test_a_rejecting_replica_is_named_with_reason_and_message_and_beats_waiting() -> None:
    it = watch("a", "b", "c")
    reports(it, "a")
    reports(it, "b", OLD, rejected={"reason": "InvalidPattern", "message": "access.rules[0]: bad pattern"})
    judgement = judged(it, was=True)
    assert verdict(judgement) == ("False", "Rejected")
    assert judgement.condition.message == (
        "replica b of gateway ostiary-system/default rejected MCPProxy tools/crm: InvalidPattern: "
        "access.rules[0]: bad pattern"
    )


def test_a_rejection_of_an_older_version_is_no_rejection() -> None:
    it = watch("a")
    reports(it, "a", OLD, rejected={"digest": OLD, "reason": "InvalidPattern", "message": "m"})
    assert verdict(judged(it)) == ("Unknown", "Pending")


def test_a_replica_that_refused_the_whole_config_is_named() -> None:
    it = watch("a")
    report = {"gateway": GATEWAY, "revision": 9, "replica": "a", "entries": {}}
    refused = {"revision": 10, "reason": "InvalidDocument", "message": "MAC does not fit"}
    it.states["http://a:8081"].answered(Report.model_validate(report | {"rejected": refused}), 0.0)
    judgement = judged(it)
    assert verdict(judgement) == ("False", "Rejected")
    assert "rejected the whole config: InvalidDocument: MAC does not fit" in judgement.condition.message


def test_silence_is_unreachable_after_ten_seconds_and_not_before() -> None:
    it = watch("a")
    reports(it, "a", OLD, now=100.0)
    silent(it, "a")
    before = judged(it, 100.0 + UNREACHABLE_AFTER - 1)
    assert verdict(before) == ("Unknown", "Pending")
    assert before.until == 100.0 + UNREACHABLE_AFTER
    after = judged(it, 100.0 + UNREACHABLE_AFTER)
    assert verdict(after) == ("Unknown", "Unreachable")
    assert "no answer: it took too long" in after.condition.message


def test_one_missed_poll_keeps_the_previous_report() -> None:
    it = watch("a")
    reports(it, "a", now=100.0)
    silent(it, "a")
    judgement = judged(it, 105.0, was=True)
    assert verdict(judgement) == ("True", "Programmed")
    assert judgement.until == 110.0
    assert verdict(judged(it, 110.0 + GRACE, was=True)) == ("Unknown", "Unreachable")


def test_a_replica_that_stopped_answering_gets_no_grace_period_of_a_new_one() -> None:
    it = watch("a", at=99.0)
    reports(it, "a", now=100.0)
    silent(it, "a")
    assert verdict(judged(it, 100.0 + UNREACHABLE_AFTER, was=True)) == ("Unknown", "Unreachable")


def test_a_replica_that_never_answered_counts_from_its_first_sight() -> None:
    it = watch("a", at=50.0)
    silent(it, "a")
    assert verdict(judged(it, 55.0)) == ("Unknown", "Pending")
    assert verdict(judged(it, 60.0)) == ("Unknown", "Unreachable")


def test_a_gateway_without_ready_replicas_runs_nothing() -> None:
    judgement = judged(watch(), GRACE, was=True)
    assert verdict(judgement) == ("False", "NoReplicas")
    assert numbers(judgement) == [(0, 0)]


def test_a_new_replica_takes_from_what_was_programmed_only_after_its_grace() -> None:
    it = watch("a")
    reports(it, "a")
    it.has([Replica("http://a:8081", "a"), Replica("http://b:8081", "b")], 100.0)
    silent(it, "b")
    young = judged(it, 100.0 + GRACE - 1, was=True)
    assert (verdict(young), young.settled, young.until) == (("True", "Programmed"), False, 100.0 + GRACE)
    assert verdict(judged(it, 100.0 + GRACE, was=True)) == ("Unknown", "Unreachable")


def test_a_new_generation_has_no_grace_to_hide_behind() -> None:
    it = watch("a", at=100.0)
    assert verdict(judged(it, 101.0, was=False)) == ("Unknown", "Pending")


def test_a_process_that_was_replaced_at_its_address_is_a_new_replica() -> None:
    it = watch("a")
    reports(it, "a")
    reports(it, "a", OLD, now=200.0, replica="another")
    it.written_at = 0.0
    assert not judged(it, 201.0, was=True).settled
    assert verdict(judged(it, 200.0 + GRACE, was=True)) == ("Unknown", "Pending")


def test_a_change_of_its_neighbours_may_be_delivered_before_it_is_reported() -> None:
    it = watch("a", at=0.0)
    reports(it, "a", OLD, now=100.0)
    it.written_at = 100.0
    assert not judged(it, 100.0 + ROLLOUT - 1, was=True).settled
    assert verdict(judged(it, 100.0 + ROLLOUT, was=True)) == ("Unknown", "Pending")


def test_a_gateway_that_is_new_has_time_to_get_replicas() -> None:
    old, new = watch("a"), watch(identity="ostiary-system/edge", at=100.0)
    reports(old, "a")
    expected = {GATEWAY: {"tools/crm": NEW}, "ostiary-system/edge": {"tools/crm": NEW}}
    watches = {old.identity: old, new.identity: new}
    assert not judged(watches, 101.0, was=True, expected=expected).settled
    late = judged(watches, 100.0 + GRACE, was=True, expected=expected)
    assert verdict(late) == ("False", "NoReplicas")
    assert numbers(late) == [(1, 1), (0, 0)]


def test_a_config_that_could_not_be_written_is_why_replicas_do_not_run_it() -> None:
    it = watch("a")
    reports(it, "a", OLD)
    it.problem = "apply configmaps: 403: no"
    assert verdict(judged(it)) == ("False", "WriteFailed")
    reports(it, "a", NEW)
    assert verdict(judged(it)) == ("True", "Programmed")


def test_an_unknown_gateway_has_no_replicas() -> None:
    assert verdict(judged({}, GRACE)) == ("False", "NoReplicas")


def test_an_exceeded_budget_is_reported() -> None:
    assert verdict(judged(watch("a"), too_large=True)) == ("False", "ConfigTooLarge")


def test_an_unaccepted_object_states_whether_an_older_version_is_in_force() -> None:
    refused = ConditionDraft("Accepted", "False", "Invalid", "spec.path: no")
    nothing = judged(watch("a"), conditions=(refused, RESOLVED), expected={})
    assert verdict(nothing) == ("False", "NotAccepted")
    assert nothing.condition.message == "nothing of it is in force: see the condition Accepted"
    draft = judged(watch("a"), conditions=(refused, RESOLVED), serves_last_accepted=True)
    assert verdict(draft) == ("False", "NotAccepted")
    assert draft.condition.message.startswith("generation 2 is not in force, the last accepted version is")


def test_a_policy_that_governs_nothing_yet_has_nothing_to_wait_for() -> None:
    assert verdict(judged({}, expected={GATEWAY: {}})) == ("True", "Programmed")


def test_many_replicas_are_counted_rather_than_listed() -> None:
    judgement = judged(watch("a", "b", "c", "d", "e"))
    assert judgement.condition.message.endswith("(and 2 more)")


def test_a_live_status_counts_only_for_its_own_generation() -> None:
    live = [{"type": "Programmed", "status": "True", "observedGeneration": 2}]
    assert was_programmed(live, 2)
    assert not was_programmed(live, 3)
    assert not was_programmed([{"type": "Programmed", "status": "False", "observedGeneration": 2}], 2)
    assert not was_programmed([], 2)


def test_a_replica_that_runs_a_revision_of_the_far_future_has_not_taken_over_the_newest_and_is_named() -> None:
    it = watch("a")
    reports(it, "a", OLD, revision=2**62)
    assert it.acknowledged() is None
    judgement = judged(it)
    assert verdict(judgement) == ("Unknown", "Pending")
    assert "replica a of gateway" in judgement.condition.message
    assert f"it runs revision {2**62}, more than a day ahead of the newest, 10" in judgement.condition.message


def test_keys_among_the_config_maps_of_a_replica_are_a_problem_of_its_gateway_although_it_runs_what_it_should() -> None:
    it = watch("a", "b")
    reports(it, "a", misplacedKeys=["mac-1", "session-0"])
    reports(it, "b")
    assert verdict(judged(it)) == ("True", "Programmed")
    (problem,) = problems({GATEWAY: it})
    assert problem.gateway == GATEWAY
    assert "replica a finds mac-1, session-0 among its ConfigMaps, and uses none" in problem.message
