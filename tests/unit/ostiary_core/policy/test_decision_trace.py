import json
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st
from visibilities import visibility_of

from ostiary_core.contract.documents import PolicyDocument
from ostiary_core.mcp.methods import VERBS, Primitive, Verb
from ostiary_core.policy.decision import DecisionReason
from ostiary_core.policy.decision_trace import DecisionTrace, RuleOutcome, trace
from ostiary_core.policy.message_conditions import Call
from ostiary_core.policy.principal import ANONYMOUS, Principal

TOOLS = Primitive.TOOLS
PAIRS = [(primitive, verb) for primitive, verbs in VERBS.items() for verb in verbs]
NAMES = {
    Primitive.TOOLS: ["read_a", "delete_a", "x"],
    Primitive.PROMPTS: ["read_a", "x"],
    Primitive.RESOURCES: ["file:///docs/a", "file:///docs/../secret/a", "db://a%2Fb", "file:///docs/%2e%2e%2fsecret/a"],
}


def document(*rules: dict[str, Any], name: str = "p", **members: Any) -> PolicyDocument:
    identity = {"namespace": "ns", "name": name, "uid": name, "generation": 1, "tier": "owner"}
    return PolicyDocument.model_validate_json(json.dumps({**identity, "access": {"rules": list(rules)}, **members}))


def traced(
    *policies: PolicyDocument, principal: Principal = ANONYMOUS, name: str = "read_a", **arguments: Any
) -> DecisionTrace:
    call = Call(principal, arguments=arguments, headers={}, request={"method": "tools/call", "name": name})
    return trace(visibility_of(*policies), principal, TOOLS, Verb.CALL, name, call)


def caller(**members: Any) -> Principal:
    return Principal(id="t", method="test", **members)


def outcomes(found: DecisionTrace) -> dict[str, RuleOutcome]:
    assert found.deciding is not None
    return {rule.rule: rule.outcome for rule in found.deciding.rules}


SELECTION = st.fixed_dictionaries(
    {}, optional={"names": st.lists(st.sampled_from(["read_*", "delete_*", "x", "*", "file:///docs/*"]), min_size=1)}
)
WHEN = st.sampled_from(
    [
        "authenticated",
        '"a" in groups',
        "claims.level > 3",
        "args.n > 3",
        'request.name == "read_a"',
        'headers.team == "blue"',
        'args.n > 3 || "a" in groups',
    ]
)
ARGUMENTS = st.sampled_from([[{"path": ["n"], "maximum": 5}], [{"path": ["s"], "pattern": "^a"}]])
RULE = st.fixed_dictionaries(
    {"effect": st.sampled_from(["Allow", "Deny"])},
    optional={
        "tools": SELECTION,
        "resources": SELECTION,
        "prompts": SELECTION,
        "scopes": st.lists(st.sampled_from(["s", "t"]), min_size=1, unique=True),
        "when": WHEN,
        "arguments": ARGUMENTS,
    },
)
SUBJECTS = st.lists(
    st.fixed_dictionaries(
        {},
        optional={
            "groups": st.sampled_from([["a"], ["b"]]),
            "consumers": st.just(["ns/c"]),
            "when": st.sampled_from(["claims.level > 3", "authenticated"]),
        },
    ),
    min_size=1,
    max_size=2,
)
POLICY = st.fixed_dictionaries(
    {"tier": st.sampled_from(["platform", "owner"]), "rules": st.lists(RULE, max_size=3)},
    optional={"mode": st.just("Shadow"), "subjects": SUBJECTS},
)
CALLER = st.none() | st.fixed_dictionaries(
    {
        "groups": st.frozensets(st.sampled_from(["a", "b"])),
        "scopes": st.frozensets(st.sampled_from(["s", "t"])),
        "consumer": st.sampled_from(["", "ns/c"]),
        "claims": st.sampled_from([{}, {"level": 4}, {"level": 1}, {"level": "high"}]),
    }
)
CATALOGUE = st.none() | st.sampled_from([{"tools": {"include": ["read_*"]}}, {"resources": {"exclude": ["*secret*"]}}])
ARGS = st.sampled_from([{}, {"n": 4}, {"n": 1, "s": "ab"}, {"n": "4", "s": 3}, {"n": 9}])


def build(policies: list[dict[str, Any]]) -> list[PolicyDocument]:
    found = []
    for number, policy in enumerate(policies):
        members = {key: value for key, value in policy.items() if key != "rules"}
        rules = [{"name": f"r{position}", **rule} for position, rule in enumerate(policy["rules"])]
        found.append(document(*rules, name=f"p{number}", **members))
    return found


