import asyncio
import html
import json
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from aiohttp import web
from console_evidence import EvidencePages, evidence_console, now, recorded, says
from console_viewers import ChosenRights
from evidence_replicas import Handler
from timeouts import TIMEOUT_SECONDS

from ostiary_core.evidence.document import EvidencePath
from ostiary_core.evidence.recorded_call import MOST_CALLS
from ostiary_core.strict_json import dumps
from ostiary_operator.console.access.rights import Right
from ostiary_operator.console.call_positions import positions
from ostiary_operator.console.pages.calls import LIVE_PATH
from ostiary_operator.view.evidence.reader import MOST_SHOWN

CALLS = EvidencePath.CALLS.value
CAPTURE = EvidencePath.CAPTURE.value


def call(number: int, name: str = "get_ticket", **more: Any) -> dict[str, Any]:
    return {
        "number": number,
        "at": now() - 1000 + number,
        "proxy": "default/tickets",
        "method": "tools/call",
        "name": name,
        "principal": "default/bot",
        "outcome": "ok",
        "durationMs": 12.5,
        "upstreamMs": 10.0,
        "status": 200,
        **more,
    }


def denied() -> dict[str, Any]:
    return call(2, "delete_ticket", outcome="denied", reason="DeniedByRule", policy="default/least", rule="no-delete")


def replica(*calls: dict[str, Any]) -> Handler:
    return says({CALLS: recorded(calls=list(calls), last=len(calls))})


async def test_calls_are_listed_the_newest_first_with_who_made_them_and_why_they_ended_so() -> None:
    async with evidence_console(replica(call(1), denied())) as pages:
        rows = (await pages.page("/calls.json")).json["rows"]["rows"]
        page = (await pages.page("/calls")).text

    assert [each["call"]["name"] for each in rows] == ["delete_ticket", "get_ticket"]
    assert (rows[1]["call"]["principal"], rows[1]["call"]["durationMs"]) == ("default/bot", 12.5)
    assert (rows[1]["shown"]["duration"], rows[1]["shown"]["upstream"]) == ("12.5 ms", "10 ms")
    assert "no-delete of policy default/least" in rows[0]["shown"]["reason"]
    asked = dict(parse_qsl(urlsplit(rows[0]["shown"]["explain"]).query))
    assert asked == {
        "proxy": "default/tickets",
        "primitive": "tools",
        "verb": "Call",
        "name": "delete_ticket",
        "as": "default/bot",
    }
    assert rows[1]["shown"]["explain"] == ""
    assert page.index("delete_ticket") < page.index("get_ticket")


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("outcome=denied", ["delete_ticket"]),
        ("method=tools/list", []),
        ("q=LEAST", ["delete_ticket"]),
        ("q=bot+get", ["get_ticket"]),
    ],
)
async def test_filters_narrow_the_list(query: str, names: list[str]) -> None:
    async with evidence_console(replica(call(1), denied())) as pages:
        twin = (await pages.page(f"/calls.json?{query}")).json

    assert [each["call"]["name"] for each in twin["rows"]["rows"]] == names
    assert (twin["empty"] or {}).get("reason") == (None if names else "FilteredOut")


async def test_a_filter_finds_what_lies_behind_many_other_calls() -> None:
    async with evidence_console(replica(denied())) as pages:
        await pages.page("/calls.json")
        await pages.page("/calls.json?outcome=denied")

    few, all_kept = (dict(parse_qsl(urlsplit(each).query))["limit"] for each in pages.asked)
    assert (int(few), int(all_kept)) == (MOST_SHOWN, MOST_CALLS)


async def test_calls_need_a_right_of_their_own() -> None:
    seen = {"default/tickets"}
    rights = ChosenRights({Right.PROXY: seen, Right.EVIDENCE: seen})
    async with evidence_console(replica(call(1)), rights=rights) as pages:
        twin = (await pages.page("/calls.json")).json
        live = await pages.page(LIVE_PATH)

    assert twin["empty"]["reason"] == "NoRight"
    assert "`get mcpproxies/calls`" in twin["empty"]["remedy"]
    assert live.status == 403
    assert pages.asked == []


