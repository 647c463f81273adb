"""Evidence on the admin port: what was called, how it ended and why, for readers with a bearer of its own."""

import asyncio
from collections import Counter
from typing import Any

import pytest
from evidence_reader import asking, calls, definitions, lines_of, refusals, traffic, traffic_of
from gateways import RunningGateway, policy
from mcp_caller import McpCaller, legacy, mcp_caller, modern
from timeouts import TIMEOUT_SECONDS

from ostiary_core.canonical import digest
from ostiary_core.evidence.document import TOKEN_HEADER, EvidencePath
from ostiary_core.evidence.recorded_call import CallOutcome

READ = {"name": "read", "effect": "Allow", "tools": {"names": ["get_users", "list_products"]}}
NO_LIST = {"name": "no-list", "effect": "Deny", "tools": {"verbs": ["Call"], "names": ["list_products"]}}


async def call(caller: McpCaller, tool: str, arguments: dict[str, Any] | None = None) -> None:
    """Call a tool, whatever comes of it."""
    await caller.post(modern("tools/call", {"name": tool, "arguments": arguments or {}}))


async def three_calls(gateway: RunningGateway, mock: str) -> None:
    """One call that is allowed, one that is denied, and one of a hidden tool."""
    await gateway.apply(gateway.entry("mock", mock, [policy("p", READ, NO_LIST)]), gateway.entry("other", mock))
    async with mcp_caller(gateway.url()) as caller:
        await caller.post(modern("tools/list"))
        for tool in ("get_users", "list_products", "delete_everything"):
            await call(caller, tool)


async def test_a_call_is_counted_in_its_slot_and_in_its_quarter(gateway: RunningGateway, mock: str) -> None:
    await three_calls(gateway, mock)
    found = await traffic_of(gateway, "default/mock")
    for windows in (found.slots, found.quarters):
        assert sum(window.calls for window in windows) == 4
        assert sum(window.denied for window in windows) == 2
        assert sum(sum(window.buckets) for window in windows) == 4
        methods = sum((Counter(window.methods) for window in windows), Counter[str]())
        assert methods == {"tools/call": 3, "tools/list": 1}
        assert sum((Counter(window.statuses) for window in windows), Counter[str]()) == {"200": 4}
        outcomes = sum((Counter(window.outcomes) for window in windows), Counter[str]())
        assert outcomes == {"ok": 2, "denied": 1, "hidden": 1}
    assert found.names is not None
    assert {(use.method, use.name): use.calls for use in found.names.names} == {
        ("tools/call", "get_users"): 1,
        ("tools/call", "list_products"): 1,
    }


async def test_calls_tell_who_called_what_and_why_it_was_refused(gateway: RunningGateway, mock: str) -> None:
    await three_calls(gateway, mock)
    found = (await calls(gateway, {"proxy": "default/mock"})).calls
    assert [(each.method, each.name, each.outcome) for each in found] == [
        ("tools/list", "", CallOutcome.OK),
        ("tools/call", "get_users", CallOutcome.OK),
        ("tools/call", "list_products", CallOutcome.DENIED),
        ("tools/call", "delete_everything", CallOutcome.HIDDEN),
    ]
    assert [each.number for each in found] == [1, 2, 3, 4]
    assert (found[2].policy, found[2].rule, found[2].reason) == ("default/p", "no-list", "Denied")
    assert found[1].rule == "read"
    assert found[1].server == "up"
    assert found[1].duration_ms >= found[1].upstream_ms > 0
    assert found[2].upstream_ms == 0


async def test_refusals_are_counted_apart_by_name_and_rule(gateway: RunningGateway, mock: str) -> None:
    await three_calls(gateway, mock)
    async with mcp_caller(gateway.url()) as caller:
        await call(caller, "list_products")
    found = {each.name: each for each in (await refusals(gateway)).refusals}
    assert (found["list_products"].count, found["list_products"].rule) == (2, "no-list")
    assert (found["delete_everything"].count, found["delete_everything"].is_shadow) == (1, False)
    assert found["list_products"].first <= found["list_products"].last


