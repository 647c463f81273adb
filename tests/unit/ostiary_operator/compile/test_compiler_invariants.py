from collections.abc import Iterator, Mapping
from dataclasses import replace

import golden_cases
import pytest
from cluster_states import NAMESPACES, OPERATOR_NAMESPACE, cluster_histories, cluster_states, is_meant_for
from hypothesis import given
from hypothesis import strategies as st

from ostiary_core.canonical import digest
from ostiary_core.contract.bundle import GatewayConfig
from ostiary_core.contract.documents import EntryDocument, PolicyDocument
from ostiary_core.policy.compiled_policy import CompiledPolicy
from ostiary_operator.api.conditions import MESSAGE_LIMIT, REASONS, ConditionType
from ostiary_operator.compile.compiler import compile_resources
from ostiary_operator.compile.model import Compiled, ObjectKey, Resources

Before = Mapping[str, GatewayConfig]


def check_configs_keep_the_contract(compiled: Compiled) -> None:
    for identity, config in compiled.configs.items():
        assert config.gateway.identity == identity
        named = {key for entry in config.entries.values() for key in entry.policies}
        assert named == set(config.policies)
        for key, policy in config.policies.items():
            assert digest(policy.canonical()) == key
            assert PolicyDocument.model_validate_json(policy.canonical()) == policy
            CompiledPolicy.build(policy)
        for name, entry in config.entries.items():
            assert entry.identity == name
            assert entry.policies == sorted(entry.policies)
            assert EntryDocument.model_validate_json(entry.canonical()) == entry


def check_no_two_entries_answer_at_one_address(compiled: Compiled) -> None:
    for config in compiled.configs.values():
        for host in (None, "a.example.com", "b.example.com"):
            addresses = [
                address
                for entry in config.entries.values()
                if host is None or not entry.hostnames or host in entry.hostnames
                if host is not None or not entry.hostnames
                for address in (entry.path, entry.endpoint)
            ]
            assert len(addresses) == len(set(addresses))


def check_prefixes_and_gateways_belong_to_their_namespaces(compiled: Compiled) -> None:
    for config in compiled.configs.values():
        for entry in config.entries.values():
            owner = entry.path.split("/")[1]
            assert owner == entry.namespace or owner not in NAMESPACES
            assert config.gateway.namespace in (OPERATOR_NAMESPACE, entry.namespace)


def check_policies_reach_only_where_they_may(compiled: Compiled) -> None:
    for config in compiled.configs.values():
        for entry in config.entries.values():
            for policy in (config.policies[key] for key in entry.policies):
                assert policy.namespace in (OPERATOR_NAMESPACE, entry.namespace)
                assert policy.tier == ("platform" if policy.namespace == OPERATOR_NAMESPACE else "owner")


def check_statuses_are_complete(compiled: Compiled, resources: Resources) -> None:
    declared = (*resources.proxies, *resources.policies, *resources.locks)
    assert len(compiled.statuses) == len(declared)
    for key, status in compiled.statuses.items():
        assert [condition.type for condition in status.conditions] == ["Accepted", "ResolvedRefs"]
        for condition in status.conditions:
            assert condition.reason in list(REASONS[ConditionType(condition.type)])
            assert f"{key.kind} {key.namespace}/{key.name}" in condition.message
            assert len(condition.message) <= MESSAGE_LIMIT
        for gateway, digests in status.expected.items():
            entries = compiled.configs[gateway].entries
            assert all(digest(entries[name].canonical()) == expected for name, expected in digests.items())


def check_what_is_accepted_and_resolved_is_served(compiled: Compiled) -> None:
    for key, status in compiled.statuses.items():
        good = all(condition.status == "True" for condition in status.conditions)
        if key.kind != "MCPProxy" or not good or status.too_large:
            continue
        assert status.expected
        assert status.urls
        assert not status.serves_last_accepted
        for gateway in status.expected:
            entry = compiled.configs[gateway].entries[f"{key.namespace}/{key.name}"]
            assert entry.generation == status.generation


def governed(configs: Before) -> Iterator[tuple[str, str, str]]:
    """(gateway, proxy, uid of a policy in force there)."""
    for identity, config in configs.items():
        for name, entry in config.entries.items():
            yield from ((identity, name, config.policies[key].uid) for key in entry.policies)


