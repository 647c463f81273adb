from dataclasses import replace

import golden

from ostiary_core.contract.documents import PolicyDocument
from ostiary_operator.compile.compiler import compile_resources
from ostiary_operator.compile.model import Compiled

DEFAULT = "ostiary-system/default"


def carried(compiled: Compiled, proxy: str) -> list[PolicyDocument]:
    config = compiled.configs[DEFAULT]
    return [config.policies[key] for key in config.entries[proxy].policies]


def test_the_tier_of_a_kept_policy_is_a_matter_of_today() -> None:
    good, broken, _ = golden.load("a-broken-edit-keeps-the-last-accepted-policy").steps
    before = compile_resources(good.resources, {})

    moved = replace(broken.resources, operator_namespace="team-a")
    moved = replace(moved, gateways=[replace(it, namespace="team-a") for it in moved.gateways])
    after = compile_resources(moved, {"team-a/default": before.configs[DEFAULT]})

    [policy] = after.configs["team-a/default"].policies.values()
    assert [it.tier for it in carried(before, "team-a/crm")] == ["owner"]
    assert policy.tier == "platform"


def test_of_several_gateways_the_newest_version_that_was_accepted_is_kept() -> None:
    good, broken, mended = golden.load("a-broken-edit-keeps-the-last-accepted-policy").steps
    old = compile_resources(good.resources, {}).configs[DEFAULT]
    new = compile_resources(mended.resources, {}).configs[DEFAULT]

    for previous in ({DEFAULT: old, "x/other": new}, {DEFAULT: new, "x/other": old}):
        after = compile_resources(broken.resources, previous)
        assert [policy.generation for policy in carried(after, "team-a/crm")] == [3]


def test_a_policy_that_is_not_targeted_any_more_leaves_the_config() -> None:
    good, *_ = golden.load("a-broken-edit-keeps-the-last-accepted-policy").steps
    before = compile_resources(good.resources, {})

    after = compile_resources(replace(good.resources, policies=[]), before.configs)

    assert after.configs[DEFAULT].policies == {}
    assert carried(after, "team-a/crm") == []
