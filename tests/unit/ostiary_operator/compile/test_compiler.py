"""The compiler as a whole: its golden cases, and that order never changes a byte."""

from collections.abc import Mapping
from typing import Any

import golden_cases
import pytest
from cluster_states import cluster_histories
from hypothesis import given
from hypothesis import strategies as st
from shuffled_resources import compiled_bytes, shuffled, shuffled_configs

from ostiary_core.contract.bundle import GatewayConfig
from ostiary_operator.compile.compiler import compile_resources
from ostiary_operator.compile.model import Resources


@pytest.mark.parametrize("name", golden_cases.names())
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_order_of_a_golden_case_never_changes_a_byte(name: str, seed: int) -> None:
    case = golden_cases.load(name)
    previous: Mapping[str, GatewayConfig] = {}

    for step in case.steps:
        expected = compile_resources(step.resources, previous, budget=case.budget)
        again = compile_resources(shuffled(step.resources, seed), shuffled_configs(previous, seed), budget=case.budget)
        assert compiled_bytes(again) == compiled_bytes(expected)
        previous = expected.configs


@given(cluster_histories(), st.integers(0, 1000), st.sampled_from([600, 10_000]))
def test_the_order_of_any_history_never_changes_a_byte(history: list[Resources], seed: int, budget: int) -> None:
    previous: Mapping[str, GatewayConfig] = {}

    for resources in history:
        expected = compile_resources(resources, previous, budget=budget)
        again = compile_resources(shuffled(resources, seed), shuffled_configs(previous, seed), budget=budget)
        assert compiled_bytes(again) == compiled_bytes(expected)
        previous = expected.configs


@pytest.mark.parametrize("name", golden_cases.names())
def test_the_compiler_gives_the_output_of_the_golden_case(name: str, update_golden: bool) -> None:
    case = golden_cases.load(name)
    previous: Mapping[str, GatewayConfig] = {}

    for step in case.steps:
        compiled = compile_resources(step.resources, previous, budget=case.budget)
        said: Any = golden_cases.render(compiled, case.ask, aside=case.aside)
        if update_golden:
            step.out.write_text(said)
        assert said == step.out.read_text()
        previous = compiled.configs
