from unittest import mock

import pytest
from gateways import policy
from visibilities import visibility_by_rules, visibility_of

from ostiary_core.contract.access import AccessRuleConfig, AccessRulesConfig
from ostiary_core.contract.documents import CatalogueConfig, CatalogueSelectionConfig, PolicyDocument
from ostiary_core.mcp.methods import Primitive, Verb
from ostiary_core.policy.access import AccessEvaluator
from ostiary_core.policy.compiled_policy import CompiledPolicy
from ostiary_core.policy.cost_limits import STEPS, name_limit
from ostiary_core.policy.decision import DecisionReason
from ostiary_core.policy.visibility import Visibility

TOOLS, RESOURCES = Primitive.TOOLS, Primitive.RESOURCES
EVERYTHING = AccessRuleConfig(name="all", effect="Allow")


def tools_visibility(
    *, include: list[str] | None = None, exclude: list[str] | None = None, rules: list[AccessRuleConfig] | None = None,
    default: str = "Allow", invalid: bool = False,
) -> Visibility:  # fmt: skip
    selection = CatalogueSelectionConfig(include=include, exclude=exclude) if include or exclude else None
    documents = []
    if rules is not None:
        documents = [
            PolicyDocument(
                namespace="ns", name="p", uid="u", generation=1, tier="owner", access=AccessRulesConfig(rules=rules)
            )
        ]
    access = AccessEvaluator([CompiledPolicy.build(document) for document in documents])
    return Visibility.build(
        CatalogueConfig(tools=selection) if selection else None, access, default=default, invalid=invalid
    )


def test_names_outside_the_catalogue_exist_for_no_caller() -> None:
    subject = tools_visibility(include=["read_*"], exclude=["read_secret"], rules=[EVERYTHING])

    assert subject.shows(TOOLS, "read_a")
    for name in ("write_a", "read_secret"):
        assert subject.decide(TOOLS, Verb.CALL, name).reason is DecisionReason.NOT_IN_CATALOGUE
    assert subject.shows(RESOURCES, "file:///anything")


def test_the_catalogue_never_widens_what_policies_allow() -> None:
    assert not tools_visibility(include=["read_*"], rules=[]).shows(TOOLS, "read_a")


def test_without_a_policy_the_gateways_default_decides() -> None:
    assert tools_visibility(default="Allow").decide(TOOLS, Verb.CALL, "x").allowed
    assert tools_visibility(default="Deny").decide(TOOLS, Verb.CALL, "x").reason is DecisionReason.NO_POLICY


def test_a_policy_that_allows_lifts_the_default() -> None:
    assert tools_visibility(default="Deny", rules=[EVERYTHING]).decide(TOOLS, Verb.CALL, "x").allowed


def test_where_policies_cannot_be_trusted_nothing_passes() -> None:
    subject = tools_visibility(invalid=True, rules=[EVERYTHING])

    assert subject.decide(TOOLS, Verb.LIST, "x").reason is DecisionReason.POLICY_INVALID
    assert not subject.shows_all(TOOLS)
    assert not subject.may_use_some(TOOLS, Verb.CALL)


@pytest.mark.parametrize(
    ("subject", "expected"),
    [
        (tools_visibility(), True),
        (tools_visibility(exclude=["x"]), False),
        (tools_visibility(rules=[EVERYTHING]), False),
        (tools_visibility(default="Deny"), False),
    ],
)
def test_a_list_passes_unread_only_where_nothing_could_be_hidden(subject: Visibility, expected: bool) -> None:
    assert subject.shows_all(TOOLS) is expected


def rule(effect: str, **tools: list[str]) -> dict[str, object]:
    return {"name": "r", "effect": effect, "tools": tools}


