"""The page of a caller's catalogue, over policies that are compiled."""

import html
import json
from pathlib import Path
from typing import Any

import pytest
from console_scene import SceneEvidence, SceneObjects, console_of, listing
from console_viewers import EVERYTHING, OnlyRights, tenant

from ostiary_core.evidence.definitions import MOST_ITEMS
from ostiary_operator.console.access.rights import Right
from ostiary_operator.view.evidence.gathered import Gathered, ProblemKind, ReplicaProblem

FILES = """\
apiVersion: ostiary.dev/v1alpha1
kind: MCPProxy
metadata: {name: crm, namespace: team-a}
spec:
  servers: [{name: crm, url: "http://crm.team-a.svc:8080/mcp"}]
  catalogue:
    tools: {exclude: [internal]}
    overrides: {tools: [{name: read, description: Reviewed words.}]}
---
apiVersion: ostiary.dev/v1alpha1
kind: MCPPolicy
metadata: {name: everywhere, namespace: ostiary-system}
spec:
  targetSelector: {}
  access:
    rules:
    - {name: most, effect: Allow, tools: {names: ["*"]}}
    - {name: no-classified, effect: Deny, tools: {names: ["wipe", "classified_9"]}}
---
apiVersion: ostiary.dev/v1alpha1
kind: MCPPolicy
metadata: {name: tickets, namespace: team-a}
spec:
  targetRefs: [{kind: MCPProxy, name: crm}]
  authentication: {jwt: {issuers: [{issuer: "https://idp.example", groupsClaim: [groups]}]}, anonymous: {}}
  access:
    rules:
    - {name: read, effect: Allow, tools: {names: [read, internal, wipe]}}
    - name: refund
      effect: Allow
      tools: {names: [refund]}
      arguments: [{path: [amount], maximum: 100}]
    - {name: look, effect: Allow, tools: {verbs: [List], names: [delete]}}
---
apiVersion: ostiary.dev/v1alpha1
kind: MCPPolicy
metadata: {name: admins, namespace: team-a}
spec:
  targetRefs: [{kind: MCPProxy, name: crm}]
  subjects: [{groups: [admins]}, {consumers: [bot]}]
  access: {rules: [{name: all, effect: Allow, tools: {names: [delete, purge]}}]}
"""
AMOUNT = {"type": "object", "properties": {"amount": {"type": "integer"}}}
TOOLS = [
    {"name": "read", "definition": {"name": "read", "description": "Reads.", "inputSchema": {"type": "object"}}},
    {"name": "refund", "definition": {"name": "refund", "inputSchema": AMOUNT}},
    *({"name": name} for name in ("delete", "purge", "internal", "wipe")),
]
PATH = "/proxies/team-a/crm/catalogue"


@pytest.fixture
def objects(tmp_path: Path) -> SceneObjects:
    return SceneObjects(tmp_path, FILES, {})


def _evidence(**members: Any) -> SceneEvidence:
    return SceneEvidence(listed=listing("team-a/crm", {"name": "crm", "tools": TOOLS}), **members)


async def _twin(objects: SceneObjects, query: str = "", rights: OnlyRights = EVERYTHING) -> dict[str, Any]:
    async with console_of(objects, _evidence(), rights) as client:
        response = await client.get(f"{PATH}.json{query}")
        found: dict[str, Any] = await response.json()
        assert response.status == 200, found
        return found


def _access(twin: dict[str, Any]) -> dict[str, str]:
    return {each["name"]: each["access"] for each in twin["names"]["rows"]}


async def test_each_name_says_what_the_anonymous_caller_may_do(objects: SceneObjects) -> None:
    twin = await _twin(objects)
    assert _access(twin) == {
        "read": "use",
        "refund": "if",
        "delete": "see",
        "purge": "-",
        "internal": "-",
        "wipe": "-",
    }
    assert (twin["view"]["seen"], twin["view"]["total"]) == (3, 6)


async def test_a_group_and_a_consumer_see_what_their_policies_allow(objects: SceneObjects) -> None:
    assert _access(await _twin(objects, "?as=group:admins"))["purge"] == "use"
    assert _access(await _twin(objects, "?as=bot"))["purge"] == "use"
    assert _access(await _twin(objects, "?as=other"))["purge"] == "-"


