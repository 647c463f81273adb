from collections.abc import Collection
from datetime import UTC, datetime, timedelta
from typing import Any

from console_evidence import evidence_console, recorded, says
from console_viewers import ChosenRights

from ostiary_core.evidence.document import EvidencePath
from ostiary_operator.console.access.rights import Right

LIMITS = EvidencePath.LIMITS.value
MINE, OTHER = "default/tickets", "other/weather"
OWN, SHARED = "default/budget", "ostiary-system/platform"


def key(principal: str, used: int, *, policy: str = OWN, amount: int = 100) -> dict[str, Any]:
    return {
        "policy": policy,
        "limit": "daily",
        "key": principal,
        "dimensions": {"Consumer": principal, "Tool": "get_ticket"},
        "unit": "requests",
        "used": used,
        "amount": amount,
        "resetAt": (datetime.now(UTC) + timedelta(hours=5, minutes=1)).isoformat(),
    }


def replica(*keys: dict[str, Any], counters: str = "Local") -> dict[str, dict[str, Any]]:
    return {LIMITS: recorded(keys=list(keys), counters=counters)}


def rights(evidence: Collection[str], calls: Collection[str] = (), policies: Collection[str] = ()) -> ChosenRights:
    seen = {MINE, OTHER} & {*evidence, *calls}
    return ChosenRights({Right.PROXY: seen, Right.EVIDENCE: evidence, Right.CALLS: calls, Right.POLICY: policies})


GOVERNED = {MINE: [OWN, SHARED], OTHER: [SHARED]}


async def test_who_is_nearest_to_a_limit_comes_first_with_the_time_until_it_is_whole_again() -> None:
    async with evidence_console(says(replica(key("a", 10), key("b", 90), key("c", 20, amount=20)))) as pages:
        rows = (await pages.page("/limits.json")).json["rows"]["rows"]
        page = (await pages.page("/limits")).text

    assert [(each["dimensions"]["Consumer"], each["share"]) for each in rows] == [("c", 1.0), ("b", 0.9), ("a", 0.1)]
    assert rows[0]["remaining"] == 0
    assert rows[0]["resets"].startswith("in 5h")
    assert "90 %" in page


async def test_a_replica_that_says_an_impossible_number_does_not_take_the_page_away() -> None:
    lies = [key("a", number) for number in (10**400, -1, 2**64)] + [key("a", 1, amount=2**64)]
    for lie in lies:
        async with evidence_console(says(replica(key("b", 30))), says(replica(lie))) as pages:
            twin, page = await pages.page("/limits.json"), await pages.page("/limits")

        assert (twin.status, page.status) == (200, 200)
        assert [each["used"] for each in twin.json["rows"]["rows"]] == [30]
        assert "gw-1" in page.text


async def test_counters_of_replicas_are_summed_and_the_page_says_what_that_means() -> None:
    replicas = says(replica(key("a", 10))), says(replica(key("a", 30)))
    async with evidence_console(*replicas) as pages:
        twin = (await pages.page("/limits.json")).json

    (row,) = twin["rows"]["rows"]
    assert row["used"] == 40
    assert "sum of 2 replicas" in twin["remarks"][0]


async def test_a_search_narrows_the_list() -> None:
    async with evidence_console(says(replica(key("ada", 1), key("bot", 2)))) as pages:
        found = (await pages.page("/limits.json?q=ADA")).json
        nothing = (await pages.page("/limits.json?q=none")).json["empty"]

    assert [each["dimensions"]["Consumer"] for each in found["rows"]["rows"]] == ["ada"]
    assert nothing["reason"] == "FilteredOut"


async def test_a_limit_that_counts_callers_of_others_needs_the_right_to_the_evidence_of_all() -> None:
    document = says(replica(key("mine", 1), key("foreign", 2, policy=SHARED)))
    options: dict[str, Any] = {"proxies": [MINE, OTHER], "governed": GOVERNED}
    async with evidence_console(document, rights=rights({MINE}, {MINE}), **options) as pages:
        without = (await pages.page("/limits.json")).json["rows"]["rows"]
    async with evidence_console(document, rights=rights({MINE}, {MINE}, {SHARED}), **options) as pages:
        readable = (await pages.page("/limits.json")).json["rows"]["rows"]
    async with evidence_console(document, rights=rights({MINE, OTHER}, {MINE, OTHER}), **options) as pages:
        everything = (await pages.page("/limits.json")).json["rows"]["rows"]

    assert [each["policy"] for each in without] == [OWN]
    assert readable == without, "everyone may read the platform's policies, and must not learn of others by that"
    assert [each["dimensions"]["Consumer"] for each in everything] == ["foreign", "mine"]


async def test_principals_are_hidden_from_those_who_may_not_see_calls() -> None:
    document = says(replica(key("mine", 1)))
    async with evidence_console(document, governed=GOVERNED, rights=rights({MINE})) as pages:
        twin = await pages.page("/limits.json")
        found = (await pages.page("/limits.json?q=mine")).json["empty"]

    (row,) = twin.json["rows"]["rows"]
    assert row["dimensions"] == {"Consumer": "(hidden)", "Tool": "get_ticket"}
    assert "mine" not in twin.text
    assert found["reason"] == "FilteredOut"


async def test_without_a_limit_the_page_says_how_to_get_one() -> None:
    async with evidence_console(says(replica())) as pages:
        empty = (await pages.page("/limits.json")).json["empty"]
    async with evidence_console(says({})) as pages:
        away = (await pages.page("/limits.json")).json["empty"]

    assert (empty["reason"], away["reason"]) == ("NoTraffic", "ReplicaUnreachable")


async def test_a_key_of_a_hostile_replica_is_text() -> None:
    hostile = key("<script>alert(1)</script>\u202e", 1)
    async with evidence_console(says(replica(hostile | {"resetAt": "never", "unit": "\x1b[2J"}))) as pages:
        page = (await pages.page("/limits")).text

    assert "<script>alert" not in page
    assert not {"\u202e", "\x1b"} & set(page)
