"""What a limit counts, as gateways get it: uses of what it names, and lists only where it says so."""

from pathlib import Path
from typing import Any

import pytest

from ostiary_core.contract.access import SelectionConfig
from ostiary_core.mcp.methods import Verb
from ostiary_operator.api.limits import Limit
from ostiary_operator.api.loop_detection import LoopDetection
from ostiary_operator.cli import main
from ostiary_operator.compile.limit_weakenings import limits_loosened
from ostiary_operator.compile.limits import limit_configs, loop_config

LIMIT: dict[str, Any] = {"name": "l", "requests": 1, "window": "1m"}


def compiled(**members: Any) -> Any:
    found = limit_configs([Limit.model_validate(LIMIT | members)])
    assert found is not None
    return found[0]


@pytest.mark.parametrize(
    ("primitive", "uses"),
    [("tools", [Verb.CALL]), ("resources", [Verb.READ, Verb.SUBSCRIBE]), ("prompts", [Verb.GET])],
)
def test_a_limit_without_verbs_counts_uses_and_no_lists(primitive: str, uses: list[Verb]) -> None:
    for selection in ({}, {"names": ["*"]}):
        assert getattr(compiled(**{primitive: selection}), primitive).verbs == uses


def test_a_limit_counts_lists_where_its_verbs_say_so() -> None:
    assert compiled(tools={"verbs": ["Call", "List"]}).tools.verbs == [Verb.CALL, Verb.LIST]


def test_a_limit_that_selects_nothing_stays_one_of_every_request() -> None:
    limit = compiled()
    assert (limit.tools, limit.resources, limit.prompts) == (None, None, None)


def test_the_cost_of_tools_is_that_of_their_calls() -> None:
    weights = compiled(requests=None, cost={"budget": 9, "weights": [{"units": 2}, {"tools": {}, "units": 3}]}).weights
    assert [each.tools for each in weights] == [SelectionConfig(verbs=[Verb.CALL])] * 2


def test_a_limit_that_no_longer_counts_lists_is_looser() -> None:
    lists, calls = (compiled(tools=each) for each in ({"verbs": ["Call", "List"]}, {}))
    assert list(limits_loosened([calls], [compiled(tools={"verbs": ["Call"]})])) == []
    (found,) = limits_loosened([lists], [calls])
    assert found[2:] == ("counts Call, List of tools *", "counts Call of tools *")


def test_loops_are_made_of_calls() -> None:
    detection = loop_config(LoopDetection.model_validate({"repeats": 2, "action": "Deny", "tools": {"names": ["a"]}}))
    assert detection is not None
    assert detection.tools == SelectionConfig(verbs=[Verb.CALL], names=["a"])


def test_a_time_zone_that_does_not_exist_is_named_with_its_field(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "policy.yaml"
    limit = "{name: l, requests: 1, period: Day, timeZone: Mars/Base}"
    spec = f"{{targetRefs: [{{kind: MCPProxy, name: x}}], limits: [{limit}]}}"
    path.write_text(f"{{apiVersion: ostiary.dev/v1alpha1, kind: MCPPolicy, metadata: {{name: p}}, spec: {spec}}}")
    assert main(["validate", str(path)]) == 1
    assert "spec.limits[0].timeZone: there is no time zone 'Mars/Base'" in capsys.readouterr().out
