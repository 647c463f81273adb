"""The page that explains decisions, over policies that are compiled as in a gateway."""

import html
import json
from pathlib import Path
from typing import Any

import pytest
from console_scene import SceneEvidence, SceneObjects, console_of
from console_viewers import EVERYTHING, OnlyRights, tenant

from ostiary_core.evidence.refusals import DistinctRefusal
from ostiary_operator.console.access.rights import Right
from ostiary_operator.view.evidence.gathered import Gathered, ProblemKind, ReplicaProblem
from ostiary_operator.view.evidence.reader import ObservedRefusals

FILES = """\
apiVersion: ostiary.dev/v1alpha1
kind: MCPProxy
metadata: {name: crm, namespace: team-a}
spec: {servers: [{name: crm, url: "http://crm.team-a.svc:8080/mcp"}]}
---
apiVersion: ostiary.dev/v1alpha1
kind: MCPPolicy
metadata: {name: everywhere, namespace: ostiary-system}
spec:
  targetSelector: {}
  limits: [{name: slow, per: [Consumer], requests: 77, window: 1h}]
  access:
    rules:
    - {name: most, effect: Allow, tools: {names: ["*"]}, when: '"vip-1234" in groups'}
    - {name: no-wipe, effect: Deny, tools: {names: [wipe, "classified_*"]}}
---
apiVersion: ostiary.dev/v1alpha1
kind: MCPPolicy
metadata:
  name: tickets
  namespace: team-a
  annotations: {ostiary.dev/source: "https://git.example/team-a/tickets.yaml"}
spec:
  targetRefs: [{kind: MCPProxy, name: crm}]
  authentication: {jwt: {issuers: [{issuer: "https://idp.example", groupsClaim: [groups]}]}}
  access:
    rules:
    - {name: read, effect: Allow, tools: {names: [read, wipe]}, scopes: [tickets.read]}
"""
QUERY = "/explain.json?proxy=team-a/crm&name={name}&groups=support"


def _owner_only(text: str) -> str:
    first, _, *others = text.split("---\n")
    return "---\n".join([first, *others])


@pytest.fixture
def objects(tmp_path: Path) -> SceneObjects:
    return SceneObjects(tmp_path, FILES, {})


@pytest.fixture
def owned(tmp_path: Path) -> SceneObjects:
    return SceneObjects(tmp_path, _owner_only(FILES), {})


async def _get(objects: SceneObjects, path: str, rights: OnlyRights = EVERYTHING, **evidence: Any) -> Any:
    async with console_of(objects, SceneEvidence(**evidence), rights) as client:
        response = await client.get(path)
        return await response.json() if ".json" in path else await response.text()


async def _post(objects: SceneObjects, **fields: str) -> tuple[int, Any]:
    async with console_of(objects, SceneEvidence()) as client:
        response = await client.post("/explain.json", data={"proxy": "team-a/crm", **fields})
        return response.status, await response.json()


async def test_a_denial_names_the_rule_that_decides_its_place_in_git_and_what_would_change_it(
    owned: SceneObjects,
) -> None:
    decision = (await _get(owned, QUERY.format(name="read")))["decision"]
    assert not decision["allowed"]
    assert decision["source"] == "https://git.example/team-a/tickets.yaml"
    (policy,) = decision["tiers"][1]["policies"]
    assert policy["rules"] == [
        {
            "rule": "read",
            "effect": "Allow",
            "outcome": "scopes",
            "detail": "the caller lacks the scopes tickets.read",
            "decides": True,
        }
    ]
    assert decision["changes"][0]["words"] == "the caller needs the scopes tickets.read"
    assert decision["changes"][0]["isEnough"]


async def test_the_page_and_its_twin_say_the_same(owned: SceneObjects) -> None:
    page = html.unescape(await _get(owned, QUERY.format(name="read").replace(".json", "")))
    decision = (await _get(owned, QUERY.format(name="read")))["decision"]
    assert decision["cause"] in page
    assert decision["changes"][0]["words"] in page
    assert '<a href="https://git.example/team-a/tickets.yaml"' in page


