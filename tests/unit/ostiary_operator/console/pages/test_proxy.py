"""The page of one proxy, over resources that are compiled as in a gateway."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from console_scene import PLATFORM, SceneEvidence, SceneObjects, console_of, listing, overview
from console_viewers import EVERYTHING, OnlyRights, tenant

from ostiary_operator.console.access.rights import Right
from ostiary_operator.view.evidence.gathered import ProblemKind, ReplicaProblem

FILES = """\
apiVersion: ostiary.dev/v1alpha1
kind: MCPProxy
metadata:
  name: crm
  namespace: team-a
  annotations: {ostiary.dev/source: "https://git.example/team-a/crm.yaml"}
spec:
  servers: [{name: crm, url: "http://crm.team-a.svc:8080/mcp"}]
---
apiVersion: ostiary.dev/v1alpha1
kind: MCPPolicy
metadata: {name: everywhere, namespace: ostiary-system}
spec:
  targetSelector: {}
  access: {rules: [{name: no-secrets, effect: Deny, tools: {names: ["*_secret"]}}]}
---
apiVersion: ostiary.dev/v1alpha1
kind: MCPPolicy
metadata:
  name: tickets
  namespace: team-a
  annotations: {ostiary.dev/source: "javascript:alert(1)"}
spec:
  targetRefs: [{kind: MCPProxy, name: crm}]
  authentication: {apiKey: {selector: {matchLabels: {app: crm}}}}
"""
POLICIES = [{"namespace": "ostiary-system", "name": "everywhere"}, {"namespace": "team-a", "name": "tickets"}]
URL = "https://mcp.example.com/team-a/crm/mcp"


def _condition(type_: str, status: str, reason: str, message: str = "") -> dict[str, Any]:
    return {"type": type_, "status": status, "reason": reason, "message": message, "observedGeneration": 1}


STATUS = {
    "url": URL,
    "conditions": [
        _condition("Accepted", "True", "Accepted"),
        _condition("ResolvedRefs", "True", "ResolvedRefs"),
        _condition("Programmed", "False", "NoReplicas", "no replica of gateway default is ready"),
        _condition("Ready", "False", "NoReplicas", "no replica of gateway default is ready"),
    ],
    "gateways": [{"namespace": "ostiary-system", "name": "default", "ready": 0, "desired": 2}],
    "servers": [{"name": "crm", "url": "http://crm.team-a.svc:8080/mcp", "tools": 12}],
    "drift": [{"server": "crm", "primitive": "tools", "name": "add", "field": "description", "digest": "9f"}],
    "policies": POLICIES,
    "policyCount": 2,
}
PATH = "/proxies/team-a/crm"


def _objects(folder: Path, **changes: Any) -> SceneObjects:
    return SceneObjects(folder, FILES, {"team-a/crm": {**STATUS, **changes}})


async def _page(objects: SceneObjects, rights: OnlyRights = EVERYTHING, path: str = PATH) -> tuple[int, str]:
    async with console_of(objects, SceneEvidence(), rights) as client:
        response = await client.get(path)
        return response.status, await response.text()


async def _twin(objects: SceneObjects, rights: OnlyRights = EVERYTHING) -> dict[str, Any]:
    async with console_of(objects, SceneEvidence(), rights) as client:
        found: dict[str, Any] = await (await client.get(f"{PATH}.json")).json()
        return found


async def test_a_condition_that_fails_says_what_to_do(tmp_path: Path) -> None:
    status, html = await _page(_objects(tmp_path))
    assert status == 200
    assert "<h1>team-a/crm</h1>" in html
    twin = await _twin(_objects(tmp_path))
    programmed = next(each for each in twin["details"]["conditions"] if each["type"] == "Programmed")
    assert programmed["message"] == "no replica of gateway default is ready"
    assert programmed["remedy"]
    assert programmed["remedy"].split("`")[0] in html.replace("&#39;", "'")


async def test_replicas_servers_drift_and_policies_are_shown(tmp_path: Path) -> None:
    _, html = await _page(_objects(tmp_path))
    for text in ("0 of 2", "http://crm.team-a.svc:8080/mcp", "ostiary-system/everywhere", "description", URL):
        assert text in html


async def test_only_web_addresses_are_links_to_the_source(tmp_path: Path) -> None:
    _, html = await _page(_objects(tmp_path))
    assert '<a href="https://git.example/team-a/crm.yaml" rel="noreferrer noopener">' in html
    assert not re.search(r"href=\S*javascript", html)
    assert "javascript:alert(1)" in html


async def test_clients_are_told_the_url_and_the_header_of_the_key(tmp_path: Path) -> None:
    twin = await _twin(_objects(tmp_path))
    code = twin["clients"][0]
    assert code["client"] == "Claude Code"
    assert [way["credential"] for way in code["ways"]] == ["Key"]
    assert URL in code["ways"][0]["text"]
    assert "Bearer ${CRM_KEY}" in code["ways"][0]["text"]


async def test_a_proxy_that_is_in_no_config_says_why(tmp_path: Path) -> None:
    objects = SceneObjects(tmp_path, FILES.partition("---")[0].replace("team-a/crm", "x"), {"team-a/crm": STATUS})
    objects._configs = {}
    _, html = await _page(objects)
    assert "no gateway serves it" in html


async def test_of_a_platform_policy_only_the_name_is_shown_to_a_tenant(tmp_path: Path) -> None:
    rights = tenant("team-a")
    twin = await _twin(_objects(tmp_path), rights)
    by_name = {each["identity"]: each for each in twin["policies"]}
    assert by_name["ostiary-system/everywhere"] == {
        "identity": "ostiary-system/everywhere",
        "isReadable": False,
        "ready": "",
        "reason": "",
        "mode": "",
        "source": "",
    }
    assert by_name["team-a/tickets"]["mode"] == "Enforce"


@pytest.mark.parametrize("path", [PATH, f"{PATH}.json", "/proxies/team-a/none", "/proxies/TEAM/a%00b"])
async def test_what_a_viewer_may_not_see_reads_like_what_does_not_exist(tmp_path: Path, path: str) -> None:
    status, text = await _page(_objects(tmp_path), tenant("team-b"), path)
    assert status == 404
    assert "or you may not see it" in text
    assert "mcp.example.com" not in text


async def test_locks_need_a_right_of_their_own(tmp_path: Path) -> None:
    lock = """\
