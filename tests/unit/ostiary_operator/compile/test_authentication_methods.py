"""API keys of a policy whose Secrets may not be read, or whose namespace is over its budget."""

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from operator_objects import SYSTEM, policy, proxy, service

from ostiary_core.contract.bundle import GatewayConfig
from ostiary_operator.compile.compiler import compile_resources
from ostiary_operator.compile.inputs import resources_from_objects
from ostiary_operator.compile.model import Compiled, ConditionDraft, Missing, ObjectKey, Resources

GATEWAY = f"{SYSTEM}/default"
POLICY = ObjectKey("MCPPolicy", "tools", "known-agents")
OLD, NEW = "old-example-key-01", "new-example-key-01"


def resources(*keys: str, **spec: Any) -> Resources:
    authentication: dict[str, Any] = {"apiKey": {"selector": {}}}
    objects = [
        {"kind": "Service", **service()},
        proxy("crm"),
        policy("known-agents", "crm", authentication=authentication, **spec),
    ]
    for number, key in enumerate(keys):
        metadata = {"name": f"agent-{number}", "namespace": "tools", "labels": {"ostiary.dev/usage": "api-key"}}
        objects.append({"kind": "Secret", "metadata": metadata, "stringData": {"key": key}})
    return resources_from_objects(objects, SYSTEM)


def forbidden() -> Resources:
    return replace(resources(), api_keys={"tools": Missing.FORBIDDEN})


def keys(compiled: Compiled) -> list[str]:
    """The digests that the gateway gets."""
    (document,) = compiled.configs[GATEWAY].policies.values()
    assert document.authentication is not None
    assert document.authentication.api_keys is not None
    return [key.digest for key in document.authentication.api_keys.keys]


def resolved(compiled: Compiled) -> ConditionDraft:
    return next(each for each in compiled.statuses[POLICY].conditions if each.type == "ResolvedRefs")


def is_closed(configs: Mapping[str, GatewayConfig]) -> bool:
    return configs[GATEWAY].entries["tools/crm"].invalid


def sha256(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()


def test_without_the_right_to_list_secrets_a_new_policy_closes_its_proxy_and_says_why() -> None:
    compiled = compile_resources(forbidden(), {})
    assert is_closed(compiled.configs)
    assert (resolved(compiled).status, resolved(compiled).reason) == ("False", "NotPermitted")
    assert "may not list the Secrets of the namespace tools" in resolved(compiled).message
    assert "every call is refused at MCPProxy tools/crm" in resolved(compiled).message


def test_without_the_right_to_list_secrets_the_last_accepted_version_stays_with_its_keys() -> None:
    before = compile_resources(resources(OLD), {})
    compiled = compile_resources(forbidden(), before.configs)
    assert keys(compiled) == [sha256(OLD)]
    assert not is_closed(compiled.configs)
    assert resolved(compiled).reason == "NotPermitted"
    assert "The last accepted version (generation 1) stays in force" in resolved(compiled).message
    assert compiled.statuses[POLICY].serves_last_accepted


def test_a_policy_whose_keys_no_one_has_read_is_treated_like_one_that_may_not_be_read() -> None:
    assert is_closed(compile_resources(replace(resources(OLD), api_keys={}), {}).configs)


def test_the_last_key_can_be_removed() -> None:
    before = compile_resources(resources(OLD), {})
    compiled = compile_resources(resources(), before.configs)
    assert keys(compiled) == []
    assert resolved(compiled).reason == "RefNotFound"
    assert not compiled.statuses[POLICY].serves_last_accepted


def test_a_key_that_is_removed_is_refused_although_the_namespace_is_over_its_budget() -> None:
    before = compile_resources(resources(OLD, NEW), {})
    wide = {"rules": [{"name": f"r{number}", "effect": "Allow"} for number in range(200)]}
    compiled = compile_resources(resources(NEW, access=wide), before.configs, budget=2_000)
    assert compiled.statuses[POLICY].too_large
    assert keys(compiled) == [sha256(NEW)]


def test_a_key_that_is_added_over_the_budget_waits() -> None:
    before = compile_resources(resources(OLD), {})
    wide = {"rules": [{"name": f"r{number}", "effect": "Allow"} for number in range(200)]}
    compiled = compile_resources(resources(OLD, NEW, access=wide), before.configs, budget=2_000)
    assert keys(compiled) == [sha256(OLD)]


def test_no_key_is_in_the_input_of_the_compiler_nor_in_its_output() -> None:
    given = resources(OLD, "short-key", f"{NEW} ")
    compiled = compile_resources(given, {})
    seen = repr(given) + repr(compiled)
    assert not any(key in seen for key in (OLD, "short-key", NEW))


def test_a_policy_whose_selector_finds_no_secret_names_every_label_that_the_secret_needs() -> None:
    chosen = policy("known-agents", "crm", authentication={"apiKey": {"selector": {"matchLabels": {"app": "crm"}}}})
    secret = {"name": "agent", "namespace": "tools", "labels": {"ostiary.dev/usage": "api-key", "app": "cms"}}
    objects = [
        {"kind": "Service", **service()},
        proxy("crm"),
        chosen,
        {"kind": "Secret", "metadata": secret, "stringData": {"key": OLD}},
    ]
    found = resolved(compile_resources(resources_from_objects(objects, SYSTEM), {}))
    assert found.reason == "RefNotFound"
    assert "no Secret of the namespace tools has ostiary.dev/usage=api-key and app=crm" in found.message