async def test_claims_come_by_post_and_are_mapped_as_in_the_gateway(owned: SceneObjects) -> None:
    claims = json.dumps({"iss": "https://idp.example", "sub": "ada", "scope": "tickets.read"})
    status, twin = await _post(owned, name="read", claims=claims)
    assert status == 200
    assert twin["decision"]["allowed"], twin["decision"]["cause"]
    assert [each["words"] for each in twin["decision"]["changes"]] == ["remove this rule"]


async def test_claims_that_no_policy_accepts_are_refused_with_the_reason(owned: SceneObjects) -> None:
    _, twin = await _post(owned, name="read", claims='{"iss": "https://other.example", "sub": "ada"}')
    assert twin["decision"]["reason"] == "Unauthenticated"
    assert "iss must be one of https://idp.example" in twin["decision"]["cause"]


@pytest.mark.parametrize("field", ["claims", "as"])
async def test_a_token_is_refused_and_not_repeated(owned: SceneObjects, field: str) -> None:
    token = "eyJhbGciOiJub25lIn0.eyJzdWIiOiJhZGEifQ.c2lnbmF0dXJl"
    status, twin = await _post(owned, name="read", **{field: token})
    assert status == 400
    assert "never the token itself" in twin["message"]
    assert "eyJ" not in json.dumps(twin)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("claims", "[1]"),
        ("claims", '{"a": 1, "a": 2}'),
        ("claims", '{"a": ' * 5000),
        ("arguments", "nonsense"),
        ("headers", "no colon"),
        ("primitive", "secrets"),
        ("proxy", "x"),
    ],
)
async def test_a_field_that_is_not_valid_is_named(owned: SceneObjects, field: str, value: str) -> None:
    status, twin = await _post(owned, **{"name": "read", field: value})
    assert status == 400
    assert field in twin["message"]


async def test_a_platform_policy_is_named_and_nothing_of_its_text_is_shown(objects: SceneObjects) -> None:
    rights = tenant("team-a")
    for name in ("wipe", "read", "classified_x"):
        for path in (QUERY, QUERY.replace(".json", "")):
            text = str(await _get(objects, path.format(name=name), rights))
            assert "ostiary-system/everywhere" in text
            assert "no-wipe" in text
            for secret in ("classified_*", "1234", "77"):
                assert secret not in text, (name, path)
    decision = (await _get(objects, QUERY.format(name="wipe"), rights))["decision"]
    assert decision["cause"] == "rule no-wipe of MCPPolicy ostiary-system/everywhere decides: Denied"
    asked = [each for each in decision["changes"] if each["policy"] == "ostiary-system/everywhere"]
    assert asked
    assert all(each["rule"] == "" and "ask the owner" in each["words"] for each in asked)


async def test_who_may_read_the_platform_policy_sees_its_text(objects: SceneObjects) -> None:
    decision = (await _get(objects, QUERY.format(name="wipe")))["decision"]
    assert decision["cause"] == "rule no-wipe denies it (MCPPolicy ostiary-system/everywhere)"
    assert "77" in decision["limits"][0]["words"]


@pytest.mark.parametrize("proxy", ["team-b/crm", "team-a/none"])
async def test_a_proxy_that_may_not_be_seen_is_not_found(objects: SceneObjects, proxy: str) -> None:
    rights = tenant("team-a", Right.PROXY) if proxy == "team-a/none" else tenant("team-z")
    async with console_of(objects, SceneEvidence(), rights) as client:
        response = await client.get(f"/explain.json?proxy={proxy}&name=read")
        assert response.status == 404
        assert "or you may not see it" in await response.text()


def _refusal(**members: Any) -> DistinctRefusal:
    known = {"proxy": "team-a/crm", "method": "tools/call", "name": "wipe", "principal": "team-a/bot"}
    times = {"count": 3, "first": 1, "last": 2}
    return DistinctRefusal.model_validate({**known, "reason": "Denied", **times, **members})


