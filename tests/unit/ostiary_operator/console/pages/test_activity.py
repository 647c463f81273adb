import asyncio
import json
from typing import Any

import pytest
from aiohttp import web
from console_evidence import evidence_console, now, recorded, says, window

from ostiary_core.evidence.document import EvidencePath

TRAFFIC = EvidencePath.TRAFFIC.value


def traffic(proxy: str, methods: dict[str, int], *names: tuple[str, str, int]) -> dict[str, Any]:
    uses = [{"method": method, "name": name, "calls": calls, "seconds": 0.1} for method, name, calls in names]
    found = window([0.1] * sum(methods.values()), methods=methods)
    return {
        "proxy": proxy,
        "since": now() - 3_600_000,
        "slots": [found] if not proxy else [],
        "total": found if proxy else None,
        "recentNames": {"since": now() - 900_000, "names": uses},
    }


async def test_a_tool_call_is_under_both_headings_with_its_name_and_initialize_has_none() -> None:
    methods = {"initialize": 1, "tools/list": 1, "tools/call": 2}
    found = [traffic("default/tickets", methods, ("tools/call", "get_users", 2)), traffic("", methods)]
    async with evidence_console(says({TRAFFIC: recorded(proxies=found)})) as pages:
        content = (await pages.page("/activity.json")).json["content"]
        page = (await pages.page("/activity")).text

    (used,) = content["primitives"]
    assert (used["proxy"], used["method"], used["name"], used["calls"]) == (
        "default/tickets",
        "tools/call",
        "get_users",
        2,
    )
    assert content["mostUsed"] == [used]
    assert {each["method"]: each["calls"] for each in content["nameless"]} == {"initialize": 1, "tools/list": 1}
    assert all("name" not in each for each in content["nameless"])
    traffic_at, most_used_at = page.index("<h2>Primitives traffic</h2>"), page.index("<h2>Most used primitives</h2>")
    assert traffic_at < page.index("get_users") < most_used_at < page.rindex("get_users")
    assert (
        "initialize"
        not in page[traffic_at + page[traffic_at:].index("</figure>") : page.index("<h2>Without a name</h2>")]
    )


@pytest.mark.parametrize("lost", ["sum=true", "total"])
async def test_the_page_is_partial_where_a_replica_failed_in_one_of_several_requests(lost: str) -> None:
    found = [traffic("default/tickets", {"tools/call": 2}), traffic("", {"tools/call": 2})]
    well = says({TRAFFIC: recorded(proxies=found)})

    async def failing(request: web.Request) -> web.StreamResponse:
        is_sum = "sum=true" in request.path_qs
        return web.Response(status=500) if is_sum == (lost == "sum=true") else await well(request)

    async with evidence_console(well, failing) as pages:
        source = (await pages.page("/activity.json")).json["source"]

    assert (source["asked"], source["answered"]) == (2, 1)
    assert source["notice"].startswith("1 of 2 replicas answered; gw-1")


async def test_where_one_gateway_records_nothing_numbers_are_partial_and_no_proxy_has_a_zero() -> None:
    found = [traffic("default/tickets", {"tools/call": 2}), traffic("", {"tools/call": 2})]
    off = says({TRAFFIC: recorded("gw-b", proxies=[], recording=False)})
    proxies = ["default/tickets", "default/quiet"]
    async with evidence_console(says({TRAFFIC: recorded(proxies=found)}), off, proxies=proxies) as pages:
        notice = (await pages.page("/activity.json")).json["source"]["notice"]
        home = (await pages.page("/index.json")).json

    assert "evidence.recording" in notice
    recent = {each["identity"]: each["recent"] for each in home["proxies"]["rows"]}
    assert (recent["default/tickets"]["calls"], recent["default/quiet"]) == (2, None)
    assert "evidence.recording" in json.dumps(home)


async def test_all_that_the_page_shows_of_few_proxies_is_asked_at_once() -> None:
    """A replica that hangs is waited for once."""
    found = [traffic("default/tickets", {"tools/call": 2}), traffic("", {"tools/call": 2})]
    answering = asyncio.Event()

    async def waiting(request: web.Request) -> web.StreamResponse:
        if len(pages.asked) == 2:
            answering.set()
        await answering.wait()
        return await says({TRAFFIC: recorded(proxies=found)})(request)

    async with evidence_console(waiting) as pages:
        assert (await pages.page("/activity.json")).json["source"]["notice"] == ""

    assert len(pages.asked) == 2


async def test_of_a_thousand_proxies_only_those_of_the_page_are_asked_for_names() -> None:
    proxies = [f"team/proxy-{number:03}" for number in range(120)]
    found = [traffic(each, {"tools/call": number + 1}) for number, each in enumerate(proxies)]
    async with evidence_console(says({TRAFFIC: recorded(proxies=found)}), proxies=proxies) as pages:
        content = (await pages.page("/activity.json?page=2")).json["content"]

    assert content["proxies"]["total"] == 120
    assert content["proxies"]["rows"][0]["proxy"] == "team/proxy-069"
    with_names = [each for each in pages.asked if "names" in each and "sum=true" not in each]
    assert [each.count("proxy=") for each in with_names] == [50]


async def test_the_series_of_primitives_add_up_to_all_requests() -> None:
    methods = {"initialize": 1, "tools/call": 2, "resources/read": 3, "prompts/get": 4}
    found = [traffic("default/tickets", methods), traffic("", methods)]
    async with evidence_console(says({TRAFFIC: recorded(proxies=found)})) as pages:
        series = (await pages.page("/activity.json")).json["content"]["overTime"]["series"]

    assert {each["name"]: sum(value or 0 for value in each["values"]) for each in series} == {
        "tools": 2,
        "resources": 3,
        "prompts": 4,
        "other methods": 1,
    }


@pytest.mark.parametrize(("document", "reason"), [(recorded(proxies=[]), "NoTraffic"), (None, "ReplicaUnreachable")])
async def test_an_empty_page_says_why(document: dict[str, Any] | None, reason: str) -> None:
    async with evidence_console(says({TRAFFIC: document} if document is not None else {})) as pages:
        assert (await pages.page("/activity.json")).json["empty"]["reason"] == reason
