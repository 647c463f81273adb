import re
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ostiary_core.contract.access import AccessRuleConfig, AccessRulesConfig, SelectionConfig
from ostiary_core.contract.documents import PolicyDocument, Tier
from ostiary_core.errors import PatternError
from ostiary_core.mcp.methods import VERBS, Primitive, Verb
from ostiary_core.policy.access import AccessEvaluator
from ostiary_core.policy.compiled_policy import CompiledPolicy
from ostiary_core.policy.decision import Decision, DecisionReason
from ostiary_core.policy.decision_cache import DECISIONS, DecisionCache, Memo
from ostiary_core.policy.visibility import Visibility

TOOLS, RESOURCES, PROMPTS = Primitive.TOOLS, Primitive.RESOURCES, Primitive.PROMPTS
PAIRS = [(primitive, verb) for primitive, verbs in VERBS.items() for verb in verbs]
NAMES = ["a", "ab", "b", ""]


def rule(effect: str = "Allow", name: str = "r", **selections: dict[str, Any]) -> AccessRuleConfig:
    parts = {key: SelectionConfig(**value) for key, value in selections.items()}
    return AccessRuleConfig(name=name, effect=effect, **parts)  # type: ignore[arg-type]  # any text, for the sake of brevity


def policy(*rules: AccessRuleConfig, tier: Tier = "owner", name: str = "p", access: bool = True) -> PolicyDocument:
    rules_or_none = AccessRulesConfig(rules=list(rules)) if access else None
    return PolicyDocument(
        namespace="ns", name=name, uid=name, generation=1, tier=tier, access=rules_or_none
    )  # fmt: skip


def access(*policies: PolicyDocument) -> AccessEvaluator:
    return AccessEvaluator([CompiledPolicy.build(document) for document in policies])


# What the specification says, written once more as plainly as possible: without tables, memo or compiled expressions.


def covers(item: AccessRuleConfig, primitive: Primitive, verb: Verb, name: str) -> bool:
    if not any(item.selection(p) for p in Primitive):
        return True
    selection = item.selection(primitive)
    if selection is None or (selection.verbs is not None and verb not in selection.verbs):
        return False
    if selection.names is None and selection.patterns is None:
        return True
    wanted = [".*".join(map(re.escape, n.split("*"))) for n in selection.names or []] + (selection.patterns or [])
    return any(re.fullmatch(expression, name, re.DOTALL) for expression in wanted)


def tier_allows(documents: Sequence[PolicyDocument], primitive: Primitive, verb: Verb, name: str) -> bool:
    rules = [item for d in documents if d.access for item in d.access.rules]
    matching = {item.effect for item in rules if covers(item, primitive, verb, name)}
    closed = any(
        d.access and (not d.access.rules or any(r.effect == "Allow" for r in d.access.rules)) for d in documents
    )
    return "Deny" not in matching and (not closed or "Allow" in matching)


def reference(documents: Sequence[PolicyDocument], primitive: Primitive, verb: Verb, name: str) -> bool:
    tiers = [[d for d in documents if d.tier == tier] for tier in ("platform", "owner")]
    return all(tier_allows(tier, primitive, verb, name) for tier in tiers)


def selections(primitive: Primitive) -> st.SearchStrategy[SelectionConfig | None]:
    verbs = st.none() | st.lists(st.sampled_from(VERBS[primitive]), min_size=1, unique=True)
    names = st.none() | st.lists(st.sampled_from(["a", "b", "a*", "*", "*b"]), min_size=1, max_size=2)
    patterns = st.none() | st.lists(st.sampled_from(["a|b", "[ab]{2}", ""]), min_size=1, max_size=2)
    return st.none() | st.builds(SelectionConfig, verbs=verbs, names=names, patterns=patterns)


RULES = st.builds(
    AccessRuleConfig,
    name=st.sampled_from(["r1", "r2"]),
    effect=st.sampled_from(["Allow", "Deny"]),
    tools=selections(TOOLS),
    resources=selections(RESOURCES),
    prompts=selections(PROMPTS),
)
POLICIES = st.builds(
    PolicyDocument,
    namespace=st.just("ns"),
    name=st.sampled_from(["p1", "p2", "p3"]),
    uid=st.just("u"),
    generation=st.just(1),
    tier=st.sampled_from(["platform", "owner"]),
    access=st.none() | st.builds(AccessRulesConfig, rules=st.lists(RULES, max_size=3)),
)
SETS = st.lists(POLICIES, max_size=4, unique_by=lambda document: document.name)