async def test_a_recent_denial_leads_to_its_explanation(owned: SceneObjects) -> None:
    refused = Gathered(ObservedRefusals((_refusal(), _refusal(principal="token:abc", name="a&b"))), asked=1, answered=1)
    page = html.unescape(await _get(owned, "/explain", refused=refused))
    assert "/explain?proxy=team-a%2Fcrm&primitive=tools&verb=Call&name=wipe&as=team-a%2Fbot" in page
    assert "name=a%26b" in page
    assert "token:abc" in page
    twin = await _get(owned, "/explain.json", refused=refused)
    assert [(each["name"], each["caller"], each["count"]) for each in twin["denials"]] == [
        ("wipe", "team-a/bot", 3),
        ("a&b", "", 3),
    ]


async def test_what_rules_allow_and_gateways_refuse_says_why(owned: SceneObjects) -> None:
    limited = _refusal(name="read", reason="LimitReached", policy="team-a/tickets", rule="daily")
    refused = Gathered(ObservedRefusals((limited,)), asked=1, answered=1)
    page = await _get(owned, "/explain?proxy=team-a/crm&name=read&as=team-a/bot&scopes=tickets.read", refused=refused)
    assert "Rules of access allow it now." in page
    assert "LimitReached, by team-a/tickets: daily." in page


async def test_principals_of_denials_need_the_right_to_calls(owned: SceneObjects) -> None:
    refused = Gathered(ObservedRefusals((_refusal(),)), asked=1, answered=1)
    rights = tenant("team-a", Right.PROXY, Right.EVIDENCE)
    (denial,) = (await _get(owned, "/explain.json", rights, refused=refused))["denials"]
    assert (denial["name"], denial["principal"], denial["caller"]) == ("wipe", "", "")
    nothing = await _get(owned, "/explain.json", tenant("team-a", Right.PROXY), refused=refused)
    assert nothing["denials"] == []
    assert nothing["withoutDenials"]["reason"] == "NoRight"


@pytest.mark.parametrize(
    ("gathered", "reason"),
    [
        (Gathered(ObservedRefusals(), asked=1, answered=1), "NoTraffic"),
        (Gathered(ObservedRefusals(), asked=1, answered=1, recording=False), "NotRecorded"),
        (
            Gathered(
                ObservedRefusals(),
                asked=1,
                problems=(ReplicaProblem("p/g", "gw-1", ProblemKind.UNREACHABLE, "it took too long"),),
            ),
            "ReplicaUnreachable",
        ),
    ],
)
async def test_without_denials_the_page_says_why(
    owned: SceneObjects, gathered: Gathered[ObservedRefusals], reason: str
) -> None:
    twin = await _get(owned, "/explain.json", refused=gathered)
    assert twin["withoutDenials"]["reason"] == reason


async def test_an_evaluation_that_takes_too_long_ends_the_request_and_not_the_console(
    owned: SceneObjects, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with console_of(owned, SceneEvidence()) as client:
        monkeypatch.setattr("ostiary_operator.console.evaluation._SECONDS", 0.0)
        response = await client.get(QUERY.format(name="read"))
        assert response.status == 503
        assert "ostiary explain" in await response.text()
        assert (await client.get("/explain")).status == 200


async def test_hostile_names_run_nothing(owned: SceneObjects) -> None:
    hostile = '"><script>alert(1)</script>\u202e'
    refused = Gathered(ObservedRefusals((_refusal(name=hostile, reason=hostile[:60]),)), asked=1, answered=1)
    page = await _get(owned, "/explain", refused=refused)
    assert "<script>alert" not in page
    assert "\u202e" not in page
    async with console_of(owned, SceneEvidence()) as client:
        response = await client.get("/explain", params={"proxy": "team-a/crm", "name": hostile, "as": hostile})
        text = await response.text()
    assert response.status == 200
    assert "<script>alert" not in text
