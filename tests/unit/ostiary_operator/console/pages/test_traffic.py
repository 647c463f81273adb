import html
import re
from typing import Any

import pytest
from console_evidence import evidence_console, recorded, says, window
from console_viewers import ChosenRights
from prometheus_answers import AnsweringPrometheus, series

from ostiary_core.evidence.document import EvidencePath
from ostiary_operator.console.access.rights import Right

TRAFFIC = EvidencePath.TRAFFIC.value


def traffic(*seconds: float, proxy: str = "", names: list[dict[str, Any]] | None = None) -> dict[str, Any]:
    found = window(
        seconds,
        errors=1,
        denied=1,
        methods={"tools/call": len(seconds) - 1, "initialize": 1},
        statuses={"200": len(seconds)},
        errorTypes={"tool_error": 1},
        outcomes={"ok": len(seconds) - 1, "tool error": 1},
    )
    uses = {"since": found["at"], "names": names or []}
    return {"proxy": proxy, "since": found["at"] - 3_600_000, "slots": [found], "recentNames": uses}


def used(name: str, method: str = "tools/call", calls: int = 3) -> dict[str, Any]:
    return {"method": method, "name": name, "calls": calls, "errors": 1, "seconds": 0.3, "slowest": 0.2}


async def test_the_page_shows_the_sum_of_all_replicas() -> None:
    one = says({TRAFFIC: recorded("gw-0", proxies=[traffic(0.1, 0.3, names=[used("get_ticket")])])})
    other = says({TRAFFIC: recorded("gw-1", proxies=[traffic(0.2, 0.4, names=[used("get_ticket")])])})
    async with evidence_console(one, other) as pages:
        twin = (await pages.page("/traffic.json")).json
        page = (await pages.page("/traffic")).text

    numbers = twin["content"]["numbers"]
    assert (numbers["calls"], numbers["errors"], numbers["denied"], numbers["slowest"]) == (4, 2, 2, 0.4)
    assert numbers["mean"] == pytest.approx(0.25)
    assert (numbers["gatewayMean"], numbers["upstreamMean"]) == pytest.approx((0.125, 0.125))
    (tool,) = twin["content"]["names"]["tools"]
    assert (tool["name"], tool["calls"]) == ("get_ticket", 6)
    assert '<dd id="total-calls">4</dd>' in page
    assert "2 gateway replicas" in page
    assert 'role="status"' not in page


async def test_the_charts_and_their_twin_have_the_same_series() -> None:
    async with evidence_console(says({TRAFFIC: recorded(proxies=[traffic(0.1, 0.3, 0.2)])})) as pages:
        chart = (await pages.page("/traffic.json")).json["content"]["charts"]["methods"]
        page = (await pages.page("/traffic")).text

    assert {each["name"]: sum(each["values"]) for each in chart["series"]} == {"tools/call": 2, "initialize": 1}
    assert page.count('<svg class="plot"') == 4
    assert page.count("<details>") == 4
    assert "style=" not in page


async def test_a_proxy_is_asked_for_by_name_and_all_of_them_without() -> None:
    async with evidence_console(
        says({TRAFFIC: recorded(proxies=[traffic(0.1)])}), proxies=["a/one", "a/two", "b/three"]
    ) as pages:
        await pages.page("/traffic?proxy=a/two")
        await pages.page("/traffic?namespace=a&range=1h")
        await pages.page("/traffic")

    named, namespace, everything = pages.asked
    assert "proxy=a/two" in named.replace("%2F", "/")
    assert "sum=true" in named
    assert namespace.replace("%2F", "/").count("proxy=a/") == 2
    assert "range=3600" in namespace
    assert "proxy=" not in everything


async def test_a_viewer_gets_the_traffic_of_what_they_have_the_right_to_and_no_more() -> None:
    rights = ChosenRights({Right.PROXY: {"a/one", "a/two"}, Right.EVIDENCE: {"a/one"}})
    async with evidence_console(
        says({TRAFFIC: recorded(proxies=[traffic(0.1)])}), proxies=["a/one", "a/two", "b/secret"], rights=rights
    ) as pages:
        page = html.unescape((await pages.page("/traffic")).text)
        refused = (await pages.page("/traffic.json?proxy=a/two")).json["empty"]
        hidden = (await pages.page("/traffic.json?proxy=b/secret")).json["empty"]
        absent = (await pages.page("/traffic.json?proxy=b/none")).json["empty"]

    assert [each.replace("%2F", "/").count("proxy=") for each in pages.asked] == [1]
    assert "1 proxy is left out: you may see them, but not `get mcpproxies/evidence`" in page
    assert "b/secret" not in page
    assert refused["reason"] == "NoRight"
    assert "get mcpproxies/evidence" in refused["remedy"]
    assert hidden == absent
    assert hidden["reason"] == "FilteredOut"


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        (recorded(proxies=[]), "NoTraffic"),
        (recorded(proxies=[]) | {"recording": False}, "NotRecorded"),
        (None, "ReplicaUnreachable"),
    ],
)
async def test_an_empty_page_says_why(document: dict[str, Any] | None, reason: str) -> None:
    async with evidence_console(says({TRAFFIC: document} if document is not None else {})) as pages:
        twin = (await pages.page("/traffic.json")).json
        page = (await pages.page("/traffic")).text

    assert twin["content"] is None
    assert twin["empty"]["reason"] == reason
    assert f'data-reason="{reason}"' in page