@given(SETS)
def test_it_decides_as_the_specification_reads(documents: list[PolicyDocument]) -> None:
    subject = access(*documents)

    for primitive, verb in PAIRS:
        for name in NAMES:
            assert subject.decide(primitive, verb, name).allowed is reference(documents, primitive, verb, name)


@given(SETS, st.randoms(use_true_random=False))
def test_verdict_and_evidence_do_not_depend_on_the_order_of_policies(
    documents: list[PolicyDocument], random: Any
) -> None:
    shuffled = random.sample(documents, len(documents))

    for primitive, verb in PAIRS:
        for name in NAMES:
            assert access(*shuffled).decide(primitive, verb, name) == access(*documents).decide(primitive, verb, name)


@given(SETS)
def test_an_open_primitive_has_no_name_that_is_refused(documents: list[PolicyDocument]) -> None:
    subject = access(*documents)

    for primitive, verb in PAIRS:
        if subject.is_open(primitive):
            assert all(subject.decide(primitive, verb, name).allowed for name in NAMES)


@given(SETS)
def test_a_pair_of_which_none_may_be_used_has_no_name_that_passes(documents: list[PolicyDocument]) -> None:
    subject = Visibility.build(None, access(*documents), default="Allow", invalid=False)

    for primitive, verb in PAIRS:
        if not subject.may_use_some(primitive, verb):
            assert not any(subject.decide(primitive, verb, name).allowed for name in NAMES)


@given(SETS, POLICIES.filter(lambda document: document.tier == "owner"))
def test_no_owner_policy_widens_what_the_platform_allows(
    documents: list[PolicyDocument], extra: PolicyDocument
) -> None:
    platform = [document for document in documents if document.tier == "platform"]
    both = access(*platform, extra.model_copy(update={"name": "extra"}))

    for primitive, verb in PAIRS:
        for name in NAMES:
            if both.decide(primitive, verb, name).allowed:
                assert access(*platform).decide(primitive, verb, name).allowed


def test_without_policies_everything_is_open() -> None:
    assert access().decide(TOOLS, Verb.CALL, "x") == Decision(True, DecisionReason.OPEN)
    assert access().is_open(TOOLS)


def test_a_policy_without_access_says_nothing() -> None:
    assert access(policy(access=False)).decide(TOOLS, Verb.CALL, "x").reason is DecisionReason.OPEN


def test_empty_rules_refuse_every_name_of_every_primitive() -> None:
    subject = access(policy(name="closed"))

    for primitive, verb in PAIRS:
        assert subject.decide(primitive, verb, "x") == Decision(
            False, DecisionReason.NOT_ALLOWED, "ns/closed", generation=1
        )


def test_list_without_call_shows_and_refuses() -> None:
    subject = access(policy(rule(tools={"verbs": [Verb.LIST]})))

    assert subject.decide(TOOLS, Verb.LIST, "any").allowed
    assert not subject.decide(TOOLS, Verb.CALL, "any").allowed
    assert not subject.decide(RESOURCES, Verb.LIST, "any").allowed


def test_list_and_call_of_one_name_allow_exactly_that_one() -> None:
    subject = access(policy(rule(tools={"verbs": [Verb.LIST, Verb.CALL], "names": ["get_weather"]})))

    for name, expected in (("get_weather", True), ("get_weather2", False), ("Get_weather", False), ("", False)):
        assert subject.decide(TOOLS, Verb.LIST, name).allowed is expected
        assert subject.decide(TOOLS, Verb.CALL, name).allowed is expected


def test_deny_wins_over_allow_and_is_the_evidence() -> None:
    allow, deny = rule(name="all"), rule("Deny", "no-delete", tools={"names": ["delete_*"]})
    subject = access(policy(allow, deny))

    assert subject.decide(TOOLS, Verb.CALL, "delete_x") == Decision(
        False, DecisionReason.DENIED, "ns/p", "no-delete", generation=1
    )
    assert subject.decide(TOOLS, Verb.CALL, "read_x") == Decision(
        True, DecisionReason.ALLOWED, "ns/p", "all", generation=1
    )


def test_deny_rules_alone_leave_the_rest_open() -> None:
    subject = access(policy(rule("Deny", tools={"names": ["delete_*"]})))

    assert subject.decide(TOOLS, Verb.CALL, "read").reason is DecisionReason.OPEN
    assert subject.is_open(PROMPTS)
    assert not subject.is_open(TOOLS)


