"""Access that depends on the caller and the call, compared with a naive reference evaluator."""

import random
from typing import Any, Literal, cast
from unittest import mock
from weakref import ref

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reference_access import ReferenceCall, allows
from visibilities import visibility_of

from ostiary_core.contract.access import (
    AccessRuleConfig,
    AccessRulesConfig,
    ArgumentConfig,
    SelectionConfig,
    SubjectConfig,
)
from ostiary_core.contract.documents import PolicyDocument, Tier
from ostiary_core.mcp.methods import Primitive, Verb
from ostiary_core.policy.compiled_policy import CompiledPolicy
from ostiary_core.policy.decision import Decision, DecisionReason
from ostiary_core.policy.expressions import Expression, ExpressionContext, ExpressionResult
from ostiary_core.policy.message_conditions import Call
from ostiary_core.policy.principal import ANONYMOUS, Principal
from ostiary_core.policy.principal_conditions import PrincipalConditions
from ostiary_core.policy.subjects import Subject
from ostiary_core.policy.visibility import Visibility

AGENT = Principal(
    id="a", method="jwt", consumer="ns/agent", groups=frozenset({"g1"}), scopes=frozenset({"s1"}), claims={"limit": 5}
)
PLAIN = Principal(id="b", method="apiKey", consumer="ns/other", groups=frozenset({"g1", "g2"}))
PRINCIPALS = [AGENT, PLAIN, ANONYMOUS]
CONDITIONS = ["authenticated", "'g2' in groups", "claims.limit > 3", "args.n < 5", "args.n <= claims.limit", "false"]

texts = st.sampled_from(CONDITIONS)
principal_texts = st.sampled_from(CONDITIONS[:3])
constraints = st.sampled_from(
    [
        ArgumentConfig(path=["n"], maximum=3),
        ArgumentConfig(path=["kind"], enum=["a", "b"]),
        ArgumentConfig(path=["o", "x"], pattern="^y"),
    ]
)
subjects = st.builds(
    SubjectConfig,
    consumers=st.none() | st.lists(st.sampled_from(["ns/agent", "ns/third"]), min_size=1),
    groups=st.none() | st.lists(st.sampled_from(["g1", "g2"]), min_size=1),
    when=st.none() | principal_texts,
)
rules = st.builds(
    AccessRuleConfig,
    name=st.sampled_from(["r1", "r2"]),
    effect=st.sampled_from(["Allow", "Allow", "Deny"]),
    tools=st.builds(SelectionConfig, names=st.none() | st.lists(st.sampled_from(["t1", "t2"]), min_size=1)),
    scopes=st.none() | st.just(["s1"]) | st.just(["s1", "s2"]),
    when=st.none() | texts,
    arguments=st.none() | st.lists(constraints, min_size=1, max_size=2),
)


@st.composite
def policies(draw: st.DrawFn) -> list[PolicyDocument]:
    return [
        PolicyDocument(
            namespace="ns",
            name=f"p{index}",
            uid=f"u{index}",
            generation=index + 1,
            tier=draw(st.sampled_from(cast("list[Tier]", ["platform", "owner"]))),
            mode=draw(st.sampled_from(cast("list[Literal['Shadow'] | None]", [None, None, "Shadow"]))),
            subjects=draw(st.none() | st.lists(subjects, min_size=1, max_size=2)),
            access=draw(st.none() | st.builds(AccessRulesConfig, rules=st.lists(rules, max_size=3))),
        )
        for index in range(draw(st.integers(0, 3)))
    ]


arguments = st.fixed_dictionaries(
    {},
    optional={
        "n": st.sampled_from([1, 4, 5, 9, "1", None]),
        "kind": st.sampled_from(["a", "z", 1]),
        "o": st.sampled_from([{"x": "y"}, {"x": "n"}, {}, 3]),
    },
)
calls = st.builds(ReferenceCall, st.sampled_from(PRINCIPALS), st.sampled_from(["t1", "t2"]), arguments)


def decide(visibility: Visibility, asked: ReferenceCall) -> Decision:
    call = Call(asked.principal, arguments=asked.arguments, headers={}, request={})
    specialised = visibility.for_principal(asked.principal)
    return specialised.decide(Primitive.TOOLS, Verb.CALL, asked.name, call)