@given(st.lists(POLICY, max_size=3), CALLER, st.sampled_from(PAIRS), st.data(), ARGS, CATALOGUE)
@example(
    [
        {
            "tier": "owner",
            "rules": [{"effect": "Deny", "when": "args.n > 3"}],
            "subjects": [{"when": "claims.level > 3"}],
        }
    ],
    {"groups": frozenset(), "scopes": frozenset(), "consumer": "", "claims": {}},
    (TOOLS, Verb.LIST),
    None,
    {},
    None,
)
def test_the_trace_of_every_decision_comes_to_the_decision(
    policies: list[dict[str, Any]],
    described: dict[str, Any] | None,
    pair: tuple[Primitive, Verb],
    data: Any,
    arguments: dict[str, Any],
    catalogue: dict[str, Any] | None,
) -> None:
    primitive, verb = pair
    name = data.draw(st.sampled_from(NAMES[primitive])) if data is not None else "read_a"
    principal = caller(**described) if described is not None else ANONYMOUS
    visibility = visibility_of(*build(policies), catalogue=catalogue)
    message = Call(principal, arguments=arguments, headers={}, request={"method": "m", "name": name})
    call = message if verb is not Verb.LIST else None
    found = trace(visibility, principal, primitive, verb, name, call)
    assert found.decision == visibility.for_principal(principal).decide(primitive, verb, name, call)
    if found.decision.reason is DecisionReason.AMBIGUOUS_URI:
        assert found.readings == ()
        return
    assert found.decision.allowed == all(reading.allowed for reading in found.readings)
    expected = expected_outcomes(found)
    assert expected is None or decided(found) & expected


def decided(found: DecisionTrace) -> set[RuleOutcome]:
    """The outcomes of the rule that the decision names, in every reading."""
    rules = [rule for reading in found.readings for rule in reading.rules]
    named = (found.decision.policy, found.decision.rule)
    return {rule.outcome for rule in rules if (rule.policy, rule.rule) == named}


def expected_outcomes(found: DecisionTrace) -> set[RuleOutcome] | None:
    """The outcomes that the rule of such a decision may have; None where no rule decides."""
    return {
        DecisionReason.ALLOWED: {RuleOutcome.MATCHES, RuleOutcome.POSSIBLE},
        DecisionReason.DENIED: {RuleOutcome.MATCHES},
        DecisionReason.INSUFFICIENT_SCOPE: {RuleOutcome.SCOPES},
        DecisionReason.ARGUMENT_NOT_ALLOWED: {RuleOutcome.ARGUMENTS, RuleOutcome.CONDITION, RuleOutcome.ERROR},
        DecisionReason.CONDITION_NOT_MET: {RuleOutcome.CONDITION},
        DecisionReason.EXPRESSION_ERROR: {RuleOutcome.ERROR},
    }.get(found.decision.reason)


def test_each_rule_says_which_part_of_it_does_not_match() -> None:
    policy = document(
        {"name": "other-use", "effect": "Allow", "prompts": {}},
        {"name": "other-verb", "effect": "Allow", "tools": {"verbs": ["List"]}},
        {"name": "name", "effect": "Allow", "tools": {"names": ["delete_*"]}},
        {"name": "condition", "effect": "Allow", "when": '"a" in groups'},
        {"name": "arguments", "effect": "Allow", "arguments": [{"path": ["n"], "maximum": 5}]},
        {"name": "scopes", "effect": "Allow", "scopes": ["s", "t"]},
        {"name": "error", "effect": "Allow", "when": "claims.missing == 1"},
    )
    others = document({"name": "subjects", "effect": "Allow"}, name="q", subjects=[{"groups": ["a"]}])
    found = traced(policy, others, principal=caller(scopes=frozenset(["s"])), n=6)
    assert not found.decision.allowed
    assert outcomes(found) == {
        "other-use": RuleOutcome.OTHER_USE,
        "other-verb": RuleOutcome.OTHER_USE,
        "name": RuleOutcome.NAME,
        "condition": RuleOutcome.CONDITION,
        "arguments": RuleOutcome.ARGUMENTS,
        "scopes": RuleOutcome.SCOPES,
        "error": RuleOutcome.ERROR,
        "subjects": RuleOutcome.SUBJECTS,
    }
    [arguments, scopes] = [
        rule for reading in found.readings for rule in reading.rules if rule.rule in {"arguments", "scopes"}
    ]
    assert arguments.requirements == ("argument 'n' must be given and be a number of at most 5",)
    assert scopes.missing_scopes == frozenset(["t"])


def test_a_policy_in_shadow_mode_is_traced_and_decides_nothing() -> None:
    found = traced(document({"name": "no", "effect": "Deny"}, mode="Shadow"))
    assert found.decision.allowed
    assert found.shadow is not None
    assert found.shadow.rule == "no"
    assert found.deciding is not None
    assert [(rule.rule, rule.is_shadow, rule.applies) for rule in found.deciding.rules] == [("no", True, True)]


def test_the_reading_of_a_uri_that_is_refused_decides() -> None:
    policy = document({"name": "docs", "effect": "Allow", "resources": {"names": ["file:///docs/*"]}})
    uri = "file:///docs/../secret/a"
    found = trace(visibility_of(policy), ANONYMOUS, Primitive.RESOURCES, Verb.READ, uri, None)
    assert found.deciding is not None
    assert found.deciding.name == "file:///secret/a"


def test_nothing_is_traced_where_every_call_is_refused() -> None:
    found = trace(visibility_of(invalid=True), ANONYMOUS, TOOLS, Verb.CALL, "read_a", None)
    assert (found.decision.reason, found.readings) == (DecisionReason.POLICY_INVALID, ())
