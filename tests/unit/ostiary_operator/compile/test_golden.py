from collections.abc import Mapping
from typing import Any

import golden_cases
import pytest

from ostiary_core.contract.bundle import GatewayConfig
from ostiary_operator.compile.compiler import compile_resources


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