def check_an_unusable_policy_never_opens(compiled: Compiled, before: Before) -> None:
    policies = {status.uid: status for key, status in compiled.statuses.items() if key.kind == "MCPPolicy"}
    for gateway, name, uid in governed(before):
        if uid not in policies or gateway not in compiled.configs:
            continue
        entry = compiled.configs[gateway].entries.get(name)
        if policies[uid].conditions[0].status == "True" or entry is None:
            continue
        carried = {compiled.configs[gateway].policies[key].uid for key in entry.policies}
        assert uid in carried or entry.invalid


def check_what_a_policy_means_is_governed_or_closed(compiled: Compiled, resources: Resources) -> None:
    for policy in resources.policies:
        metadata = policy["metadata"]
        status = compiled.statuses[ObjectKey("MCPPolicy", metadata["namespace"], metadata["name"])]
        if status.too_large:
            continue
        for proxy in (proxy for proxy in resources.proxies if is_meant_for(policy, proxy)):
            identity = f"{proxy['metadata']['namespace']}/{proxy['metadata']['name']}"
            for config in (config for config in compiled.configs.values() if identity in config.entries):
                entry = config.entries[identity]
                carried = {config.policies[key].uid for key in entry.policies}
                assert metadata["uid"] in carried or entry.invalid


def check(compiled: Compiled, before: Before, resources: Resources) -> None:
    check_configs_keep_the_contract(compiled)
    check_no_two_entries_answer_at_one_address(compiled)
    check_prefixes_and_gateways_belong_to_their_namespaces(compiled)
    check_policies_reach_only_where_they_may(compiled)
    check_statuses_are_complete(compiled, resources)
    check_what_is_accepted_and_resolved_is_served(compiled)
    check_an_unusable_policy_never_opens(compiled, before)


@given(cluster_histories(), st.sampled_from([600, 10_000]))
def test_whatever_happens_the_invariants_hold(history: list[Resources], budget: int) -> None:
    before: Before = {}
    for resources in history:
        compiled = compile_resources(resources, before, budget=budget)
        check(compiled, before, resources)
        check_what_a_policy_means_is_governed_or_closed(compiled, resources)
        before = compiled.configs


@pytest.mark.parametrize("name", golden_cases.names())
def test_the_invariants_hold_in_every_golden_case(name: str) -> None:
    case = golden_cases.load(name)
    before: Before = {}
    for step in case.steps:
        compiled = compile_resources(step.resources, before, budget=case.budget)
        check(compiled, before, step.resources)
        before = compiled.configs


@given(cluster_states(), cluster_states(2))
def test_compiling_what_is_in_force_again_changes_nothing(first: Resources, second: Resources) -> None:
    before = compile_resources(first, {}).configs
    settled = compile_resources(second, before)

    again = compile_resources(second, settled.configs)

    assert again.configs == settled.configs


def without(resources: Resources, namespace: str) -> Resources:
    return replace(
        resources,
        proxies=[item for item in resources.proxies if item["metadata"]["namespace"] != namespace],
        policies=[item for item in resources.policies if item["metadata"]["namespace"] != namespace],
    )


def with_usable_platform_policies(resources: Resources) -> Resources:
    statuses = compile_resources(resources, {}).statuses
    refused = {key for key, status in statuses.items() if status.conditions[0].status != "True"}
    refused = {key for key in refused if key.namespace == OPERATOR_NAMESPACE}
    keys = [ObjectKey("MCPPolicy", it["metadata"]["namespace"], it["metadata"]["name"]) for it in resources.policies]
    usable = [policy for key, policy in zip(keys, resources.policies, strict=True) if key not in refused]
    return replace(resources, policies=usable)


@given(cluster_histories(), st.sampled_from([600, 10_000]))
def test_in_multi_tenancy_no_namespace_changes_the_config_of_another(history: list[Resources], budget: int) -> None:
    together: Before = {}
    alone: Before = {}
    for step in history:
        resources = replace(step, gateways=[replace(it, settings="tenancy: Multi") for it in step.gateways])
        # A broken platform policy holds its last version, which some tenant's entry must have carried: that one thing
        # depends on which objects existed before.
        resources = with_usable_platform_policies(resources)
        together = compile_resources(resources, together, budget=budget).configs
        alone = compile_resources(without(resources, "team-b"), alone, budget=budget).configs

        for identity, config in alone.items():
            mine = {name: it for name, it in together[identity].entries.items() if it.namespace != "team-b"}
            assert mine == config.entries