async def test_pasted_claims_are_mapped_as_in_the_gateway(objects: SceneObjects) -> None:
    claims = json.dumps({"iss": "https://idp.example", "sub": "ada", "groups": ["admins"]})
    async with console_of(objects, _evidence()) as client:
        twin = await (await client.post(f"{PATH}.json", data={"claims": claims})).json()
        assert _access(twin)["purge"] == "use"
        refused = await (await client.post(f"{PATH}.json", data={"claims": '{"iss": "https://x.example"}'})).json()
    assert "iss must be one of" in refused["view"]["refusal"]
    assert refused["view"]["seen"] == 0
    assert {(each["access"], each["why"]) for each in refused["names"]["rows"]} == {
        ("-", "the gateway refuses this caller")
    }


async def test_a_definition_that_no_lock_approves_is_seen_by_no_caller(tmp_path: Path) -> None:
    pinned = FILES.replace("  catalogue:", "  catalogue:\n    pinning: Block", 1)
    drift = [{"server": "crm", "primitive": "tools", "name": "read", "digest": "", "at": 1}]
    evidence = SceneEvidence(listed=listing("team-a/crm", {"name": "crm", "tools": TOOLS}, drift=drift))
    async with console_of(SceneObjects(tmp_path, pinned, {}), evidence) as client:
        twin = await (await client.get(f"{PATH}.json")).json()
    (row,) = (each for each in twin["names"]["rows"] if each["name"] == "read")
    assert (row["access"], row["why"]) == ("-", "its definition is not the one that an MCPLock approves")
    assert row["listed"]
    assert not row["shown"]


async def test_a_schema_is_shown_narrowed_next_to_that_of_the_server(objects: SceneObjects) -> None:
    rows = {each["name"]: each for each in (await _twin(objects))["names"]["rows"]}
    shown, listed = json.loads(rows["refund"]["shown"]), json.loads(rows["refund"]["listed"])
    assert listed["inputSchema"] == AMOUNT
    assert shown["inputSchema"]["properties"]["amount"] == {"type": "integer", "maximum": 100}
    assert shown["inputSchema"]["required"] == ["amount"]
    assert json.loads(rows["read"]["shown"])["description"] == "Reviewed words."
    assert json.loads(rows["read"]["listed"])["description"] == "Reads."
    async with console_of(objects, _evidence()) as client:
        page = html.unescape(await (await client.get(PATH)).text())
    assert "narrowed or overridden" in page
    assert '"maximum": 100' in page


async def test_a_hidden_name_shows_no_definition_as_seen(objects: SceneObjects) -> None:
    hidden = (await _twin(objects, "?show=Hidden"))["names"]["rows"]
    assert {each["name"] for each in hidden} == {"purge", "internal", "wipe"}
    assert all(each["shown"] == "" for each in hidden)


@pytest.mark.parametrize(
    ("query", "names"),
    [("?q=RE", {"read", "refund"}), ("?show=Seen&q=d", {"read", "refund", "delete"}), ("?kind=prompts", set())],
)
async def test_names_are_filtered(objects: SceneObjects, query: str, names: set[str]) -> None:
    twin = await _twin(objects, query)
    assert set(_access(twin)) == names
    assert names or twin["empty"]["reason"] == "FilteredOut"


async def test_callers_that_policies_name_are_offered(objects: SceneObjects) -> None:
    assert (await _twin(objects))["callers"] == ["anonymous", "bot", "group:admins"]


async def test_a_platform_rule_is_named_and_its_text_is_not_shown(objects: SceneObjects) -> None:
    twin = await _twin(objects, rights=tenant("team-a"))
    wipe = next(each for each in twin["names"]["rows"] if each["name"] == "wipe")
    assert wipe["why"] == "rule no-classified of MCPPolicy ostiary-system/everywhere, which you may not read"
    assert "classified_9" not in json.dumps(twin)