async def test_calls_of_other_proxies_are_neither_asked_for_nor_shown() -> None:
    mine = {"default/tickets"}
    rights = ChosenRights({Right.PROXY: mine, Right.CALLS: mine})
    foreign = call(3, "secret_tool", proxy="other/proxy")
    async with evidence_console(
        replica(call(1), foreign), proxies=["default/tickets", "other/proxy"], rights=rights
    ) as pages:
        twin = (await pages.page("/calls.json")).text

    assert "get_ticket" in twin
    assert "secret_tool" not in twin
    assert all("proxy=default" in each for each in pages.asked)


def following(calls: "asyncio.Queue[dict[str, Any]]", *kept: dict[str, Any]) -> Handler:
    """A replica that keeps some calls, and whose stream has those that come."""

    async def handler(request: web.Request) -> web.StreamResponse:
        head = recorded(last=max((each["number"] for each in kept), default=0))
        if request.query.get("follow") != "true":
            return web.Response(body=dumps({**head, "calls": list(kept)}), content_type="application/json")
        response = web.StreamResponse(headers={"Content-Type": "application/x-ndjson"})
        await response.prepare(request)
        await response.write(dumps({"kind": "Calls", **head}) + b"\n")
        while True:
            await response.write(dumps({"kind": "Call", **await calls.get()}) + b"\n")

    return handler


async def first_row(pages: EvidencePages, path: str) -> dict[str, Any]:
    async with asyncio.timeout(TIMEOUT_SECONDS), pages.client.get(path) as response:
        assert response.status == 200
        async for line in response.content:
            if line.strip():
                return dict(json.loads(line))
    raise AssertionError("the stream ended")


async def test_a_call_that_is_made_now_comes_in_a_row_like_those_of_the_page() -> None:
    coming: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
    async with evidence_console(following(coming, call(1))) as pages:
        live = (await pages.page("/calls.json")).json["live"]
        coming.put_nowait(call(2, "create_ticket"))
        row = await first_row(pages, f"{LIVE_PATH}?after={live['after']}")

    assert positions(live["after"]) == {"ostiary-system/default/gw-0": 1}
    assert (row["kind"], row["call"]["name"], row["shown"]["name"]) == ("Call", "create_ticket", "create_ticket")
    assert any("follow=true" in each and "after=1" in each for each in pages.asked)


async def test_a_stream_ends_when_the_right_to_its_calls_is_withdrawn() -> None:
    coming: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
    of: dict[Right, list[str]] = {right: ["default/tickets"] for right in (Right.PROXY, Right.CALLS)}
    rows: list[dict[str, Any]] = []
    coming.put_nowait(call(2, "create_ticket"))
    async with (
        evidence_console(following(coming, call(1)), rights=ChosenRights(of)) as pages,
        asyncio.timeout(TIMEOUT_SECONDS),
        pages.client.get(LIVE_PATH) as response,
    ):
        async for line in response.content:
            if line.strip():
                rows.append(json.loads(line))
                of[Right.CALLS] = []
                coming.put_nowait(call(3, "delete_ticket"))

    assert [each["kind"] for each in rows] == ["Call", "Notice"]
    assert rows[1]["text"] == "Your rights have changed"


async def test_how_many_calls_are_missing_is_told_to_those_who_may_see_all_of_them() -> None:
    async def gap(request: web.Request) -> web.StreamResponse:
        if request.query.get("follow") != "true":
            return web.Response(body=dumps({**recorded(last=1), "calls": []}), content_type="application/json")
        lines = [{"kind": "Calls", **recorded(last=90_000)}, {"kind": "Gap", "missed": 86_421}]
        return web.Response(body=b"".join(dumps(each) + b"\n" for each in lines))

    mine = ChosenRights({right: ["default/tickets"] for right in (Right.PROXY, Right.CALLS)})
    async with evidence_console(gap, rights=mine) as pages:
        tenant = await first_row(pages, LIVE_PATH)
    async with evidence_console(gap) as pages:
        everyone = await first_row(pages, LIVE_PATH)

    assert "86,421" in everyone["text"]
    assert tenant["text"] == "Some calls of replica gw-0 may be missing here: reload the page"


