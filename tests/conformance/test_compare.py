import pytest

from ostiary_tools.conformance import compare
from ostiary_tools.conformance.compare import ExpectedRefusal, differences, refusal, stale
from ostiary_tools.conformance.suite import CheckKey, CheckOutcome, Run

KEY = CheckKey("tools-list", "tools-list", "ToolsList")
PASSED, INFORMED, SKIPPED, WARNED, FAILED = (
    CheckOutcome(each) for each in ("SUCCESS", "INFO", "SKIPPED", "WARNING", "FAILURE")
)


def run(*outcomes: CheckOutcome, key: CheckKey = KEY) -> Run:
    return Run({key: outcomes} if outcomes else {})


@pytest.mark.parametrize("worse", [INFORMED, SKIPPED, WARNED, FAILED])
def test_a_check_that_does_not_pass_any_more_is_worse(worse: CheckOutcome) -> None:
    (found,) = differences(run(PASSED), run(worse))

    assert (found.key, found.direct, found.through) == (KEY, PASSED, worse)


def test_a_check_that_is_gone_is_worse() -> None:
    (found,) = differences(run(PASSED), run())

    assert found.through.status == "ABSENT"


def test_one_of_several_outcomes_of_a_check_is_enough() -> None:
    assert len(differences(run(PASSED, PASSED, PASSED), run(PASSED, FAILED, PASSED))) == 1
    assert len(differences(run(PASSED, PASSED, PASSED), run(PASSED, PASSED))) == 1


def test_a_failure_that_comes_only_through_the_gateway_is_worse() -> None:
    assert len(differences(run(), run(FAILED))) == 1


@pytest.mark.parametrize(
    ("direct", "through"),
    [
        (run(PASSED, WARNED), run(WARNED, PASSED)),
        (run(FAILED), run(PASSED)),
        (run(INFORMED, INFORMED), run(INFORMED)),
        (run(), run(PASSED)),
        (run(), run(INFORMED)),
    ],
)
def test_what_is_equal_or_better_or_only_informs_is_no_difference(direct: Run, through: Run) -> None:
    assert differences(direct, through) == []


def test_a_refusal_on_purpose_excuses_its_scenario_in_its_leg_only(monkeypatch: pytest.MonkeyPatch) -> None:
    listed = ExpectedRefusal("a leg", "a way", "a-scenario", "a reason")
    monkeypatch.setattr(compare, "REFUSED_ON_PURPOSE", (listed,))
    key = CheckKey(listed.scenario, "some-check", "SomeCheck")
    (found,) = differences(run(PASSED, key=key), run(FAILED, key=key))

    assert refusal(listed.leg, listed.way, found) is listed
    assert refusal("another leg", listed.way, found) is None
    assert refusal(listed.leg, "another way", found) is None
    assert listed not in stale(listed.leg, listed.way, [found])
    assert listed in stale(listed.leg, listed.way, [])


def test_a_difference_may_be_expected_of_some_checks_of_a_scenario_only(monkeypatch: pytest.MonkeyPatch) -> None:
    listed = ExpectedRefusal("a leg", "a way", "a-scenario", "a reason", checks=frozenset({"a-check"}))
    monkeypatch.setattr(compare, "REFUSED_ON_PURPOSE", (listed,))
    (expected,) = differences(run(PASSED, key=CheckKey("a-scenario", "a-check", "A")), run())
    (other,) = differences(run(PASSED, key=CheckKey("a-scenario", "another-check", "B")), run())

    assert refusal("a leg", "a way", expected) is listed
    assert refusal("a leg", "a way", other) is None
