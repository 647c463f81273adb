"""The page of all proxies: what it counts, finds and leaves out for a viewer."""

import html
from pathlib import Path
from typing import Any

import pytest
from console_scene import SceneEvidence, SceneObjects, console_of
from console_viewers import EVERYTHING, OnlyRights, tenant

from ostiary_core.evidence.proxy_traffic import ProxyTraffic
from ostiary_operator.console.access.rights import Right
from ostiary_operator.view.evidence.gathered import Gathered, ProblemKind, ReplicaProblem

PROXY = """\
apiVersion: ostiary.dev/v1alpha1
kind: MCPProxy
metadata: {{name: {name}, namespace: {namespace}}}
spec: {{servers: [{{name: s, url: "http://s.{namespace}.svc:8080/mcp"}}]}}
---
"""


def _status(*, ready: bool = True, url: str = "", policies: int = 0) -> dict[str, Any]:
    reason, status = ("Ready", "True") if ready else ("NoReplicas", "False")
    message = "" if ready else "no replica is ready"
    return {
        "url": url,
        "conditions": [
            {"type": each, "status": status, "reason": reason, "message": message, "observedGeneration": 1}
            for each in ("Accepted", "ResolvedRefs", "Programmed", "Ready")
        ],
        "policies": [{"namespace": "team-a", "name": f"p{number}"} for number in range(policies)],
        "policyCount": policies,
    }


def _objects(folder: Path, *names: str, **statuses: dict[str, Any]) -> SceneObjects:
    pairs = [name.split("/") for name in names]
    text = "".join(PROXY.format(namespace=namespace, name=name) for namespace, name in pairs)
    known = {name: statuses.get(name.replace("/", "_").replace("-", "_"), _status()) for name in names}
    return SceneObjects(folder, text, known)


def _used(*proxies: str, **members: Any) -> Gathered[dict[str, ProxyTraffic]]:
    window = {"at": 0, "calls": 12, "errors": 3, "denied": 2}
    traffic = {name: ProxyTraffic.model_validate({"proxy": name, "since": 1, "total": window}) for name in proxies}
    return Gathered(traffic, **{"asked": 1, "answered": 1, "since": 1, **members})


async def _twin(
    objects: SceneObjects, query: str = "", rights: OnlyRights = EVERYTHING, evidence: SceneEvidence | None = None
) -> dict[str, Any]:
    async with console_of(objects, evidence or SceneEvidence(), rights) as client:
        response = await client.get(f"/index.json{query}")
        found: dict[str, Any] = await response.json()
        assert response.status == 200, found
        return found


def _names(twin: dict[str, Any]) -> list[str]:
    return [each["identity"] for each in twin["proxies"]["rows"]]


async def test_a_proxy_that_is_not_ready_says_why_and_is_counted(tmp_path: Path) -> None:
    objects = _objects(tmp_path, "team-a/crm", "team-a/erp", team_a_erp=_status(ready=False))
    twin = await _twin(objects)
    assert (twin["total"], twin["notReady"]) == (2, 1)
    erp = twin["proxies"]["rows"][1]
    assert (erp["ready"], erp["reason"], erp["message"]) == ("False", "NoReplicas", "no replica is ready")
    assert _names(await _twin(objects, "?ready=NotReady")) == ["team-a/erp"]
    assert _names(await _twin(objects, "?ready=Ready")) == ["team-a/crm"]


async def test_calls_and_errors_are_those_of_the_last_quarter_of_an_hour(tmp_path: Path) -> None:
    evidence = SceneEvidence(used=_used("team-a/crm"))
    objects = _objects(tmp_path, "team-a/crm", "team-a/idle")
    rows = (await _twin(objects, evidence=evidence))["proxies"]["rows"]
    assert rows[0]["recent"] == {"calls": 12, "errors": 3, "denied": 2}
    assert rows[1]["recent"] == {"calls": 0, "errors": 0, "denied": 0}