async def test_a_call_between_the_page_and_its_stream_is_not_lost_where_the_page_has_none_of_the_replica() -> None:
    coming: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
    hidden = call(7, "other_tool")
    async with evidence_console(following(coming, hidden)) as pages:
        everyone = (await pages.page("/calls.json?q=nothing")).json
        tenant = (await pages.page("/calls.json?proxy=default/other")).json

    assert positions(everyone["live"]["after"]) == {"ostiary-system/default/gw-0": 7}
    assert tenant["live"] is None


async def test_a_filter_holds_for_the_stream_too() -> None:
    coming: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
    async with evidence_console(following(coming)) as pages:
        coming.put_nowait(call(1))
        coming.put_nowait(denied())
        row = await first_row(pages, f"{LIVE_PATH}?outcome=denied")

    assert row["call"]["name"] == "delete_ticket"


@pytest.mark.parametrize("hostile", ["<img src=x onerror=alert(1)>", "a\u202eb\u200b", "\x1b[31m", "x" * 256])
async def test_what_callers_name_is_text_in_pages_and_in_streams(hostile: str) -> None:
    made = call(1, hostile, principal=hostile, outcome="denied", reason=hostile[:64], rule=hostile)
    coming: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
    async with evidence_console(following(coming, made)) as pages:
        page = (await pages.page("/calls")).text
        coming.put_nowait({**made, "number": 2})
        row = await first_row(pages, LIVE_PATH)

    shown = "".join(row["shown"].values())
    assert "<img" not in page
    assert not any(each in page + shown for each in ("\u202e", "\u200b", "\x1b"))
    assert row["call"]["name"] == hostile


def capture(*records: dict[str, Any], **state: Any) -> bytes:
    lines = [{"kind": "Capture", "until": "2030-01-01T00:00:00Z", **state}, *records]
    return b"\n".join(map(dumps, lines))


def exchange(**more: Any) -> dict[str, Any]:
    return {
        "kind": "Exchange",
        "at": "2026-11-30T09:00:00.123Z",
        "message": "request",
        "method": "tools/call",
        "name": "get_ticket",
        "caller": "default/bot",
        "outcome": "Ok",
        "durationMs": 12,
        "arguments": {"id": 7},
        **more,
    }


async def test_contents_are_shown_of_one_proxy_while_its_capture_runs() -> None:
    calls = recorded(calls=[call(1)], last=1)
    running = says({CALLS: calls, CAPTURE: capture(exchange())})
    ended = says({CALLS: calls, CAPTURE: capture(exchange(), ended=True)})
    async with evidence_console(running) as pages:
        contents = (await pages.page("/calls.json?proxy=default/tickets")).json["contents"]
        page = html.unescape((await pages.page("/calls?proxy=default/tickets")).text)
        without = (await pages.page("/calls.json")).json["contents"]
    async with evidence_console(ended) as pages:
        afterwards = (await pages.page("/calls.json?proxy=default/tickets")).json["contents"]
        explained = (await pages.page("/calls?proxy=default/tickets")).text

    (shown,) = contents["exchanges"]
    assert (shown["time"], shown["record"]["arguments"]) == ("09:00:00.123", {"id": 7})
    assert shown["summary"] == "default/bot > server  tools/call get_ticket  ok  12 ms"
    assert 'arguments {"id": 7}' in page
    assert (without, afterwards) == (None, None)
    assert "spec.debugCapture" in explained


async def test_captured_contents_are_text() -> None:
    hostile = exchange(name="<script>alert(1)</script>", arguments={"a": "</pre><img src=x>\u202e\x1b[2J"})
    replicas = says({CALLS: recorded(calls=[call(1)], last=1), CAPTURE: capture(hostile)})
    async with evidence_console(replicas) as pages:
        page = (await pages.page("/calls?proxy=default/tickets")).text

    assert "<script>alert" not in page
    assert "<img" not in page
    assert not {"\u202e", "\x1b"} & set(page)


async def test_what_replicas_count_of_all_calls_is_sealed() -> None:
    async with evidence_console(replica(call(1), call(90_001, "create_ticket"))) as pages:
        twin = (await pages.page("/calls.json")).text

    assert "90001" not in twin
    assert positions(json.loads(twin)["live"]["after"]) == {"ostiary-system/default/gw-0": 90_001}