@pytest.mark.parametrize("path", ["/traffic", "/activity"])
async def test_a_range_that_gateways_do_not_keep_needs_prometheus(path: str) -> None:
    async with evidence_console(says({})) as pages:
        empty = (await pages.page(f"{path}.json?range=7d")).json["empty"]

    assert empty["reason"] == "NotRecorded"
    assert "--prometheus-url" in empty["remedy"]


@pytest.mark.parametrize("path", ["/traffic", "/activity"])
async def test_a_long_range_comes_from_prometheus_and_says_so(path: str) -> None:
    source = AnsweringPrometheus(values=lambda _query: [series(1234.0, mcp_method_name="<b>")])
    async with evidence_console(says({}), long_ranges=source) as pages:
        panels = (await pages.page(f"{path}.json?range=7d&proxy=default/tickets")).json["panels"]
        page = (await pages.page(f"{path}?range=30d")).text

    assert panels["source"] == "Prometheus"
    assert {row["value"] for table in panels["rankings"] for row in table["rows"]} == {1234.0}
    assert "Source: Prometheus" in page
    assert "<b>" not in page.partition("<main")[2].replace("<b></b>", "")
    assert any('ostiary_proxy=~"default/tickets"' in query for query in source.asked)
    assert pages.asked == []


@pytest.mark.parametrize(
    ("source", "reason", "words"),
    [
        (AnsweringPrometheus(is_away=True), "Unavailable", "does not answer"),
        (AnsweringPrometheus(), "NoTraffic", ""),
        (AnsweringPrometheus(lambda query: [series(1.0)] if "build_info" in query else []), "NotRecorded", "rules"),
    ],
)
async def test_a_prometheus_without_an_answer_says_why(source: AnsweringPrometheus, reason: str, words: str) -> None:
    async with evidence_console(says({}), long_ranges=source) as pages:
        empty = (await pages.page("/traffic.json?range=7d")).json["empty"]

    assert empty["reason"] == reason
    assert words in empty["words"]


async def test_a_replica_that_does_not_answer_is_named_and_the_others_are_shown() -> None:
    async with evidence_console(says({TRAFFIC: recorded(proxies=[traffic(0.1, 0.1)])}), says({})) as pages:
        twin = (await pages.page("/traffic.json")).json
        page = (await pages.page("/traffic")).text

    assert (twin["source"]["asked"], twin["source"]["answered"]) == (2, 1)
    assert twin["source"]["problems"][0]["replica"] == "gw-1"
    assert "1 of 2 replicas answered; gw-1:" in page
    assert twin["content"]["numbers"]["calls"] == 2


async def test_no_proxy_at_all_is_another_thing_than_no_traffic() -> None:
    async with evidence_console(says({}), proxies=[]) as pages:
        assert (await pages.page("/traffic.json")).json["empty"]["reason"] == "NoObjects"


@pytest.mark.parametrize("query", ["range=2h", "proxy=nothing", "namespace=UPPER", "proxy=a/b/c"])
async def test_a_filter_that_is_not_valid_is_refused_by_its_name(query: str) -> None:
    async with evidence_console(says({})) as pages:
        page = await pages.page(f"/traffic?{query}")

    assert page.status == 400
    assert query.partition("=")[0] in page.text


async def test_names_of_upstream_servers_are_text_and_nothing_else() -> None:
    hostile = "<img src=x onerror=alert(1)>\u202etxt.exe\x1b[31m" + "a" * 200
    async with evidence_console(
        says(
            {
                TRAFFIC: recorded(
                    proxies=[traffic(0.1, names=[used(hostile), used("javascript:alert(1)", "resources/read")])]
                )
            }
        )
    ) as pages:
        page = (await pages.page("/traffic")).text

    assert "<img" not in page
    assert "\u202e" not in page
    assert "\x1b" not in page
    assert re.search(r'href="javascript:', page) is None