---
apiVersion: ostiary.dev/v1alpha1
kind: MCPLock
metadata: {name: crm-lock, namespace: team-a}
spec: {proxyRef: {name: crm}, server: crm}
"""
    objects = SceneObjects(tmp_path, FILES + lock, {"team-a/crm": STATUS})
    assert [each["identity"] for each in (await _twin(objects))["locks"]] == ["team-a/crm-lock"]
    hidden = await _twin(objects, tenant("team-a", Right.PROXY))
    assert hidden["locks"] == []
    assert hidden["withoutLocks"]["reason"] == "NoRight"


DIGEST, OTHER = "a" * 64, "b" * 64
REJECTED = {"digest": DIGEST, "reason": "InvalidEntry", "message": "it has <no> servers"}


@pytest.mark.parametrize(
    ("entry", "state", "detail"),
    [
        ({"active": DIGEST}, "Runs", ""),
        ({"active": OTHER}, "RunsAnother", ""),
        ({"active": OTHER, "rejected": REJECTED}, "Rejected", "InvalidEntry: it has <no> servers"),
        ({"active": None}, "RunsNothing", ""),
        (None, "Unknown", ""),
    ],
)
async def test_each_replica_says_what_it_runs(
    tmp_path: Path, entry: dict[str, Any] | None, state: str, detail: str
) -> None:
    objects = _objects(tmp_path)
    objects.known = {f"{PLATFORM}/default": overview(f"{PLATFORM}/default", {"team-a/crm": DIGEST})}
    answers = listing("team-a/crm", entry=entry)
    answers = replace(answers, asked=2, problems=(ReplicaProblem("p/g", "gw-2", ProblemKind.UNREACHABLE, "too long"),))
    async with console_of(objects, SceneEvidence(listed=answers)) as client:
        replicas = (await (await client.get(f"{PATH}.json")).json())["replicas"]
        assert (await client.get(PATH)).status == 200
    assert [(each["replica"], each["state"], each["detail"]) for each in replicas] == [
        ("gw-1", state, detail),
        ("gw-2", "Unknown", "too long"),
    ]


async def test_what_replicas_run_needs_the_right_to_evidence(tmp_path: Path) -> None:
    twin = await _twin(_objects(tmp_path), tenant("team-a", Right.PROXY))
    assert twin["replicas"] == []
    assert twin["withoutReplicas"]["reason"] == "NoRight"


async def test_hostile_texts_are_shown_as_text(tmp_path: Path) -> None:
    hostile = '"><script>alert(1)</script>\u202e\x1b[31m'
    drift = [{**STATUS["drift"][0], "name": hostile, "diff": hostile * 50}]  # type: ignore[index]
    servers = [{"name": "crm", "url": f"http://x/{hostile}", "endpoints": hostile}]
    _, html = await _page(_objects(tmp_path, drift=drift, servers=servers))
    assert "<script>alert" not in html
    assert "\u202e" not in html
    assert "\x1b" not in html
