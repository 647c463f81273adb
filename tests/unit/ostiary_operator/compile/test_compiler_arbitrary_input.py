"""Whatever a resource contains, the compiler returns a status and never fails."""

import copy
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import golden_cases
import pytest
from hypothesis import given
from hypothesis import strategies as st
from shuffled_resources import compiled_bytes

from ostiary_core.contract.bounds import BoundsConfig
from ostiary_core.contract.bundle import GatewayConfig
from ostiary_core.contract.documents import (
    EntryDocument,
    PolicyDocument,
    ServerConfig,
    SettingsDocument,
    TimeoutsConfig,
)
from ostiary_core.contract.manifest import GatewayIdentity
from ostiary_core.contract.server_resilience import EndpointConfig
from ostiary_operator.compile.compiler import compile_resources
from ostiary_operator.compile.inputs import services_from_objects
from ostiary_operator.compile.model import Compiled, DiscoveredGateway, ObjectKey, Resources

NUMBERS: list[Any] = [0, -1, 2**70, 1.5, float("nan"), True]
JUNK = st.sampled_from([None, "", "x", "\ud800", "\x00", "*" * 600, [], {}, [None], {"a": None}, {5: 6}, *NUMBERS])
BROKEN = ["[", "a: b: c", "5", "null", "tenancy:", "---\n{}\n---\n{}", "&a [*a]"]
CASES = [
    "ca-certificates-are-carried-inline",
    "a-platform-policy-selects-namespaces-by-label",
    "the-catalogue-hides-what-policies-would-allow",
    "a-lock-becomes-digests-of-definitions",
    "urls-follow-external-url-and-hostnames",
    "an-allow-without-the-prefix-of-a-server-is-reported",
    "routing-rules-reach-the-gateway-in-their-order",
    "what-merged-servers-say-and-keep-is-written-out",
    "what-happens-when-a-server-fails-is-written-out",
    "endpoints-of-a-service-are-observed-by-the-name-of-its-port",
]


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield path
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, child in children:
        yield from places(child, (*path, key))


def put(value: Any, path: tuple[Any, ...], junk: Any) -> None:
    for step in path[:-1]:
        value = value[step]
    value[path[-1]] = junk


@given(st.data(), st.sampled_from(CASES), JUNK)
def test_junk_in_any_place_of_a_resource_is_answered(data: st.DataObject, name: str, junk: Any) -> None:
    resources = golden_cases.load(name).steps[0].resources
    before = compile_resources(resources, {}).configs
    objects: list[Any] = copy.deepcopy([*resources.proxies, *resources.policies, *resources.locks])
    count = len(resources.proxies)
    path = data.draw(st.sampled_from([p for p in places(objects) if len(p) > 1]))
    put(objects, path, junk)

    last = count + len(resources.policies)
    broken = replace(resources, proxies=objects[:count], policies=objects[count:last], locks=objects[last:])

    for previous in ({}, before):
        compiled = compile_resources(broken, previous)
        compiled_bytes(compiled)
        assert all(
            condition.message.encode() for status in compiled.statuses.values() for condition in status.conditions
        )


@given(st.text(max_size=200) | st.sampled_from(BROKEN))
def test_junk_in_settings_leaves_the_last_good_ones(text: str) -> None:
    resources = golden_cases.load("the-default-path-is-namespace-and-name").steps[0].resources
    before = compile_resources(resources, {})

    broken = replace(resources, gateways=[replace(resources.gateways[0], settings=text)])
    after = compile_resources(broken, before.configs)

    assert after.configs["ostiary-system/default"].entries == before.configs["ostiary-system/default"].entries


def accepted(compiled: Compiled, key: ObjectKey) -> tuple[str, str]:
    condition = compiled.statuses[key].conditions[0]
    return condition.reason, condition.message


def test_text_that_is_not_unicode_is_invalid() -> None:
    resources = golden_cases.load("list-and-call-of-one-literal-allows-exactly-that-one").steps[0].resources
    [policy] = copy.deepcopy(list(resources.policies))
    policy["spec"]["access"]["rules"][0]["tools"]["names"] = ["\ud800"]

    reason, message = accepted(
        compile_resources(replace(resources, policies=[policy]), {}), ObjectKey("MCPPolicy", "team-a", "weather")
    )

    assert reason == "Invalid"
    assert "spec.access.rules[0].tools.names[0]" in message


def test_what_is_not_even_named_gets_a_status() -> None:
    resources = Resources("sys", proxies=[{}], policies=[{"metadata": 5, "spec": []}])

    compiled = compile_resources(resources, {})

    assert accepted(compiled, ObjectKey("MCPProxy", "default", ""))[0] == "Invalid"
    assert accepted(compiled, ObjectKey("MCPPolicy", "default", ""))[0] == "Invalid"


@pytest.mark.parametrize("name", ["Default", "a.b", "", "x" * 64])
def test_a_gateway_whose_name_is_no_dns_label_serves_nothing(name: str) -> None:
    compiled = compile_resources(Resources("sys", gateways=[DiscoveredGateway("sys", name, "svc", "u", "")]), {})

    assert compiled.configs == {}
    assert "DNS label" in compiled.problems[0].message