@settings(max_examples=400, deadline=None)
@given(policies(), st.lists(calls, min_size=1, max_size=4))
def test_the_evaluator_agrees_with_the_specification_read_literally(
    documents: list[PolicyDocument], asked: list[ReferenceCall]
) -> None:
    visibility = visibility_of(*documents)
    for call in asked + asked:
        assert decide(visibility, call).allowed == allows(documents, call)


@settings(max_examples=200, deadline=None)
@given(policies(), policies(), calls)
def test_attaching_deny_rules_never_widens_access(
    documents: list[PolicyDocument], more: list[PolicyDocument], asked: ReferenceCall
) -> None:
    denying = [
        each.model_copy(
            update={
                "name": f"more-{each.name}",
                "access": AccessRulesConfig(rules=[r for r in each.access.rules if r.effect == "Deny"]),
            }
        )
        for each in more
        if each.access is not None
    ]
    before, after = decide(visibility_of(*documents), asked), decide(visibility_of(*documents, *denying), asked)
    assert before.allowed or not after.allowed


@settings(max_examples=200, deadline=None)
@given(policies(), calls, st.randoms())
def test_the_order_of_policies_and_rules_never_matters(
    documents: list[PolicyDocument], asked: ReferenceCall, chance: random.Random
) -> None:
    shuffled = [
        each.model_copy(
            update={"access": AccessRulesConfig(rules=chance.sample(each.access.rules, len(each.access.rules)))}
        )
        if each.access is not None
        else each
        for each in documents
    ]
    chance.shuffle(shuffled)
    assert decide(visibility_of(*shuffled), asked).allowed == decide(visibility_of(*documents), asked).allowed


@settings(max_examples=200, deadline=None)
@given(policies(), calls)
def test_a_tool_that_some_call_may_use_is_listed(documents: list[PolicyDocument], asked: ReferenceCall) -> None:
    visibility = visibility_of(*documents).for_principal(asked.principal)
    if decide(visibility, asked).allowed:
        assert visibility.shows(Primitive.TOOLS, asked.name)


def one_rule(*, mode: Literal["Shadow"] | None = None, name: str = "p", **rule: Any) -> PolicyDocument:
    access = AccessRulesConfig.model_validate({"rules": [{"name": "r", "effect": "Allow", **rule}]}, strict=False)
    return PolicyDocument(namespace="ns", name=name, uid=name, generation=7, tier="owner", access=access, mode=mode)


def test_a_visibility_without_conditions_is_the_same_for_every_caller() -> None:
    visibility = visibility_of(one_rule())
    assert not visibility.depends_on_caller
    assert visibility.for_principal(AGENT) is visibility


def test_callers_with_the_same_grants_share_one_visibility_and_its_caches() -> None:
    visibility = visibility_of(one_rule(when="'g1' in groups"))
    assert visibility.for_principal(AGENT) is visibility.for_principal(PLAIN)
    assert visibility.for_principal(AGENT) is not visibility.for_principal(ANONYMOUS)


def test_a_condition_over_the_caller_is_evaluated_once_for_each_principal(monkeypatch: pytest.MonkeyPatch) -> None:
    evaluated: list[str] = []
    evaluate = Expression.evaluate

    def watched(expression: Expression, context: ExpressionContext) -> ExpressionResult:
        evaluated.append(expression.source)
        return evaluate(expression, context)

    monkeypatch.setattr(Expression, "evaluate", watched)
    visibility = visibility_of(one_rule(when="authenticated"), one_rule(when="authenticated", name="q"))
    for _ in range(3):
        assert decide(visibility, ReferenceCall(AGENT, "t1")).allowed
    assert evaluated == ["authenticated"]


def test_another_principal_with_the_same_id_has_its_own_grants() -> None:
    visibility = visibility_of(one_rule(scopes=["s1"]))
    without = Principal(id=AGENT.id, method="jwt", consumer=AGENT.consumer)
    assert decide(visibility, ReferenceCall(AGENT, "t1")).allowed
    assert not decide(visibility, ReferenceCall(without, "t1")).allowed


def test_a_caller_that_lacks_only_scopes_gets_all_of_them_named() -> None:
    refused = decide(visibility_of(one_rule(scopes=["s1", "s2"])), ReferenceCall(AGENT, "t1"))
    assert (refused.reason, refused.missing_scopes) == (DecisionReason.INSUFFICIENT_SCOPE, frozenset({"s1", "s2"}))
    denied = visibility_of(one_rule(scopes=["s2"]), one_rule(effect="Deny", name="no"))
    assert decide(denied, ReferenceCall(AGENT, "t1")).missing_scopes == frozenset()


