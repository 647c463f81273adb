"""What agents see of limits: results that a model understands, the same as data, and exact counts (rows TA-1, TA-2)."""

import asyncio
import json
from datetime import datetime
from typing import Any

import pytest
from aiohttp import web
from api_keys import AGENT_KEY, OTHER_KEY, api_key, bearer, keyed
from gateways import SHORT_CONNECT_TIMEOUT, RunningGateway
from limits import limit_config, limiting
from mcp import MCPError
from mcp.types import TextContent
from mcp_caller import McpCaller, legacy, mcp_caller, modern
from mcp_clients import ERAS, Era, connect
from upstreams import Arrived, Upstream, answer, document, events, serving, with_handshake

META = "dev.ostiary/limit"
USERS = {"verbs": ["Call"], "names": ["get_users"]}


def call(tool: str = "get_users", arguments: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    return modern("tools/call", {"name": tool, "arguments": arguments or {}}, **more)


@pytest.mark.parametrize("era", ERAS)
async def test_a_limited_tool_answers_a_result_that_says_what_is_used_up_and_when_it_is_possible_again(
    mock: str, gateway: RunningGateway, era: Era
) -> None:
    await gateway.apply(gateway.entry("mock", mock, [limiting(limit_config(tools=USERS, requests=3))]))

    async with connect(gateway.url(), era=era) as client:
        passed = [await client.call_tool("get_users", {}) for _ in range(3)]
        refused = await client.call_tool("get_users", {})
        other = await client.call_tool("echo", {"message": "still there"})

    assert [result.is_error for result in passed] == [False] * 3
    assert not other.is_error
    [content] = refused.content
    assert isinstance(content, TextContent)
    assert refused.is_error
    assert content.text.startswith(
        "Limit reached: get_users cannot be called now. 3 requests are allowed per day, and all 3 are used."
    )
    assert "Do not call it before then; go on with other work." in content.text
    assert refused.meta is not None
    data = refused.meta[META]
    assert {name: data[name] for name in ("unit", "limit", "remaining")} == {
        "unit": "requests",
        "limit": 3,
        "remaining": 0,
    }
    assert 86_000_000 < data["retryAfterMs"] <= 86_400_000
    assert datetime.fromisoformat(data["resetAt"]).utcoffset() is not None
    assert "limits" not in content.text, "the name of the policy is not the caller's business"


@pytest.mark.parametrize("era", ERAS)
async def test_other_methods_get_an_error_with_the_same_data(mock: str, gateway: RunningGateway, era: Era) -> None:
    limits = [limit_config("lists", tools={"verbs": ["List"]}, requests=1), limit_config("prompts", prompts={})]
    await gateway.apply(gateway.entry("mock", mock, [limiting(*limits)]))

    async with connect(gateway.url(), era=era) as client:
        await client.list_tools()
        with pytest.raises(MCPError) as refused:
            await client.list_tools()
        assert len((await client.list_prompts()).prompts) > 0

    error = refused.value.error
    assert error.code == -31002
    assert {name: error.data[name] for name in ("reason", "unit", "limit", "remaining")} == {
        "reason": "LimitReached",
        "unit": "requests",
        "limit": 1,
        "remaining": 0,
    }
    assert "tools/list" in error.message


async def test_a_call_for_a_task_gets_an_error_since_its_result_has_another_shape(
    gateway: RunningGateway, upstream: Upstream, caller: McpCaller
) -> None:
    await gateway.apply(gateway.entry("mock", upstream.url, [limiting(limit_config(requests=1))]))
    await caller.initialize()
    await caller.post(legacy("tools/call", {"name": "t"}))

    reply = await caller.post(legacy("tools/call", {"name": "t", "task": {"ttl": 1000}}))
    assert (reply.status, reply.error["code"], reply.error["data"]["reason"]) == (200, -31002, "LimitReached")


async def test_lifecycle_and_notifications_are_not_counted(
    gateway: RunningGateway, upstream: Upstream, caller: McpCaller
) -> None:
    await gateway.apply(gateway.entry("mock", upstream.url, [limiting(limit_config(requests=1))]))
    for _ in range(3):
        await caller.initialize()
        assert (await caller.post(legacy("ping"))).status == 200

    assert "result" in (await caller.post(legacy("tools/call", {"name": "t"}))).json


async def test_callers_are_counted_apart_or_together_as_the_limit_says(
    gateway: RunningGateway, upstream: Upstream
) -> None:
    keys = keyed(api_key(AGENT_KEY, "default/a"), api_key(OTHER_KEY, "default/b"))
    apart = limit_config("apart", tools={"names": ["apart"]}, per=["Consumer"], requests=1)
    together = limit_config("together", tools={"names": ["together"]}, per=["Gateway"], requests=1)
    await gateway.apply(gateway.entry("mock", upstream.url, [keys, limiting(apart, together)]))

    found: dict[str, list[bool]] = {}
    for tool in ("apart", "together"):
        for key in (AGENT_KEY, OTHER_KEY):
            async with mcp_caller(gateway.url(), credential=bearer(key)) as agent:
                reply = await agent.post(call(tool))
                found.setdefault(tool, []).append(bool(reply.result.get("isError")))

    assert found == {"apart": [False, False], "together": [False, True]}


async def test_a_limit_counts_over_all_proxies_of_its_policy_unless_it_counts_them_apart(
    gateway: RunningGateway, upstream: Upstream
) -> None:
    shared = limit_config("all", tools={"names": ["all"]}, requests=1)
    apart = limit_config("each", tools={"names": ["each"]}, per=["Principal", "Proxy"], requests=1)
    policy = limiting(shared, apart)
    await gateway.apply(*(gateway.entry(name, upstream.url, [policy]) for name in ("one", "two")))

    found = {}
    for tool in ("all", "each"):
        for proxy in ("one", "two"):
            async with mcp_caller(gateway.url(proxy)) as agent:
                found[tool, proxy] = bool((await agent.post(call(tool))).result.get("isError"))

    assert [proxy for proxy, refused in found.items() if refused] == [("all", "two")]


async def test_the_tightest_of_several_limits_answers(
    gateway: RunningGateway, upstream: Upstream, caller: McpCaller
) -> None:
    limits = [limit_config("minute", requests=1, window=60_000), limit_config("day", requests=1)]
    await gateway.apply(gateway.entry("mock", upstream.url, [limiting(*limits)]))

    await caller.post(call())
    refused = (await caller.post(call())).result
    assert refused["_meta"][META]["retryAfterMs"] > 80_000_000


async def test_a_refused_call_reaches_no_server_and_consumes_nothing(
    gateway: RunningGateway, upstream: Upstream, caller: McpCaller
) -> None:
    limits = [limit_config("few", tools={"names": ["few"]}, requests=1), limit_config("all", requests=3)]
    await gateway.apply(gateway.entry("mock", upstream.url, [limiting(*limits)]))

    answers = [await caller.post(call("few")) for _ in range(5)]
    assert [bool(each.result.get("isError")) for each in answers] == [False, True, True, True, True]
    assert upstream.count("tools/call") == 1
    answers = [await caller.post(call("other")) for _ in range(3)]
    assert [bool(each.result.get("isError")) for each in answers] == [False, False, True]


async def test_exactly_the_amount_passes_of_many_calls_at_once(gateway: RunningGateway, upstream: Upstream) -> None:
    await gateway.apply(gateway.entry("mock", upstream.url, [limiting(limit_config(requests=100))]))
    async with mcp_caller(gateway.url()) as agent:
        answers = await asyncio.gather(*(agent.post(call(id=number)) for number in range(150)))

    assert sum(not each.result.get("isError") for each in answers) == 100
    assert upstream.count("tools/call") == 100


async def test_a_call_that_never_reached_its_server_gives_its_units_back(
    gateway: RunningGateway, upstream: Upstream, caller: McpCaller
) -> None:
    policy = limiting(limit_config(requests=1, concurrency=1))
    nowhere = "http://127.0.0.1:9/mcp"
    await gateway.apply(gateway.entry("mock", nowhere, [policy], timeouts=SHORT_CONNECT_TIMEOUT))
    for _ in range(3):
        assert (await caller.post(call())).error["code"] == -31003

    await gateway.apply(gateway.entry("mock", upstream.url, [policy]))
    assert not (await caller.post(call())).result.get("isError")
    assert (await caller.post(call())).result["isError"]


async def test_a_call_that_its_server_got_is_counted_however_it_ended(gateway: RunningGateway) -> None:
    async def script(request: web.BaseRequest, _: Arrived) -> web.StreamResponse:
        assert request.transport is not None
        request.transport.close()
        return web.Response()

    async with serving(with_handshake(script)) as upstream, mcp_caller(gateway.url()) as agent:
        await gateway.apply(gateway.entry("mock", upstream.url, [limiting(limit_config(requests=1))]))
        assert (await agent.post(call())).error["code"] == -31003
        assert (await agent.post(call())).result["isError"]


async def test_a_limit_of_concurrency_counts_requests_in_flight(gateway: RunningGateway) -> None:
    gate = asyncio.Event()

    async def script(_: web.BaseRequest, arrived: Arrived) -> web.StreamResponse:
        if arrived.message["params"]["name"] == "slow":
            await gate.wait()
        return document(answer(arrived, {"content": []}))

    async with serving(with_handshake(script)) as upstream, mcp_caller(gateway.url()) as agent:
        await gateway.apply(gateway.entry("mock", upstream.url, [limiting(limit_config(concurrency=1))]))
        slow = asyncio.create_task(agent.post(call("slow")))
        await upstream.first("tools/call")
        refused = (await agent.post(call("quick"))).result
        gate.set()
        await slow
        passed = (await agent.post(call("quick"))).result

    assert refused["_meta"][META] == {
        "unit": "concurrency",
        "limit": 1,
        "remaining": 0,
        "retryAfterMs": 1000,
        "resetAt": None,
    }
    assert not passed.get("isError")


async def test_a_request_that_is_too_large_reaches_no_server(
    gateway: RunningGateway, upstream: Upstream, caller: McpCaller
) -> None:
    await gateway.apply(gateway.entry("mock", upstream.url, [limiting(limit_config(requestBytes=2000))]))

    refused = (await caller.post(call(arguments={"text": "x" * 3000}))).result
    assert refused["_meta"][META] | {"unit": "requestBytes", "limit": 2000} == refused["_meta"][META]
    assert "larger than the 2000 bytes" in refused["content"][0]["text"]
    assert upstream.count("tools/call") == 0
    assert not (await caller.post(call(arguments={"text": "x"}))).result.get("isError")
    uri = "x://" + "y" * 3000
    error = (await caller.post(modern("resources/read", {"uri": uri}))).error
    assert (error["code"], error["data"]["reason"]) == (-31006, "TooLarge")


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("size", [1500, 200_000])
async def test_a_response_that_is_too_large_is_withheld(gateway: RunningGateway, streamed: bool, size: int) -> None:
    async def script(request: web.BaseRequest, arrived: Arrived) -> web.StreamResponse:
        text = "x" * (size if arrived.message["params"]["name"] == "large" else 10)
        result = answer(arrived, {"content": [{"type": "text", "text": text}]})
        if not streamed:
            return document(result)
        async with events(request) as stream:
            await stream.send(result)
        return stream.response

    async with serving(with_handshake(script)) as upstream, mcp_caller(gateway.url()) as agent:
        await gateway.apply(gateway.entry("mock", upstream.url, [limiting(limit_config(responseBytes=1000))]))
        refused = (await agent.post(call("large"))).result
        passed = (await agent.post(call("small"))).result

    assert refused["_meta"][META]["unit"] == "responseBytes"
    assert "xxx" not in json.dumps(refused)
    assert not passed.get("isError")
    assert gateway.app.store.snapshot is not None
    health = gateway.app.store.snapshot.proxies["default/mock"].server.health
    assert health.fault is None, "the server did nothing wrong"


async def test_what_a_result_costs_is_charged_when_it_is_known(gateway: RunningGateway) -> None:
    async def script(_: web.BaseRequest, arrived: Arrived) -> web.StreamResponse:
        tokens = arrived.message["params"]["arguments"]["tokens"]
        return document(answer(arrived, {"content": [], "structuredContent": {"usage": {"total": tokens}}}))

    weight = {"tools": {"names": ["ask"]}, "result": "result.structuredContent.usage.total"}
    policy = limiting(limit_config(budget=1000, weights=[weight]))
    async with serving(with_handshake(script)) as upstream, mcp_caller(gateway.url()) as agent:
        await gateway.apply(gateway.entry("mock", upstream.url, [policy]))
        first = (await agent.post(call("ask", {"tokens": 600}))).result
        second = (await agent.post(call("ask", {"tokens": 900}))).result
        third = (await agent.post(call("ask", {"tokens": 1}))).result

    assert (first.get("isError"), second.get("isError")) == (None, None), "what is left is known only afterwards"
    data = third["_meta"][META]
    assert (data["unit"], data["limit"], data["remaining"]) == ("cost", 1000, 0)


async def test_a_policy_in_shadow_mode_limits_nothing(
    gateway: RunningGateway, upstream: Upstream, caller: McpCaller
) -> None:
    limits = [limit_config("calls", requests=1, concurrency=1), limit_config("size", requestBytes=10, responseBytes=10)]
    await gateway.apply(gateway.entry("mock", upstream.url, [limiting(*limits, mode="Shadow")]))

    answers = [await caller.post(call()) for _ in range(5)]
    assert [each.result.get("isError") for each in answers] == [None] * 5
    assert upstream.count("tools/call") == 5


async def test_a_changed_policy_keeps_what_was_used(
    gateway: RunningGateway, upstream: Upstream, caller: McpCaller
) -> None:
    for amount, passed in ((2, 2), (3, 1), (2, 0)):
        policy = limiting(limit_config(requests=amount), generation=amount)
        await gateway.apply(gateway.entry("mock", upstream.url, [policy]))
        answers = [await caller.post(call()) for _ in range(4)]
        assert sum(not each.result.get("isError") for each in answers) == passed
