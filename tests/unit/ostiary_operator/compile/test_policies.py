from dataclasses import replace

import golden_cases
import pytest

from ostiary_core.contract.documents import PolicyDocument
from ostiary_operator.compile.compiler import compile_resources
from ostiary_operator.compile.model import Compiled

DEFAULT = "ostiary-system/default"


def carried(compiled: Compiled, proxy: str) -> list[PolicyDocument]:
    config = compiled.configs[DEFAULT]
    return [config.policies[key] for key in config.entries[proxy].policies]


def test_the_tier_of_a_kept_policy_is_a_matter_of_today() -> None:
    good, broken, _ = golden_cases.load("a-broken-edit-keeps-the-last-accepted-policy").steps
    before = compile_resources(good.resources, {})

    moved = replace(broken.resources, operator_namespace="team-a")
    moved = replace(moved, gateways=[replace(it, namespace="team-a") for it in moved.gateways])
    after = compile_resources(moved, {"team-a/default": before.configs[DEFAULT]})

    [policy] = after.configs["team-a/default"].policies.values()
    assert [it.tier for it in carried(before, "team-a/crm")] == ["owner"]
    assert policy.tier == "platform"


def test_of_several_gateways_the_newest_version_that_was_accepted_is_kept() -> None:
    good, broken, corrected = golden_cases.load("a-broken-edit-keeps-the-last-accepted-policy").steps
    old = compile_resources(good.resources, {}).configs[DEFAULT]
    new = compile_resources(corrected.resources, {}).configs[DEFAULT]

    for previous in ({DEFAULT: old, "ostiary-system/other": new}, {DEFAULT: new, "ostiary-system/other": old}):
        after = compile_resources(broken.resources, previous)
        assert [policy.generation for policy in carried(after, "team-a/crm")] == [3]


def test_what_a_tenant_signs_with_the_key_of_its_own_gateway_is_no_version_of_a_policy_of_others() -> None:
    good, broken, corrected = golden_cases.load("a-broken-edit-keeps-the-last-accepted-policy").steps
    true = compile_resources(good.resources, {}).configs[DEFAULT]
    forged = compile_resources(corrected.resources, {}).configs[DEFAULT]

    after = compile_resources(broken.resources, {DEFAULT: true, "tenant/own": forged})
    assert [policy.generation for policy in carried(after, "team-a/crm")] == [1]
    alone = compile_resources(broken.resources, {"tenant/own": forged})
    assert alone.configs[DEFAULT].entries["team-a/crm"].invalid
    own = compile_resources(broken.resources, {DEFAULT: true, "team-a/own": forged})
    assert [policy.generation for policy in carried(own, "team-a/crm")] == [3]


@pytest.mark.parametrize("namespace", ["a-first", "z-last"])
def test_of_two_versions_of_one_generation_that_of_the_shared_gateway_is_kept(namespace: str) -> None:
    # The tenant could sign any version for its own gateway; the names of namespaces must not decide.
    good, broken, _ = golden_cases.load("a-broken-edit-keeps-the-last-accepted-policy").steps
    moved = [{**each, "metadata": {**each["metadata"], "namespace": namespace}} for each in good.resources.policies]
    proxies = [{**each, "metadata": {**each["metadata"], "namespace": namespace}} for each in good.resources.proxies]
    true = compile_resources(replace(good.resources, policies=moved, proxies=proxies), {}).configs[DEFAULT]
    [(key, document)] = true.policies.items()
    forged = replace(true, policies={key: document.model_copy(update={"access": None})})
    bad = [{**each, "metadata": {**each["metadata"], "namespace": namespace}} for each in broken.resources.policies]
    after = compile_resources(
        replace(broken.resources, policies=bad, proxies=proxies), {DEFAULT: true, f"{namespace}/own": forged}
    )
    assert [policy.access for policy in carried(after, f"{namespace}/crm")] == [document.access]


@pytest.mark.parametrize(
    "claim",
    [
        {"path": "nonsense"},
        {"path": ""},
        {"url": "http://["},
        {"url": "http://a:99999/"},
        {"url": ""},
        {"host": "["},
        {"host": "a:b:c"},
    ],
    ids=str,
)
def test_a_signed_version_that_cannot_be_compiled_is_not_kept_and_blocks_no_other(
    claim: dict[str, str],
) -> None:
    good, *_ = golden_cases.load("a-broken-edit-keeps-the-last-accepted-policy").steps
    own = replace(good.resources.gateways[0], namespace="team-a", name="own", service="own", settings="tenancy: Multi")
    resources = replace(good.resources, gateways=[*good.resources.gateways, own])
    last = compile_resources(resources, {}).configs["team-a/own"]
    [(identity, entry)] = last.entries.items()
    server = entry.servers[0].model_copy(update={key: value for key, value in claim.items() if key != "path"})
    path = {"path": claim["path"]} if "path" in claim else {}
    forged = replace(last, entries={identity: entry.model_copy(update={"servers": [server], **path})})

    broken = [{**each, "spec": {**each["spec"], "path": "no path"}} for each in resources.proxies]
    after = compile_resources(replace(resources, proxies=broken), {"team-a/own": forged})
    assert after.configs["team-a/own"].entries == {}
    kept = compile_resources(replace(resources, proxies=broken), {"team-a/own": last})
    assert kept.configs["team-a/own"].entries.keys() == {identity}


def test_a_policy_that_is_not_targeted_any_more_leaves_the_config() -> None:
    good, *_ = golden_cases.load("a-broken-edit-keeps-the-last-accepted-policy").steps
    before = compile_resources(good.resources, {})

    after = compile_resources(replace(good.resources, policies=[]), before.configs)

    assert after.configs[DEFAULT].policies == {}
    assert carried(after, "team-a/crm") == []