def test_a_name_that_no_rule_allows_is_refused_by_a_policy_that_is_for_the_caller() -> None:
    for_others, for_agents = (
        one_rule(name=name, tools={"names": ["t1"]}).model_copy(update={"subjects": [SubjectConfig(groups=[group])]})
        for name, group in (("admins", "g9"), ("agents", "g1"))
    )
    visibility = visibility_of(for_others, for_agents)
    refused = decide(visibility, ReferenceCall(AGENT, "t9"))
    assert (refused.reason, refused.policy) == (DecisionReason.NOT_ALLOWED, "ns/agents")
    assert decide(visibility, ReferenceCall(ANONYMOUS, "t9")).policy == "ns/admins"


def test_a_shadow_policy_decides_nothing_and_reports_what_it_would_deny() -> None:
    visibility = visibility_of(one_rule(), one_rule(effect="Deny", name="trial", mode="Shadow"))
    assert decide(visibility, ReferenceCall(AGENT, "t1")).allowed
    assert visibility.would_deny(Primitive.TOOLS, Verb.CALL, "t1") == Decision(
        False, DecisionReason.DENIED, "ns/trial", "r", generation=7
    )
    assert visibility_of(one_rule()).would_deny(Primitive.TOOLS, Verb.CALL, "t1") is None


def test_a_condition_of_a_shadow_policy_does_not_make_the_enforced_decision_need_the_message() -> None:
    visibility = visibility_of(one_rule(), one_rule(when="args.n < 5", name="trial", mode="Shadow")).for_principal(
        AGENT
    )
    assert not visibility.needs_call
    assert visibility.shadow is not None
    assert visibility.shadow.needs_call


def test_an_error_in_an_expression_denies_and_never_allows() -> None:
    allowing, denying = one_rule(when="claims.nope == 1"), one_rule(when="args.nope == 1", effect="Deny", name="d")
    for documents in ([allowing], [denying]):
        refused = decide(visibility_of(*documents), ReferenceCall(AGENT, "t1"))
        assert (refused.allowed, refused.reason) == (False, DecisionReason.EXPRESSION_ERROR)


def test_a_decision_without_the_message_allows_nothing_that_depends_on_it() -> None:
    visibility = visibility_of(one_rule(when="args.n < 5")).for_principal(AGENT)
    assert visibility.needs_call
    assert not visibility.decide(Primitive.TOOLS, Verb.CALL, "t1").allowed
    assert visibility.shows(Primitive.TOOLS, "t1")


def allowing(*scopes: str) -> PolicyDocument:
    allowed = [AccessRuleConfig(name=scope, effect="Allow", scopes=[scope]) for scope in scopes]
    access = AccessRulesConfig(rules=allowed)
    return PolicyDocument(namespace="ns", name="p", uid="u", generation=1, tier="owner", access=access)


def scoped(*scopes: str) -> Principal:
    return Principal(id="a", method="jwt", scopes=frozenset(scopes))


def test_a_caller_is_forgotten_with_its_credential() -> None:
    visibility = visibility_of(allowing("s"))
    principal = scoped("s")
    known, seen = ref(principal), visibility.for_principal(principal)

    del principal

    assert known() is None
    assert visibility.for_principal(scoped()) is not seen


def test_callers_with_other_grants_share_the_compiled_rules() -> None:
    policy = CompiledPolicy.build(allowing("s1", "s2", "s3"))

    every, one = (
        policy.specialised(policy.states(PrincipalConditions(each))).allow
        for each in (scoped("s1", "s2", "s3"), scoped("s2"))
    )

    assert one[0] is every[1]


def test_subjects_are_judged_once_for_all_rules_of_a_policy() -> None:
    subject = SubjectConfig(groups=["g"])
    policy = CompiledPolicy.build(
        allowing(*(f"s{number}" for number in range(50))).model_copy(update={"subjects": [subject]})
    )

    with mock.patch.object(Subject, "evaluate", autospec=True, return_value=ExpressionResult.TRUE) as judged:
        policy.states(PrincipalConditions(scoped("s1")))

    assert judged.call_count == 1
