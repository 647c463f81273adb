from typing import Any

import pytest
import yaml
from console_evidence import evidence_console, now, recorded, says
from console_viewers import ChosenRights

from ostiary_core.evidence.document import EvidencePath
from ostiary_operator.console.access.rights import Right

REFUSALS = EvidencePath.REFUSALS.value


def refusal(name: str = "delete", principal: str = "default/bot", count: int = 2, **more: Any) -> dict[str, Any]:
    return {
        "proxy": "default/tickets",
        "method": "tools/call",
        "name": name,
        "principal": principal,
        "policy": "default/least",
        "rule": "no-delete",
        "reason": "NotAllowed",
        "isShadow": True,
        "count": count,
        "first": now() - 1000,
        "last": now(),
        **more,
    }


def replica(*refusals: dict[str, Any], forgotten: int = 0) -> dict[str, dict[str, Any]]:
    return {REFUSALS: recorded(refusals=list(refusals), forgotten=forgotten)}


async def test_what_would_have_been_denied_is_counted_by_rule_by_name_and_by_principal() -> None:
    one = says(replica(refusal(), refusal("drop", count=3), refusal(isShadow=False, count=99)))
    other = says(replica(refusal(count=5)))
    async with evidence_console(one, other) as pages:
        content = (await pages.page("/would-deny.json")).json["content"]
        page = (await pages.page("/would-deny")).text

    assert content["count"] == 10
    assert content["rules"] == [{"name": "default/least: no-delete", "count": 10}]
    assert content["names"] == [{"name": "delete", "count": 7}, {"name": "drop", "count": 3}]
    assert content["principals"] == [{"name": "default/bot", "count": 10}]
    assert [(row["name"], row["count"]) for row in content["rows"]["rows"]] == [("delete", 7), ("drop", 3)]
    assert "<strong>10</strong> requests would have been denied" in page


async def test_the_policy_that_allows_them_is_yaml_to_commit() -> None:
    async with evidence_console(says(replica(refusal(), refusal("drop")))) as pages:
        content = (await pages.page("/would-deny.json")).json["content"]
        page = (await pages.page("/would-deny")).text

    policy = yaml.safe_load(content["allow"])
    assert policy["spec"]["access"]["rules"][0]["tools"]["names"] == ["delete", "drop"]
    assert "kind: MCPPolicy" in page


async def test_filters_narrow_the_rows_and_the_suggested_policy() -> None:
    async with evidence_console(says(replica(refusal(), refusal("drop", "default/ada")))) as pages:
        narrowed = (await pages.page("/would-deny.json?name=drop")).json["content"]
        by_principal = (await pages.page("/would-deny.json?principal=default/bot")).json["content"]
        nothing = (await pages.page("/would-deny.json?policy=default/other")).json["empty"]

    assert narrowed["count"] == 2
    assert "delete" not in narrowed["allow"]
    assert [row["name"] for row in by_principal["rows"]["rows"]] == ["delete"]
    assert nothing["reason"] == "FilteredOut"


async def test_principals_are_shown_only_to_those_who_may_see_calls() -> None:
    rights = ChosenRights({Right.PROXY: {"default/tickets"}, Right.EVIDENCE: {"default/tickets"}})
    replicas = says(replica(refusal(principal="default/bot"), refusal(principal="default/ada"), forgotten=7))
    async with evidence_console(replicas, rights=rights) as pages:
        twin = await pages.page("/would-deny.json")
        narrowed = await pages.page("/would-deny.json?name=delete")
        page = await pages.page("/would-deny")

    for each in (twin, narrowed):
        content = each.json["content"]
        assert content["principals"] == [{"name": "(hidden)", "count": 4}]
        assert content["allow"] == ""
        assert content["forgotten"] is None
    for text in (twin.text, narrowed.text, page.text):
        assert "default/bot" not in text
        assert "default/ada" not in text
    assert "`get mcpproxies/calls`" in twin.json["source"]["notice"]


async def test_without_refusals_the_page_says_how_to_get_some() -> None:
    async with evidence_console(says(replica(refusal(isShadow=False)))) as pages:
        empty = (await pages.page("/would-deny.json")).json["empty"]

    assert empty["reason"] == "NoTraffic"
    assert "mode: Shadow" in empty["remedy"]


@pytest.mark.parametrize("hostile", ["<script>alert(1)</script>", "a\u202eb", "\x1b[2J", "x" * 256])
async def test_names_that_callers_invent_are_text(hostile: str) -> None:
    async with evidence_console(says(replica(refusal(hostile, rule=hostile)))) as pages:
        page = (await pages.page("/would-deny")).text

    assert "<script>alert" not in page
    assert "\u202e" not in page
    assert "\x1b" not in page