@pytest.mark.parametrize("spec", [5, None, [], {"targetRefs": 5}, {"targetRefs": [5]}, {"targetSelector": None}])
def test_a_policy_that_may_mean_anything_closes_its_whole_namespace(spec: Any) -> None:
    resources = golden_cases.load("a-selector-reaches-its-own-namespace-only").steps[0].resources
    policy = {"metadata": {"name": "broken", "namespace": "team-a"}, "spec": spec}

    config = compile_resources(replace(resources, policies=[policy]), {}).configs["ostiary-system/default"]

    assert {name for name, entry in config.entries.items() if entry.invalid} == {"team-a/crm", "team-a/erp"}


def test_an_entry_that_a_gateway_should_never_have_had_is_not_kept() -> None:
    case = golden_cases.load("an-invalid-edit-keeps-the-last-accepted-version")
    before = compile_resources(case.steps[0].resources, {}).configs["ostiary-system/default"]
    foreign = DiscoveredGateway("team-b", "edge", "edge", "u", "")
    identity = GatewayIdentity(namespace="team-b", name="edge")

    resources = replace(case.steps[1].resources, gateways=[foreign])
    compiled = compile_resources(resources, {"team-b/edge": replace(before, gateway=identity)})

    assert compiled.configs["team-b/edge"].entries == {}


def test_a_previous_config_that_lost_a_policy_closes_what_named_it() -> None:
    server = ServerConfig(name="s", url="http://s", timeouts=TimeoutsConfig(connect=1, request=1, idle=1))
    entry = EntryDocument(
        namespace="team-a", name="crm", uid="u", generation=1, path="/team-a/crm", servers=[server], policies=["0" * 64]
    )
    bounds = BoundsConfig(request_bytes=1, message_bytes=1, requests_in_flight=1, streams=1, session_max_age=1)
    identity = GatewayIdentity(namespace="sys", name="gw")
    previous = {"sys/gw": GatewayConfig(identity, SettingsDocument(bounds=bounds), {"team-a/crm": entry})}
    proxy = {
        "metadata": {"name": "crm", "namespace": "team-a", "uid": "u"},
        "spec": {"servers": [{"name": "s", "url": "http://s" + "x" * 200}]},
    }
    resources = Resources("sys", proxies=[proxy], gateways=[DiscoveredGateway("sys", "gw", "svc", "u", "")])

    config = compile_resources(resources, previous, budget=100).configs["sys/gw"]

    assert config.entries["team-a/crm"].invalid
    assert config.entries["team-a/crm"].policies == []


@pytest.mark.parametrize("address", ["", "[", "]", "a:b]", "fe80::1%lo", "a/b", "a@b", "x" * 300, "::"])
def test_an_accepted_endpoint_that_is_no_address_stops_no_other_proxy(address: str) -> None:
    case = golden_cases.load("what-happens-when-a-server-fails-is-written-out")
    before = compile_resources(case.steps[0].resources, {}).configs["ostiary-system/default"]
    entry = before.entries["sales/defaults"]
    [server] = entry.servers
    odd = server.model_copy(update={"endpoints": [EndpointConfig(address=address, port=1)]})
    entries = {**before.entries, "sales/defaults": entry.model_copy(update={"servers": [odd]})}
    proxies = copy.deepcopy(list(case.steps[0].resources.proxies))
    next(each for each in proxies if each["metadata"]["name"] == "defaults")["spec"]["servers"] = []

    compiled = compile_resources(
        replace(case.steps[0].resources, proxies=proxies),
        {"ostiary-system/default": replace(before, entries=entries)},
    )

    assert "sales/everything" in compiled.configs["ostiary-system/default"].entries
    assert accepted(compiled, ObjectKey("MCPProxy", "sales", "defaults"))[0] == "Invalid"


@given(st.lists(st.dictionaries(st.sampled_from(["port", "name", "protocol", "targetPort"]), JUNK), max_size=3) | JUNK)
def test_junk_in_the_ports_of_a_service_is_no_port(ports: Any) -> None:
    service = {"metadata": {"name": "crm", "namespace": "sales"}, "spec": {"selector": {"a": "b"}, "ports": ports}}
    resources = golden_cases.load("endpoints-of-a-service-are-observed-by-the-name-of-its-port").steps[0].resources

    compiled_bytes(compile_resources(replace(resources, services=services_from_objects([service], [])), {}))


def test_an_accepted_policy_whose_targets_are_no_longer_understood_reaches_everything() -> None:
    case = golden_cases.load("a-broken-edit-keeps-the-last-accepted-policy")
    before = compile_resources(case.steps[0].resources, {}).configs["ostiary-system/default"]
    [document] = before.policies.values()
    newer: PolicyDocument = document.model_copy(update={"source": '{"targetExpression": "x"}'})
    previous = {"ostiary-system/default": replace(before, policies={"d": newer})}

    after = compile_resources(case.steps[1].resources, previous).configs["ostiary-system/default"]

    assert [after.policies[key].uid for key in after.entries["team-a/crm"].policies] == [document.uid]
