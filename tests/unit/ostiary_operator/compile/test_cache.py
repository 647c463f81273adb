import copy
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import golden_cases
from cluster_states import cluster_histories
from hypothesis import given
from shuffled_resources import compiled_bytes

from ostiary_core.contract.bundle import GatewayConfig
from ostiary_operator.compile.cache import Cache
from ostiary_operator.compile.compiler import compile_resources
from ostiary_operator.compile.model import ObjectKey, Resources
from ostiary_operator.compile.references import wanted


@given(cluster_histories())
def test_the_outcome_never_depends_on_the_cache(history: list[Resources]) -> None:
    previous: Mapping[str, GatewayConfig] = {}
    cache = Cache()

    for resources in history:
        assert wanted(resources.proxies, resources.policies, cache) == wanted(resources.proxies, resources.policies)
        cached = compile_resources(resources, previous, cache=cache)
        plain = compile_resources(resources, previous)
        assert compiled_bytes(cached) == compiled_bytes(plain)
        previous = plain.configs


def test_one_cache_may_serve_every_golden_case() -> None:
    cache = Cache()

    for name in golden_cases.names():
        case = golden_cases.load(name)
        previous: Mapping[str, GatewayConfig] = {}
        for step in case.steps:
            cached = compile_resources(step.resources, previous, cache=cache, budget=case.budget)
            assert compiled_bytes(cached) == compiled_bytes(
                compile_resources(step.resources, previous, budget=case.budget)
            )
            previous = cached.configs


def test_an_object_that_was_changed_in_place_is_seen_as_changed() -> None:
    cache = Cache()
    [step] = golden_cases.load("the-default-path-is-namespace-and-name").steps
    proxies: list[Any] = copy.deepcopy(list(step.resources.proxies))
    resources = replace(step.resources, proxies=proxies)
    compile_resources(resources, {}, cache=cache)

    proxies[0]["spec"]["path"] = "/elsewhere"  # the same uid and generation, as in an edited file

    config = compile_resources(resources, {}, cache=cache).configs["ostiary-system/default"]
    assert config.entries["team-a/crm"].path == "/elsewhere"


def test_what_is_no_json_is_judged_each_time() -> None:
    cache = Cache()
    [step] = golden_cases.load("the-default-path-is-namespace-and-name").steps
    messages = []

    for port in (float("nan"), None):  # a serializer of JSON writes null for both
        proxies: list[Any] = copy.deepcopy(list(step.resources.proxies))
        proxies[0]["spec"]["servers"][0]["service"]["port"] = port
        compiled = compile_resources(replace(step.resources, proxies=proxies), {}, cache=cache)
        messages.append(compiled.statuses[ObjectKey("MCPProxy", "team-a", "crm")].conditions[0].message)

    assert "must be a whole number" in messages[0]
    assert "has no value" in messages[1]


def test_what_a_compilation_did_not_ask_for_is_forgotten() -> None:
    cache = Cache()
    made = []

    def make() -> str:
        made.append(1)
        return "value"

    assert cache.get("key", make) == "value"
    cache.turn()
    assert cache.get("key", make) == "value"
    cache.turn()
    cache.turn()
    assert cache.get("key", make) == "value"
    assert len(made) == 2