def test_a_deny_in_one_policy_reaches_the_allow_of_another() -> None:
    subject = access(policy(rule(), name="a"), policy(rule("Deny", tools={"names": ["x"]}), name="b"))

    assert subject.decide(TOOLS, Verb.CALL, "x").policy == "ns/b"


def test_both_tiers_must_allow() -> None:
    platform = policy(rule(tools={"names": ["read_*"]}), tier="platform", name="platform")
    owner = policy(rule(tools={"names": ["read_a", "write_a"]}), name="owner")
    subject = access(platform, owner)

    assert subject.decide(TOOLS, Verb.CALL, "read_a").allowed
    assert subject.decide(TOOLS, Verb.CALL, "read_b") == Decision(
        False, DecisionReason.NOT_ALLOWED, "ns/owner", generation=1
    )
    assert subject.decide(TOOLS, Verb.CALL, "write_a") == Decision(
        False, DecisionReason.NOT_ALLOWED, "ns/platform", generation=1
    )


def test_a_rule_without_primitives_applies_to_all_three() -> None:
    subject = access(policy(rule("Deny")))

    assert not any(subject.decide(primitive, verb, "x").allowed for primitive, verb in PAIRS)


def test_where_several_policies_deny_the_first_by_name_is_the_evidence() -> None:
    deny = rule("Deny", "no")
    subject = access(policy(deny, name="b"), policy(deny, name="a"))

    assert subject.decide(TOOLS, Verb.CALL, "x").policy == "ns/a"


def test_a_caller_that_invents_names_cannot_fill_the_memory() -> None:
    subject = access(policy(rule("Deny", tools={"names": ["bad"]})))

    for number in range(10_000):
        subject.decide(TOOLS, Verb.CALL, f"invented-{number}")

    assert len(subject._memo) <= 4096
    assert not subject.decide(TOOLS, Verb.CALL, "bad").allowed


def test_a_caller_that_invents_long_names_cannot_fill_the_memory() -> None:
    subject = access(policy(rule("Deny", tools={"names": ["bad*"]})))

    for number in range(10):
        assert not subject.decide(TOOLS, Verb.CALL, f"bad-{number}" + "x" * 1_000_000).allowed

    assert sum(len(name) for _, _, name in subject._memo) < 1_000_000


def test_a_caller_that_invents_names_at_many_proxies_cannot_fill_the_memory_either() -> None:
    proxies = [access(policy(rule("Deny", tools={"names": ["bad"]}))) for _ in range(20)]

    for proxy in proxies:
        for number in range(4000):
            proxy.decide(TOOLS, Verb.CALL, f"invented-{number}")

    assert DECISIONS.held <= 65_536
    assert sum(len(proxy._memo) for proxy in proxies) <= 65_536
    assert not any(proxy.decide(TOOLS, Verb.CALL, "bad").allowed for proxy in proxies)


def test_decisions_of_removed_proxies_use_no_memory() -> None:
    cache = DecisionCache(limit=10)
    kept = Memo[int, bool]()
    for number in range(8):
        cache.keep(kept, number, True, name="a")
    for number in range(100):
        cache.keep(Memo(), number, True, name="a")

    assert cache.held == len(kept) == 8


def test_an_invalid_pattern_is_found_when_the_policy_is_compiled() -> None:
    with pytest.raises(PatternError, match="RE2"):
        CompiledPolicy.build(policy(rule(tools={"patterns": ["("]})))


def test_a_policy_whose_rules_weigh_too_much_is_refused_by_its_rule_and_is_not_compiled_to_the_end() -> None:
    hostile = [
        rule("Deny", f"r{number}", tools={"patterns": [f"{number}.{item}(.{{0,5}}){{5}}" for item in range(32)]})
        for number in range(128)
    ]

    with pytest.raises(
        PatternError, match=r"with rule r[0-9]+, .* compile to more than 8192 instructions: write fewer"
    ):
        access(policy(*hostile))


def test_hundreds_of_rules_of_ordinary_patterns_and_thousands_of_names_are_light() -> None:
    rules = [
        rule("Allow", f"r{i}", tools={"patterns": [f"get_[a-z]+_{i}"], "names": [f"n{i}_{j}*" for j in range(100)]})
        for i in range(128)
    ]

    assert access(policy(*rules)).decide(TOOLS, Verb.CALL, "get_users_9").rule == "r9"
