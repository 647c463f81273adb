"""Tens of thousands of rules are in memory: what they may take, and what they share."""

import gc
import tracemalloc

from ostiary_core.contract.access import AccessRuleConfig, AccessRulesConfig, SelectionConfig
from ostiary_core.contract.documents import PolicyDocument
from ostiary_core.mcp.methods import VERBS, Primitive, Verb
from ostiary_core.policy.compiled_policy import CompiledPolicy, CompiledRule

#: What a rule with two names of its own may take, with these names.
MOST_BYTES = 512


def rule(number: int) -> AccessRuleConfig:
    names = [f"get_ticket_{number}", "ticket_*"]
    return AccessRuleConfig(
        name="read", effect="Allow", tools=SelectionConfig(verbs=[Verb.LIST, Verb.CALL], names=names)
    )


def policy(rules: int) -> CompiledPolicy:
    access = AccessRulesConfig(rules=[rule(number) for number in range(rules)])
    return CompiledPolicy.build(
        PolicyDocument(namespace="a", name="p", uid="u", generation=1, tier="owner", access=access)
    )


def test_a_usual_rule_takes_at_most_half_a_kibibyte() -> None:
    policy(1)
    gc.collect()
    tracemalloc.start()
    try:
        found = policy(1_000)
        gc.collect()
        taken = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert len(found.allow) == 1_000
    assert taken / 1_000 <= MOST_BYTES


def test_rules_that_select_alike_share_what_they_select() -> None:
    one, other = (CompiledRule.build(rule(number)) for number in range(2))

    assert one.places is other.places
    assert one.matchers[0].prefixes is other.matchers[0].prefixes
    assert one.matcher((Primitive.TOOLS, Verb.CALL)) is one.matchers[0]
    assert one.matcher((Primitive.PROMPTS, Verb.GET)) is None


def test_a_rule_without_a_selection_governs_every_pair() -> None:
    found = CompiledRule.build(AccessRuleConfig(name="all", effect="Allow"))

    assert all(found.matches(primitive, verb, "x") for primitive in Primitive for verb in VERBS[primitive])
