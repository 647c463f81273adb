import pytest
import yaml

from ostiary_core.evidence.refusals import DistinctRefusal
from ostiary_core.policy.decision import DecisionReason
from ostiary_operator.view.shadow_report import RefusedSum, shadow_report

PROXY = "default/tickets"


def refusal(
    name: str = "delete", principal: str = "default/bot", rule: str = "no-delete", count: int = 1
) -> DistinctRefusal:
    return DistinctRefusal(
        proxy=PROXY,
        method="tools/call",
        name=name,
        principal=principal,
        policy="default/least",
        rule=rule,
        reason="NotAllowed",
        is_shadow=True,
        count=count,
        first=1,
        last=2,
    )


def test_what_was_denied_in_earnest_is_not_what_would_be() -> None:
    enforced = refusal().model_copy(update={"is_shadow": False})

    found = shadow_report([enforced])

    assert (found.refusals, found.count, found.allow) == ((), 0, "")


def test_counts_are_summed_by_rule_by_name_and_by_principal() -> None:
    found = shadow_report([refusal(count=3), refusal(name="drop", principal="", rule="", count=4), refusal("drop")])

    assert found.count == 8
    assert found.rules == (
        RefusedSum("default/least: (no rule allows it)", 4),
        RefusedSum("default/least: no-delete", 4),
    )
    assert found.names == (RefusedSum("drop", 5), RefusedSum("delete", 3))
    assert found.principals == (RefusedSum("(not authenticated)", 4), RefusedSum("default/bot", 4))
    assert [each.count for each in found.refusals] == [4, 3, 1]


def test_the_suggested_policy_allows_what_would_have_been_denied() -> None:
    (policy,) = yaml.safe_load_all(shadow_report([refusal("a"), refusal("b")]).allow)

    assert policy["spec"]["mode"] == "Shadow"
    assert policy["spec"]["targetRefs"] == [{"kind": "MCPProxy", "name": "tickets"}]
    assert policy["spec"]["subjects"] == [{"consumers": ["bot"]}]
    assert policy["spec"]["access"]["rules"][0]["tools"]["names"] == ["a", "b"]


def test_what_the_platform_denies_no_policy_of_the_owner_is_said_to_allow() -> None:
    found = shadow_report([refusal(count=2).model_copy(update={"policy": "ostiary-system/least"})])

    assert found.allow == ""
    assert list(found.omitted.values()) == [2]
    assert "a policy of the platform denies it" in next(iter(found.omitted))


def test_what_no_rule_can_name_is_omitted_and_counted() -> None:
    found = shadow_report([refusal("x\u202ey", count=2), refusal(principal="token:abc", count=3)])

    assert found.allow == ""
    assert sorted(found.omitted.values()) == [2, 3]


def test_names_of_attackers_cannot_end_the_yaml() -> None:
    hostile = "a\u2028---\u2028kind: Secret"

    assert "kind: Secret" not in shadow_report([refusal(hostile)]).allow


@pytest.mark.parametrize(
    ("reason", "words"),
    [
        (DecisionReason.DENIED, "change that rule"),
        (DecisionReason.INSUFFICIENT_SCOPE, "change the condition"),
        (DecisionReason.CONDITION_NOT_MET, "change the condition"),
        (DecisionReason.POLICY_INVALID, "no Allow rule"),
    ],
)
def test_no_policy_is_suggested_that_would_not_allow_the_call(reason: DecisionReason, words: str) -> None:
    found = shadow_report([refusal(count=3).model_copy(update={"reason": reason.value})])

    assert found.allow == ""
    ((why, count),) = found.omitted.items()
    assert words in why
    assert count == 3
