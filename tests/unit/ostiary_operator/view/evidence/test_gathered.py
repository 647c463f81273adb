"""Answers of several replicas are joined, and what is missing is said."""

from collections.abc import Mapping

from ostiary_operator.view.evidence.gathered import Gathered, ProblemKind, ReplicaAnswer, ReplicaProblem, gather

GATEWAY = "ostiary-system/default"


def answer(replica: str, value: int, *, since: int = 1, recording: bool = True) -> ReplicaAnswer[int]:
    return ReplicaAnswer(GATEWAY, replica, since, recording, value)


def silent(replica: str, why: str = "no answer: it took too long") -> ReplicaProblem:
    return ReplicaProblem(GATEWAY, replica, ProblemKind.UNREACHABLE, why)


def total(values: Mapping[str, int]) -> int:
    return sum(values.values())


def test_answers_are_joined_and_replicas_that_did_not_answer_are_counted_and_named() -> None:
    found = gather([answer("gw-a", 2), answer("gw-b", 3)], [silent("gw-c")], total)
    assert (found.value, found.asked, found.answered, found.is_complete) == (5, 3, 2, False)
    assert found.sentence() == "2 of 3 replicas answered; gw-c: no answer: it took too long"


def test_a_complete_answer_has_nothing_to_say() -> None:
    found = gather([answer("gw-a", 2)], [], total)
    assert (found.is_complete, found.sentence()) == (True, "")


def test_a_gateway_that_could_not_be_asked_is_no_replica_and_is_named_nevertheless() -> None:
    problem = ReplicaProblem("sales/own", "", ProblemKind.NO_RIGHT, "you may not read its token")
    found = gather([answer("gw-a", 2)], [problem], total)
    assert (found.asked, found.answered, found.is_complete) == (1, 1, False)
    assert found.sentence() == "1 of 1 replicas answered; gateway sales/own: you may not read its token"
    assert problem.text == "gateway sales/own: you may not read its token"


def test_of_many_problems_three_are_named_and_the_others_counted() -> None:
    found = gather([], [silent(f"gw-{number}", "it is gone") for number in range(10)], total)
    assert found.sentence().startswith("0 of 10 replicas answered; gw-0: it is gone; gw-1")
    assert found.sentence().endswith("gw-2: it is gone; and 7 more")


def test_it_began_when_the_last_replica_began_and_one_that_records_nothing_counts() -> None:
    found = gather([answer("gw-a", 2, since=10), answer("gw-b", 3, since=20, recording=False)], [], total)
    assert (found.since, found.recording) == (20, False)
    assert found.unrecorded().startswith("A gateway's settings switch the recording off")
    assert gather([], [], total).since == 0


def test_programs_get_all_of_it_and_another_value_keeps_it() -> None:
    found = gather([answer("gw-a", 2)], [silent("gw-b", "it is gone")], total).map(str)
    assert found.value == "2"
    assert found.as_object() == {
        "asked": 2,
        "answered": 1,
        "problems": [{"gateway": GATEWAY, "replica": "gw-b", "kind": "Unreachable", "why": "it is gone"}],
        "since": 1,
        "recording": True,
    }


def test_nothing_was_asked_where_there_is_no_replica() -> None:
    assert Gathered(0).is_complete
    assert Gathered(0).as_object()["since"] is None
