"""What replicas say of definitions that no lock approves, on the page of a proxy without an operator."""

from pathlib import Path
from typing import Any

import pytest
from console_scene import SceneEvidence, SceneObjects, console_of, listing
from console_viewers import EVERYTHING, OnlyRights, tenant

from ostiary_operator.console.access.rights import Right

PROXY = """\
apiVersion: ostiary.dev/v1alpha1
kind: MCPProxy
metadata: {name: calc, namespace: team-a}
spec:
  servers: [{name: calc, url: "http://calc.team-a.svc:8080/mcp"}]
  catalogue: {pinning: Block}
"""
LOCK = """\
---
apiVersion: ostiary.dev/v1alpha1
kind: MCPLock
metadata: {name: calc, namespace: team-a}
spec:
  proxyRef: {name: calc}
  server: calc
  tools:
    - |
      name: add
      inputSchema:
        type: object
"""
DRIFT = [{"server": "calc", "primitive": "tools", "name": "add", "digest": "", "at": 1, "definition": "{}"}]


async def _twin(folder: Path, drift: list[dict[str, Any]], rights: OnlyRights = EVERYTHING) -> dict[str, Any]:
    seen = listing("team-a/calc", {"name": "calc", "tools": [{"name": "add"}]}, drift=drift)
    async with console_of(SceneObjects(folder, PROXY + LOCK, {}), SceneEvidence(listed=seen), rights) as client:
        found: dict[str, Any] = await (await client.get("/proxies/team-a/calc.json")).json()
        return found


async def test_drift_is_shown_before_an_operator_wrote_it(tmp_path: Path) -> None:
    twin = await _twin(tmp_path, DRIFT)
    assert [(each["server"], each["name"]) for each in twin["details"]["drift"]] == [("calc", "add")]
    (lock,) = twin["locks"]
    assert (lock["matches"]["status"], lock["matches"]["reason"]) == ("False", "DefinitionsChanged")
    assert lock["matches"]["remedy"]


@pytest.mark.parametrize(("drift", "status"), [([], "True"), (DRIFT, "False")])
async def test_a_lock_says_whether_definitions_match(tmp_path: Path, drift: list[dict[str, Any]], status: str) -> None:
    (lock,) = (await _twin(tmp_path, drift))["locks"]
    assert lock["matches"]["status"] == status


async def test_without_the_right_to_evidence_nothing_of_it_is_told(tmp_path: Path) -> None:
    twin = await _twin(tmp_path, DRIFT, tenant("team-a", Right.PROXY, Right.LOCK))
    assert twin["details"]["drift"] == []
    assert twin["locks"][0]["matches"]["status"] == "Unknown"
