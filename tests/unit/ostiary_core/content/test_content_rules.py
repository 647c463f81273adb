"""Which rules about content a message has to pass, by its name and its caller."""

from typing import Any

from ostiary_core.catalogue_names import CatalogueNames
from ostiary_core.content.content_rules import ContentRules, ItemRules
from ostiary_core.content.masks.compiled_mask import CompiledMask
from ostiary_core.content.policy_content import PolicyContentRules
from ostiary_core.content.rule_scope import RuleScope
from ostiary_core.contract.access import SelectionConfig, SubjectConfig
from ostiary_core.contract.content import Direction
from ostiary_core.contract.documents import PolicyDocument
from ostiary_core.contract.masks import DetectConfig, DetectedKind, MaskAction, MaskConfig
from ostiary_core.mcp.methods import Primitive
from ostiary_core.policy.principal import Principal
from ostiary_core.policy.principal_conditions import PrincipalConditions
from ostiary_core.policy.subjects import Subject

TOOLS, RESOURCES, PROMPTS = Primitive.TOOLS, Primitive.RESOURCES, Primitive.PROMPTS


def rule(name: str, *, when: str | None = None, mode: str | None = None, **selected: Any) -> CompiledMask:
    document = PolicyDocument.model_validate(
        {"namespace": "crm", "name": "p", "uid": "u", "generation": 1, "tier": "owner"}
        | ({"mode": mode} if mode else {})
    )
    subjects = (Subject.build(SubjectConfig(when=when)),) if when else None
    config = MaskConfig(
        name=name,
        directions=[Direction.RESULTS],
        detect=[DetectConfig(kind=DetectedKind.CARD_NUMBER)],
        action=MaskAction.MASK,
        **selected,
    )
    return CompiledMask.build(config, RuleScope.build(document, config, subjects, rule=name))


def rules_of(*rules: CompiledMask, names: CatalogueNames | None = None) -> ContentRules:
    found = ContentRules.build([PolicyContentRules(masks=rules), None], names)
    assert found is not None
    return found


def named(found: ItemRules | None) -> list[str]:
    return [each.scope.rule for each in found.masks] if found is not None else []


ALL = rule("all")
CARDS = rule("cards", tools=SelectionConfig(names=["get_*"]))
FILES = rule("files", resources=SelectionConfig(names=["file:///secret/*"]))


def test_a_message_passes_the_rules_that_match_its_name() -> None:
    subject = rules_of(ALL, CARDS, FILES)
    assert named(subject.of(TOOLS, "get_customer")) == ["all", "cards"]
    assert named(subject.of(TOOLS, "send")) == ["all"]
    assert named(subject.of(PROMPTS, "get_customer")) == ["all"]


def test_another_spelling_of_a_uri_evades_no_rule() -> None:
    subject = rules_of(FILES)
    for spelled in ("file:///secret/key", "FILE:///secret/key", "file:///docs/../secret/key", "file:///secr%65t/key"):
        assert named(subject.of(RESOURCES, spelled)) == ["files"], spelled
    assert subject.of(RESOURCES, "file:///docs/key") is None


def test_a_name_that_cannot_be_judged_passes_every_rule_that_could_match() -> None:
    slow = rule("slow", tools=SelectionConfig(patterns=["(a|b)*c{40}"]))
    subject = rules_of(ALL, slow, FILES)
    assert named(subject.of(TOOLS, "x" * 100_000)) == ["all", "slow"]


def test_a_message_without_a_name_passes_every_rule_that_could_match() -> None:
    subject = rules_of(ALL, CARDS, FILES)
    assert named(subject.of_primitive(TOOLS)) == ["all", "cards"]
    assert named(subject.of_primitive(PROMPTS)) == ["all"]
    assert named(subject.unnamed()) == ["all", "cards", "files"]


def test_where_servers_are_merged_a_rule_matches_either_form_of_a_name() -> None:
    names = CatalogueNames([("crm", "crm_"), ("docs", "docs_")])
    subject = rules_of(CARDS, rule("exposed", tools=SelectionConfig(names=["crm_get_*"])), names=names)
    assert named(subject.of(TOOLS, "crm_get_customer")) == ["cards", "exposed"]
    assert named(subject.of(TOOLS, "docs_get_page")) == ["cards"]


def test_messages_with_the_same_rules_share_what_is_compiled_from_them() -> None:
    subject = rules_of(ALL, CARDS)
    made = []

    def make(rules: ItemRules) -> int:
        made.append(rules)
        return len(rules.masks)

    for name in ("get_a", "get_b", "get_a"):
        found = subject.of(TOOLS, name)
        assert found is not None
        assert found.kept(make) == 2
    assert len(made) == 1


def test_a_rule_governs_the_callers_that_its_subjects_match() -> None:
    subject = rules_of(ALL, rule("support", when='"support" in claims.groups'))
    assert subject.depends_on_caller

    def seen_by(principal: Principal) -> list[str]:
        states = subject.states(PrincipalConditions(principal))
        found = subject.specialised(states)
        return named(found.of(TOOLS, "a")) if found is not None else []

    assert seen_by(Principal(id="a", method="jwt", claims={"groups": ["support"]})) == ["all", "support"]
    assert seen_by(Principal(id="b", method="jwt", claims={"groups": ["sales"]})) == ["all"]
    # An expression that fails must not take a mask away.
    assert seen_by(Principal(id="c", method="jwt", claims={})) == ["all", "support"]


def test_a_rule_may_be_for_some_servers_only() -> None:
    subject = rules_of(ALL, rule("abroad", servers=["us"])).unnamed()
    assert subject is not None
    assert named(subject.towards(frozenset({"us", "eu"}))) == ["all", "abroad"]
    assert named(subject.towards(frozenset({"eu"}))) == ["all"]


def test_rules_of_a_policy_in_shadow_mode_say_so() -> None:
    subject = rules_of(rule("trial", mode="Shadow")).of(TOOLS, "a")
    assert subject is not None
    assert subject.masks[0].scope.is_shadow


def test_without_rules_there_is_nothing_to_ask() -> None:
    assert ContentRules.build([None, PolicyContentRules()], None) is None