async def test_without_an_answer_of_a_replica_traffic_is_not_known_rather_than_none(tmp_path: Path) -> None:
    problem = ReplicaProblem("p/g", "gw-1", ProblemKind.UNREACHABLE, "it took too long")
    evidence = SceneEvidence(used=Gathered({}, asked=1, problems=(problem,)))
    twin = await _twin(_objects(tmp_path, "team-a/crm"), evidence=evidence)
    assert twin["proxies"]["rows"][0]["recent"] is None
    assert twin["missing"] == "0 of 1 replicas answered; gw-1: it took too long"


async def test_a_partial_answer_is_shown_with_who_is_missing(tmp_path: Path) -> None:
    problem = ReplicaProblem("p/g", "gw-2", ProblemKind.UNREACHABLE, "it took too long")
    used = _used("team-a/crm", asked=2, problems=(problem,))
    async with console_of(_objects(tmp_path, "team-a/crm"), SceneEvidence(used=used)) as client:
        page = await (await client.get("/")).text()
    assert "1 of 2 replicas answered; gw-2: it took too long" in page
    assert ">12</a>" in page


async def test_traffic_needs_a_right_of_its_own(tmp_path: Path) -> None:
    evidence = SceneEvidence(used=_used("team-a/crm"))
    rights = tenant("team-a", Right.PROXY)
    assert (await _twin(_objects(tmp_path, "team-a/crm"), "", rights, evidence))["proxies"]["rows"][0]["recent"] is None


@pytest.mark.parametrize("query", ["", "?q=secret", "?namespace=team-b", "?ready=NotReady", "?page=2"])
async def test_a_tenant_learns_nothing_of_another_one(tmp_path: Path, query: str) -> None:
    objects = _objects(tmp_path, "team-a/crm", "team-b/secret", team_b_secret=_status(ready=False))
    evidence = SceneEvidence(used=_used("team-b/secret"))
    twin = await _twin(objects, query, tenant("team-a"), evidence)
    assert (twin["total"], twin["notReady"], twin["namespaces"]) == (1, 0, ["team-a"])
    async with console_of(objects, evidence, tenant("team-a")) as client:
        page = await (await client.get(f"/{query}")).text()
    assert "team-b/secret" not in page


@pytest.mark.parametrize(
    ("query", "found"),
    [("?q=CRM", ["team-a/crm"]), ("?q=team-a+mcp.example", ["team-a/crm"]), ("?namespace=team-b", ["team-b/erp"])],
)
async def test_search_runs_over_names_and_urls(tmp_path: Path, query: str, found: list[str]) -> None:
    status = _status(url="https://mcp.example.com/crm/mcp")
    assert _names(await _twin(_objects(tmp_path, "team-a/crm", "team-b/erp", team_a_crm=status), query)) == found


async def test_an_empty_page_says_which_it_is(tmp_path: Path) -> None:
    objects = _objects(tmp_path, "team-a/crm")
    assert (await _twin(objects, "?q=zzz"))["empty"]["reason"] == "FilteredOut"
    nothing = await _twin(objects, rights=tenant("team-z"))
    assert nothing["empty"]["reason"] == "NoObjects"


async def test_long_lists_have_pages_that_keep_the_filter(tmp_path: Path) -> None:
    objects = _objects(tmp_path, *(f"team-a/p{number:03}" for number in range(120)))
    twin = await _twin(objects, "?page=3&q=team-a")
    assert (len(twin["proxies"]["rows"]), twin["proxies"]["last"], twin["proxies"]["total"]) == (20, 3, 120)
    async with console_of(objects, SceneEvidence()) as client:
        page = html.unescape(await (await client.get("/?q=team-a")).text())
    assert 'href="/?q=team-a&page=2"' in page


async def test_many_policies_are_counted(tmp_path: Path) -> None:
    objects = _objects(tmp_path, "team-a/crm", team_a_crm=_status(policies=300))
    async with console_of(objects, SceneEvidence()) as client:
        assert "p0, p1, p2 and 297 more" in await (await client.get("/")).text()
