import pytest

from ostiary_core.evidence.document import MOST_NAME
from ostiary_core.mcp.methods import Primitive, Verb
from ostiary_operator.local import policy_suggestion
from ostiary_operator.local.policy_suggestion import RecordedUse, Recording, use_of

PROXY = "default/tickets"


def test_a_recorded_call_of_a_consumer_is_a_use() -> None:
    found = use_of(proxy=PROXY, principal="default/bot", method="tools/call", name="get_ticket")

    assert found == RecordedUse(PROXY, "default/bot", Primitive.TOOLS, Verb.CALL, "get_ticket")


@pytest.mark.parametrize("principal", ["", "anonymous"])
def test_a_caller_without_a_credential_is_the_anonymous_one(principal: str) -> None:
    found = use_of(proxy=PROXY, principal=principal, method="resources/read", name="file:///a")

    assert isinstance(found, RecordedUse)
    assert found.consumer == ""


@pytest.mark.parametrize(
    ("principal", "name", "why"),
    [
        ("token:Vh3x/yz", "get_ticket", "of a caller that is no consumer"),
        ("passthrough", "get_ticket", "of a caller that is no consumer"),
        ("default/bot", "", "of a name that no rule can have"),
        ("default/bot", "*", "of a name that no rule can have"),
        ("default/bot", "a\x1b[31m", "of a name that no rule can have"),
        ("default/bot", "a" * 513, "of a name that no rule can have"),
        ("default/bot", "a" * MOST_NAME, "of a name that was kept without"),
        ("default/bot", "get_[redacted]", "of a name that was kept without"),
    ],
)
def test_what_no_rule_can_say_is_omitted_with_its_reason(principal: str, name: str, why: str) -> None:
    found = use_of(proxy=PROXY, principal=principal, method="tools/call", name=name)

    assert isinstance(found, str)
    assert found.startswith(why)


def test_a_list_uses_nothing() -> None:
    assert use_of(proxy=PROXY, principal="default/bot", method="tools/list", name="") == ""


def test_what_gateways_recorded_gives_the_same_policies_as_spans() -> None:
    uses = [use_of(proxy=PROXY, principal="default/bot", method="tools/call", name=name) for name in ("a", "b")]
    recording = Recording(frozenset(use for use in uses if isinstance(use, RecordedUse)), {})

    (policy,) = policy_suggestion.suggest(recording, enforce=True)

    assert policy["spec"]["subjects"] == [{"consumers": ["bot"]}]
    (rule,) = policy["spec"]["access"]["rules"]
    assert rule["tools"] == {"verbs": ["List", "Call"], "names": ["a", "b"]}


def test_policies_of_proxies_whose_names_differ_in_a_dot_have_names_of_their_own() -> None:
    uses = [use_of(proxy=each, principal="default/bot", method="tools/call", name="get") for each in ("a/x.y", "a/x-y")]
    recording = Recording(frozenset(each for each in uses if isinstance(each, RecordedUse)), {})

    found = {each["metadata"]["name"] for each in policy_suggestion.suggest(recording, enforce=False)}

    assert found == {"suggested-x.y-1", "suggested-x-y-1"}
