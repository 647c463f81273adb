"""`ostiary explain` names the limits that count a call, and what they are."""

from pathlib import Path

import pytest

from ostiary_operator.cli import main

FILES = """
apiVersion: ostiary.dev/v1alpha1
kind: MCPProxy
metadata: {name: weather}
spec: {servers: [{name: w, url: "http://w.example:80/mcp"}]}
---
apiVersion: ostiary.dev/v1alpha1
kind: MCPPolicy
metadata: {name: limits}
spec:
  targetRefs: [{kind: MCPProxy, name: weather}]
  limits:
  - {name: daily, tools: {names: [get_weather]}, per: [Proxy, Tool], requests: 100, period: Day}
  - {name: size, per: [Proxy], requestBytes: 64Ki}
  - {name: cost, per: [Proxy], cost: {budget: 100, weights: [{arguments: args.pages * 2}]}, window: 1m}
  - {name: one, tools: {names: [other]}, requests: 1, window: 1h}
  loopDetection: {repeats: 10, action: Slow, tools: {names: [other]}}
"""


def explained(tmp_path: Path, capsys: pytest.CaptureFixture[str], *more: str) -> list[str]:
    path = tmp_path / "all.yaml"
    path.write_text(FILES)
    assert main(["explain", str(path), *more]) == 0
    lines = capsys.readouterr().out.splitlines()
    return [line.strip() for line in lines[lines.index("limits") + 1 :]]


def test_the_limits_that_count_a_call_are_named_with_what_they_allow_and_what_it_takes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert explained(tmp_path, capsys, "--tool", "get_weather", "--args", '{"pages": 4}') == [
        "cost of MCPPolicy default/limits: 100 cost per 1m; takes 8, counted by Proxy default/weather",
        "daily of MCPPolicy default/limits: 100 requests per Day; counted by Proxy default/weather, Tool get_weather",
        "size of MCPPolicy default/limits: requests of 64Ki; counted by each message",
    ]


def test_limits_that_do_not_count_a_call_are_not_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    names = [line.partition(" ")[0] for line in explained(tmp_path, capsys, "--tool", "other")]
    assert names == ["cost", "one", "size", "loopDetection"]


def test_loop_detection_that_watches_a_call_is_named_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _, one, _, loops = explained(tmp_path, capsys, "--tool", "other")
    assert one == "one of MCPPolicy default/limits: 1 request per 1h; counted by Principal anonymous"
    assert loops == (
        "loopDetection of MCPPolicy default/limits: Slow from equal call 10 within 1m on; "
        "counted by the caller and the arguments"
    )