async def test_what_no_proxy_serves_is_counted_and_displaces_no_call(gateway: RunningGateway, mock: str) -> None:
    await gateway.apply(gateway.entry("mock", mock))
    async with mcp_caller(gateway.url("nothing")) as caller:
        await caller.post(modern("tools/list"))
    (unrouted,) = (await traffic(gateway)).proxies
    assert unrouted.proxy == ""
    assert unrouted.quarters[0].statuses == {"404": 1}
    assert (await calls(gateway)).last == 0


async def test_a_reader_that_follows_gets_each_call_as_it_ends(gateway: RunningGateway, mock: str) -> None:
    await gateway.apply(gateway.entry("mock", mock), gateway.entry("other", mock))
    query = {"follow": "true", "proxy": "default/mock"}
    async with asyncio.timeout(TIMEOUT_SECONDS), asking(gateway, EvidencePath.CALLS.value, query) as response:
        lines = lines_of(response)
        assert (await anext(lines))["kind"] == "Calls"
        for proxy in ("other", "mock"):
            async with mcp_caller(gateway.url(proxy)) as caller:
                await call(caller, "get_users")
        line = await anext(lines)
    assert (line["kind"], line["proxy"], line["name"]) == ("Call", "default/mock", "get_users")


async def test_the_evidence_bearer_opens_evidence_and_nothing_else(gateway: RunningGateway, mock: str) -> None:
    await gateway.apply(gateway.entry("mock", mock))
    for path in EvidencePath:
        async with asking(gateway, path.value, token=b"wrong") as response:
            assert (response.status, response.headers["WWW-Authenticate"]) == (401, "Bearer"), path
        async with asking(gateway, path.value, token=gateway.admin_token) as response:
            assert response.status != 401, path
    for closed in ("/config", "/capture", "/limits", "/catalogue", "/definitions"):
        async with asking(gateway, closed) as response:
            assert response.status == 401, closed


async def test_in_a_header_of_its_own_a_bearer_opens_evidence_and_nothing_else(
    gateway: RunningGateway, mock: str
) -> None:
    await gateway.apply(gateway.entry("mock", mock))
    for path in EvidencePath:
        async with asking(gateway, path.value, header=TOKEN_HEADER) as response:
            assert response.status != 401, path
        for wrong in (b"wrong", b""):
            async with asking(gateway, path.value, header=TOKEN_HEADER, token=wrong) as response:
                assert response.status == 401, path
    for closed in ("/config", "/capture", "/limits", "/catalogue", "/definitions"):
        for token in (gateway.evidence_token, gateway.admin_token):
            async with asking(gateway, closed, header=TOKEN_HEADER, token=token) as response:
                assert response.status == 401, closed


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
async def test_nothing_can_be_written(gateway: RunningGateway, method: str) -> None:
    await gateway.apply()
    for path in EvidencePath:
        async with asking(gateway, path.value, method=method) as response:
            assert response.status == 405, path