CLOSED: dict[str, Visibility] = {
    "a Deny without names": visibility_by_rules(rule("Deny")),
    "a Deny of everything": visibility_by_rules({"name": "r", "effect": "Deny"}),
    "a Deny of calls": visibility_by_rules(rule("Deny", verbs=["Call"])),
    "a Deny of *": visibility_by_rules(rule("Deny", names=["*"])),
    "a Deny of **": visibility_by_rules(rule("Deny", names=["**"])),
    "a Deny of a pattern that matches all": visibility_by_rules(rule("Deny", patterns=[".*"])),
    "Denies that match all together": visibility_by_rules(
        rule("Deny", patterns=["[a-m].*"]), rule("Deny", patterns=["[^a-m].*"])
    ),
    "a Deny of all next to an Allow": visibility_by_rules(rule("Allow"), rule("Deny", names=["*"])),
    "a Deny of each that is allowed": visibility_by_rules(
        rule("Allow", names=["a", "b"]), rule("Deny", names=["a", "b*"])
    ),
    "a Deny of all that begin as allowed": visibility_by_rules(
        rule("Allow", names=["get_*"]), rule("Deny", names=["g*"])
    ),
    "an Allow of nothing but lists": visibility_by_rules(rule("Allow", verbs=["List"])),
    "no rules": visibility_by_rules(),
    "a catalogue that excludes all": visibility_of(catalogue={"tools": {"exclude": ["*"]}}),
    "a catalogue that excludes what it includes": visibility_of(
        catalogue={"tools": {"include": ["a", "b"], "exclude": ["a", "b"]}}
    ),
    "a catalogue without what is allowed": visibility_of(
        policy("p", rule("Allow", names=["a"])), catalogue={"tools": {"include": ["b*"]}}
    ),
    "tiers that allow different names": visibility_of(
        policy("p", rule("Allow", names=["a*"]), tier="platform"), policy("q", rule("Allow", names=["b*"]))
    ),
}
OPEN: dict[str, Visibility] = {
    "nothing": visibility_of(),
    "a Deny of lists": visibility_by_rules(rule("Deny", verbs=["List"])),
    "a Deny of some": visibility_by_rules(rule("Deny", names=["a*", "*b"], patterns=["c.*"])),
    "a Deny of other primitives": visibility_by_rules({"name": "r", "effect": "Deny", "resources": {}}),
    "an Allow of one": visibility_by_rules(rule("Allow", names=["get_users"])),
    "an Allow of a pattern that few names match": visibility_by_rules(rule("Allow", patterns=["q[0-9]{12}"])),
    "an Allow next to a Deny of all but that": visibility_by_rules(
        rule("Allow", names=["zz_*"]), rule("Deny", patterns=["[^z].*|z[^z].*|z"])
    ),
    "tiers that allow one name together": visibility_of(
        policy("p", rule("Allow", names=["get_*"]), tier="platform"), policy("q", rule("Allow", names=["*_users"]))
    ),
    "a catalogue of one": visibility_of(catalogue={"tools": {"include": ["a"], "exclude": ["b*"]}}),
}


@pytest.mark.parametrize("subject", CLOSED.values(), ids=CLOSED)
def test_where_no_name_can_pass_nothing_may_be_used(subject: Visibility) -> None:
    assert not subject.may_use_some(TOOLS, Verb.CALL)


@pytest.mark.parametrize("subject", OPEN.values(), ids=OPEN)
def test_where_some_name_passes_something_may_be_used(subject: Visibility) -> None:
    assert subject.may_use_some(TOOLS, Verb.CALL)


HEAVY = [f"[ab]*a[ab]{{400}}{index}" for index in range(8)]


def test_a_name_that_would_cost_too_many_steps_is_refused_and_a_shorter_one_is_judged() -> None:
    subject = visibility_by_rules(rule("Deny", patterns=HEAVY))
    limit = subject.name_limit(TOOLS)

    assert subject.decide(TOOLS, Verb.CALL, "b" * limit).allowed
    assert subject.decide(TOOLS, Verb.CALL, "b" * (limit + 1)).reason is DecisionReason.NAME_TOO_LONG
    assert subject.decide(TOOLS, Verb.CALL, "é" * (limit // 2 + 1)).reason is DecisionReason.NAME_TOO_LONG
    assert not subject.shows(TOOLS, "b" * (limit + 1))
    assert subject.decide(RESOURCES, Verb.READ, "test://" + "b" * 100_000).allowed


@pytest.mark.parametrize("size", [1, 10, 1000, 16_384, 100_000])
def test_no_decision_takes_more_steps_than_the_budget(size: int) -> None:
    assert name_limit(size) * size <= STEPS
    assert name_limit(16_384) >= 64  # the heaviest proxy still judges the names of most tools


def test_what_the_catalogue_costs_counts_too_and_all_readings_of_a_uri_together() -> None:
    names = [f"*{index}*{'a' * 200}*" for index in range(40)]
    subject = visibility_of(catalogue={"resources": {"exclude": names}})
    limit = subject.name_limit(RESOURCES)

    assert limit < 200
    assert subject.decide(RESOURCES, Verb.READ, "test://" + "b" * (limit - 7)).allowed
    assert subject.decide(RESOURCES, Verb.READ, "test://" + "b" * limit).reason is DecisionReason.NAME_TOO_LONG
    assert (
        subject.decide(RESOURCES, Verb.READ, "test://" + "é" * (limit // 2 - 8)).reason is DecisionReason.NAME_TOO_LONG
    )


def test_the_names_that_are_tried_are_fewer_the_more_rules_judge_them() -> None:
    rules = [
        {"name": f"r{each}", "effect": effect, "tools": {"names": [f"p{each // 2}_*", f"*_s{each // 2}"]}}
        for each, effect in enumerate(("Allow", "Deny") * 120)
    ]
    visibility = visibility_by_rules(*rules)
    with mock.patch.object(AccessEvaluator, "judge", autospec=True, side_effect=AccessEvaluator.judge) as judged:
        assert not visibility.may_use_some(Primitive.TOOLS, Verb.CALL)
    assert 100 < judged.call_count < 1_000


def test_a_thousand_rules_do_not_hide_that_something_may_be_used() -> None:
    rules = [{"name": f"r{each}", "effect": "Allow", "tools": {"names": [f"tool-{each}"]}} for each in range(1_000)]
    assert visibility_by_rules(*rules).may_use_some(Primitive.TOOLS, Verb.CALL)