async def test_what_servers_list_needs_the_right_to_evidence(objects: SceneObjects) -> None:
    twin = await _twin(objects, rights=tenant("team-a", Right.PROXY, Right.POLICY))
    assert twin["empty"]["reason"] == "NoRight"
    assert "refund" not in json.dumps(twin)


async def test_the_catalogue_of_another_namespace_is_not_found(objects: SceneObjects) -> None:
    async with console_of(objects, _evidence(), tenant("team-b")) as client:
        responses = [await client.get(path) for path in (PATH, f"{PATH}.json")]
        assert [each.status for each in responses] == [404, 404]
        assert all(["purge" not in await each.text() for each in responses])


@pytest.mark.parametrize(
    ("listed", "reason"),
    [
        (Gathered((), asked=1, answered=1), "NoTraffic"),
        (
            Gathered((), asked=1, problems=(ReplicaProblem("p/g", "gw-1", ProblemKind.UNREACHABLE, "too long"),)),
            "ReplicaUnreachable",
        ),
        (Gathered((), problems=(ReplicaProblem("p/g", "", ProblemKind.NO_RIGHT, "no token"),)), "NoRight"),
    ],
)
async def test_without_any_list_the_page_says_why(objects: SceneObjects, listed: Any, reason: str) -> None:
    async with console_of(objects, SceneEvidence(listed=listed)) as client:
        twin = await (await client.get(f"{PATH}.json")).json()
    assert twin["empty"]["reason"] == reason


async def test_long_lists_have_pages_and_claims_stay_out_of_their_links(objects: SceneObjects) -> None:
    tools = [{"name": f"read_{number:03}"} for number in range(120)]
    evidence = SceneEvidence(listed=listing("team-a/crm", {"name": "crm", "tools": tools}))
    async with console_of(objects, evidence) as client:
        first = await (await client.get(f"{PATH}.json?q=read")).json()
        third = await (await client.get(f"{PATH}.json?q=read&page=3")).json()
        posted = await (await client.post(PATH, data={"claims": '{"sub": "ada"}', "page": "2"})).text()
    assert (len(first["names"]["rows"]), first["names"]["last"]) == (50, 3)
    assert third["names"]["rows"][0]["name"] == "read_100"
    assert "51&ndash;100" in posted
    assert "claims=" not in posted


async def test_hostile_definitions_are_shown_as_text_and_break_nothing(objects: SceneObjects) -> None:
    hostile = '"><img src=x onerror=alert(1)>\u202e\x1b[31m'
    nested: Any = {}
    for _ in range(60):
        nested = {"properties": {"amount": nested}}
    tools = [
        {"name": hostile, "definition": {"name": hostile, "description": hostile * 20, "inputSchema": 7}},
        {"name": "refund", "definition": {"name": "refund", "inputSchema": nested, "big": 2**80, "x": "\ud800"}},
        {"name": "read", "definition": {"name": 3, "inputSchema": {"properties": [], "required": "x"}}},
    ]
    evidence = SceneEvidence(listed=listing("team-a/crm", {"name": "crm", "tools": tools}))
    async with console_of(objects, evidence) as client:
        page, twin = await client.get(PATH), await client.get(f"{PATH}.json")
        assert (page.status, twin.status) == (200, 200)
        text = await page.text()
        assert len((await twin.json())["names"]["rows"]) == 3
    assert "<img" not in text
    assert "\u202e" not in text
    assert "\x1b" not in text


@pytest.mark.parametrize(("tools", "is_cut"), [(MOST_ITEMS - 1, False), (MOST_ITEMS, True)])
async def test_a_list_that_may_be_longer_than_what_is_known_of_it_is_said_to_be(
    objects: SceneObjects, tools: int, is_cut: bool
) -> None:
    listed = listing("team-a/crm", {"name": "crm", "tools": [{"name": f"tool_{each}"} for each in range(tools)]})
    async with console_of(objects, SceneEvidence(listed=listed)) as client:
        twin = await (await client.get(f"{PATH}.json")).json()
        page = await (await client.get(PATH)).text()

    assert twin["view"]["cut"] == (["tools of server crm"] if is_cut else [])
    assert ("There may be more tools of server crm" in page) is is_cut