@pytest.mark.parametrize(
    ("path", "query", "parameter"),
    [
        (EvidencePath.TRAFFIC, "x=1", "unknown parameter 'x'"),
        (EvidencePath.TRAFFIC, "range=0", "range: use a number from 1 to 86400"),
        (EvidencePath.TRAFFIC, "range=-1", "range: use"),
        (EvidencePath.TRAFFIC, "range=9e9", "range: use"),
        (EvidencePath.TRAFFIC, "range=" + "9" * 400, "range: use"),
        (EvidencePath.TRAFFIC, "parts=all", "parts: 'all' is none of"),
        (EvidencePath.TRAFFIC, "sum=yes", "sum: use true or false"),
        (EvidencePath.TRAFFIC, "&".join(f"proxy=a/{number}" for number in range(65)), "proxy: name at most 64"),
        (EvidencePath.CALLS, "after=x", "after: use a number"),
        (EvidencePath.CALLS, "limit=0", "limit: use a number from 1 to 4096"),
        (EvidencePath.REFUSALS, "namespace=" + "&namespace=".join(map(str, range(65))), "namespace: name at most 64"),
        (EvidencePath.LIMITS, "most=0", "most: use a number"),
    ],
)
async def test_a_query_that_cannot_be_used_is_told_so(
    gateway: RunningGateway, path: EvidencePath, query: str, parameter: str
) -> None:
    await gateway.apply()
    async with asking(gateway, path.value, query) as response:
        assert response.status == 400
        found = await response.json()
    assert found["reason"] == "InvalidQuery"
    assert found["message"].startswith(parameter)


async def test_a_proxy_that_is_made_again_has_no_evidence_of_the_one_before(gateway: RunningGateway, mock: str) -> None:
    await three_calls(gateway, mock)
    await gateway.apply(gateway.entry("mock", mock, uid="another"))
    assert (await traffic(gateway)).proxies == ()
    assert (await calls(gateway)).calls == ()
    assert (await refusals(gateway)).refusals == ()


async def test_switched_off_nothing_is_kept_and_the_answer_says_so(gateway: RunningGateway, mock: str) -> None:
    await three_calls(gateway, mock)
    gateway.settings = gateway.settings.model_copy(update={"evidence_recording": "Off"})
    await gateway.apply(*gateway.applied)
    async with mcp_caller(gateway.url()) as caller:
        await call(caller, "get_users")
    found = await traffic(gateway)
    assert (found.recording, found.proxies, (await calls(gateway)).calls) == (False, (), ())

    gateway.settings = gateway.settings.model_copy(update={"evidence_recording": None})
    await gateway.apply(*gateway.applied)
    async with mcp_caller(gateway.url()) as caller:
        await call(caller, "get_users")
    again = await traffic(gateway)
    assert (again.recording, len(again.proxies)) == (True, 1)
    assert again.since >= found.since


async def test_several_proxies_are_told_page_by_page_by_namespace_and_as_a_sum(
    gateway: RunningGateway, mock: str
) -> None:
    entries = [gateway.entry(name, mock) for name in ("a", "b", "c")]
    await gateway.apply(*entries, gateway.entry("d", mock, namespace="other"))
    for name in ("a", "b", "c", "d"):
        async with mcp_caller(gateway.url(name)) as caller:
            await call(caller, "get_users")
    first = await traffic(gateway, {"most": "2"})
    assert ([each.proxy for each in first.proxies], first.next) == (["default/a", "default/b"], "default/b")
    last = await traffic(gateway, {"most": "2", "after": first.next or ""})
    assert ([each.proxy for each in last.proxies], last.next) == (["default/c", "other/d"], None)
    assert [each.proxy for each in (await traffic(gateway, {"namespace": "other"})).proxies] == ["other/d"]
    (summed,) = (await traffic(gateway, {"namespace": "default", "sum": "true"})).proxies
    assert summed.total(now=first.now, seconds=900).calls == 3
    (total, *_) = (await traffic(gateway, {"parts": "total", "range": "900"})).proxies
    assert total.sum_of_range is not None
    assert (total.sum_of_range.calls, total.slots, total.names) == (1, (), None)


async def test_a_limit_gives_the_latest_calls_and_after_a_number_the_next_ones(
    gateway: RunningGateway, mock: str
) -> None:
    await gateway.apply(gateway.entry("mock", mock))
    async with mcp_caller(gateway.url()) as caller:
        for _ in range(5):
            await call(caller, "get_users")
    latest = await calls(gateway, {"limit": "2"})
    assert ([each.number for each in latest.calls], latest.next, latest.last) == ([4, 5], None, 5)
    after = await calls(gateway, {"after": "1", "limit": "2"})
    assert ([each.number for each in after.calls], after.next, after.missed) == ([2, 3], 3, 0)
    assert [each.number for each in (await calls(gateway, {"after": "99"})).calls] == [1, 2, 3, 4, 5]  # it restarted


async def test_definitions_tell_what_was_listed_and_which_version_runs(gateway: RunningGateway, mock: str) -> None:
    good = gateway.entry("mock", mock)
    await gateway.apply(good)
    async with mcp_caller(gateway.url()) as caller:
        await caller.post(modern("tools/list"))
    bad = {"name": "bad", "effect": "Deny", "tools": {"patterns": ["("]}}
    rejected = gateway.entry("mock", mock, [policy("p", bad)])
    await gateway.apply(rejected)
    found = await definitions(gateway, "default/mock")
    (tool,) = [item for item in found.servers[0].tools if item.name == "get_users"]
    assert tool.definition is not None
    assert tool.definition["inputSchema"]["type"] == "object"
    assert found.entry is not None
    assert found.entry.active == digest(good[0].canonical())
    assert found.entry.rejected is not None
    assert found.entry.rejected.digest == digest(rejected[0].canonical())
    assert found.entry.rejected.reason == "InvalidPattern"
    async with asking(gateway, EvidencePath.DEFINITIONS.value, {"proxy": "default/none"}) as response:
        assert (response.status, (await response.json())["reason"]) == (404, "NotServed")


HOSTILE_NAMES = [
    "\u202etxt.exe\u2066",
    "\x1b[31mred\x1b[0m\x00",
    "<script>alert(1)</script>",
    "x" * 500,
    "Authorization: Bearer abcdef0123456789",
    "postgres://root:hunter2hunter2@db/x",
    "\U0001f600" * 300,
]


@pytest.mark.parametrize("name", HOSTILE_NAMES, ids=range(len(HOSTILE_NAMES)))
async def test_names_that_callers_invent_are_cut_and_hold_no_secret(
    gateway: RunningGateway, mock: str, name: str
) -> None:
    await gateway.apply(gateway.entry("mock", mock, [policy("p", READ)]))
    async with mcp_caller(gateway.url()) as caller:
        await caller.initialize()
        await caller.post(legacy("tools/call", {"name": name, "arguments": {}}))
    (found,) = [each for each in (await calls(gateway)).calls if each.method == "tools/call"]
    (refused,) = (await refusals(gateway)).refusals
    assert found.name == refused.name
    assert len(found.name) <= 256
    assert "abcdef0123456789" not in found.name
    assert "hunter2" not in found.name
    names = (await traffic_of(gateway, "default/mock")).names
    assert names is None or names.names == ()  # no server has listed it


async def test_a_thousand_invented_names_leave_windows_and_refusals_bounded(gateway: RunningGateway, mock: str) -> None:
    await gateway.apply(gateway.entry("mock", mock, [policy("p", READ)]))
    async with mcp_caller(gateway.url()) as caller:
        for number in range(200):
            await call(caller, f"invented-{number}")
    found = (await refusals(gateway)).refusals
    assert len(found) == 65  # 64 names, and the rest together
    assert sum(each.count for each in found) == 200
    assert (await traffic_of(gateway, "default/mock")).quarters[0].outcomes == {"hidden": 200}


async def test_a_reader_that_follows_is_let_go_when_recording_ends(gateway: RunningGateway, mock: str) -> None:
    await gateway.apply(gateway.entry("mock", mock))
    async with (
        asyncio.timeout(TIMEOUT_SECONDS),
        asking(gateway, EvidencePath.CALLS.value, {"follow": "true"}) as response,
    ):
        lines = lines_of(response)
        assert (await anext(lines))["kind"] == "Calls"
        gateway.settings = gateway.settings.model_copy(update={"evidence_recording": "Off"})
        await gateway.apply(*gateway.applied)
        assert [line async for line in lines] == []
