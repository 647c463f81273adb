"""What operators see of limits: spans, metrics, logs and the page of the admin port."""

import logging
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from api_keys import AGENT_KEY, OTHER_KEY, api_key, bearer, keyed
from gateways import RunningGateway, running_gateway
from limits import limit_config, limiting
from mcp_caller import McpCaller, Reply, mcp_caller, modern
from otlp_sink import SinkSpan, http_sink
from prometheus_client.parser import text_string_to_metric_families
from upstreams import Arrived, Upstream, answer, document, serving, with_handshake

from ostiary_gateway.telemetry import Telemetry

TOKEN = {"Authorization": "Bearer admin-for-tests"}


def call(tool: str = "get_users") -> dict[str, Any]:
    return modern("tools/call", {"name": tool, "arguments": {}})


async def admin(gateway: RunningGateway, path: str, headers: dict[str, str] | None = None) -> Reply:
    url = f"http://127.0.0.1:{gateway.app.admin_port}{path}"
    async with aiohttp.ClientSession() as http, http.get(url, headers=headers or {}) as response:
        return Reply(response.status, response.headers, await response.read())


async def usage(gateway: RunningGateway, query: str = "") -> dict[str, Any]:
    reply = await admin(gateway, f"/limits{query}", TOKEN)
    assert reply.status == 200, reply
    found: dict[str, Any] = reply.json
    return found


async def metrics(gateway: RunningGateway, name: str) -> dict[tuple[str, ...], float]:
    """The values of a metric by the values of its labels, in the order of the labels' names."""
    text = (await admin(gateway, "/metrics")).body.decode()
    samples = (sample for family in text_string_to_metric_families(text) for sample in family.samples)
    return {
        tuple(value for _, value in sorted(sample.labels.items())): sample.value
        for sample in samples
        if sample.name == name
    }


async def spans_of(upstream: Upstream, *, shadow: bool) -> list[SinkSpan]:
    """The SERVER spans of two calls under a limit of one."""
    with http_sink() as sink:
        telemetry = Telemetry.from_env({"OTEL_EXPORTER_OTLP_ENDPOINT": sink.endpoint})
        async with running_gateway(telemetry=telemetry) as gateway, mcp_caller(gateway.url()) as agent:
            policy = limiting(limit_config("few", requests=1), **({"mode": "Shadow"} if shadow else {}))
            await gateway.apply(gateway.entry("mock", upstream.url, [policy]))
            for _ in range(2):
                await agent.post(call())
        found = sink.wait_for(lambda spans: sum(span.kind == "SERVER" for span in spans) == 2)
    return sorted((span for span in found if span.kind == "SERVER"), key=lambda span: span.start_ns)


async def test_the_span_of_a_limited_call_names_policy_limit_and_reason(upstream: Upstream) -> None:
    passed, limited = await spans_of(upstream, shadow=False)
    assert not [name for name in passed.attributes if name.startswith("ostiary.limit")]
    found = {name: limited.attributes[f"ostiary.limit.{name}"] for name in ("decision", "policy", "name", "reason")}
    assert found == {"decision": "limited", "policy": "default/limits", "name": "few", "reason": "LimitReached"}
    assert (limited.attributes["error.type"], limited.status) == ("-31002", "ERROR")
    assert limited.description == "LimitReached by policy default/limits, limit few"


async def test_the_span_of_a_call_that_only_shadow_mode_would_refuse_says_so(upstream: Upstream) -> None:
    _, shadowed = await spans_of(upstream, shadow=True)
    assert shadowed.attributes["ostiary.limit.decision"] == "shadow"
    assert (shadowed.attributes["ostiary.limit.name"], shadowed.status) == ("few", "UNSET")


async def test_metrics_count_decisions_by_limit_and_forget_limits_that_are_gone(
    gateway: RunningGateway, upstream: Upstream, caller: McpCaller, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    shadow = limiting(limit_config("quiet", requests=2), name="counted-shadow", mode="Shadow")
    policies = [limiting(limit_config("few", requests=3), name="counted"), shadow]
    await gateway.apply(gateway.entry("mock", upstream.url, policies))
    for _ in range(5):
        await caller.post(call())

    decisions = await metrics(gateway, "ostiary_limit_decisions_total")
    assert decisions == {
        ("allowed", "few", "default/counted"): 3,
        ("limited", "few", "default/counted"): 2,
        ("shadow", "few", "default/counted"): 0,
        ("allowed", "quiet", "default/counted-shadow"): 2,
        ("limited", "quiet", "default/counted-shadow"): 0,
        ("shadow", "quiet", "default/counted-shadow"): 1,
    }
    assert await metrics(gateway, "ostiary_limit_keys") == {(): 2}
    logged = [record.getMessage() for record in caplog.records if "default/counted:" in record.getMessage()]
    assert logged == ["policy default/counted: limit few refused tools/call of 'get_users' by anonymous: LimitReached"]

    await gateway.apply(gateway.entry("mock", upstream.url))
    assert await metrics(gateway, "ostiary_limit_decisions_total") == {}


async def test_the_page_of_limits_shows_what_each_key_has_used(gateway: RunningGateway, upstream: Upstream) -> None:
    keys = keyed(api_key(AGENT_KEY, "default/a"), api_key(OTHER_KEY, "default/b"))
    daily = limit_config("daily", tools={"names": ["get_users"]}, per=["Consumer", "Tool"], requests=5, concurrency=3)
    busy = limit_config("busy", per=["Gateway"], concurrency=7)
    await gateway.apply(gateway.entry("mock", upstream.url, [keys, limiting(daily, busy)]))
    for key, times in ((AGENT_KEY, 2), (OTHER_KEY, 1)):
        async with mcp_caller(gateway.url(), credential=bearer(key)) as agent:
            for _ in range(times):
                await agent.post(call())

    page = await usage(gateway)
    assert (page["next"], page["counters"], len(page["keys"])) == (None, "Local", 2)
    [first, second] = page["keys"]
    reset_at = first.pop("resetAt")
    assert reset_at.endswith("Z")
    assert first == {
        "policy": "default/limits",
        "limit": "daily",
        "key": "uid-limits/daily/default%2Fa/get_users",
        "dimensions": {"Consumer": "default/a", "Tool": "get_users"},
        "unit": "requests",
        "used": 2,
        "amount": 5,
        "remaining": 3,
        "concurrency": {"used": 0, "amount": 3},
    }
    assert second["dimensions"]["Consumer"] == "default/b"
    assert page["replica"]


async def test_the_page_shows_limits_as_they_are_now(
    gateway: RunningGateway, upstream: Upstream, caller: McpCaller
) -> None:
    async def shown(**members: Any) -> list[tuple[int, int, int]]:
        await gateway.apply(gateway.entry("mock", upstream.url, [limiting(limit_config("daily", **members))]))
        return [(key["used"], key["amount"], key["remaining"]) for key in (await usage(gateway))["keys"]]

    assert await shown(requests=3) == []
    await caller.post(call())
    assert await shown(requests=9) == [(1, 9, 8)], "before the next call of the key"
    assert await shown(requests=9, per=["Tool"]) == [], "it counts by other counters now"


async def test_the_page_is_paged_and_filtered(gateway: RunningGateway, upstream: Upstream, caller: McpCaller) -> None:
    limits = [limit_config(name, requests=9) for name in ("a", "b", "c")]
    one, two = limiting(*limits), limiting(limit_config("d"), name="more")
    await gateway.apply(gateway.entry("mock", upstream.url, [one]), gateway.entry("other", upstream.url, [two]))
    await caller.post(call())
    async with mcp_caller(gateway.url("other")) as agent:
        await agent.post(call())

    first = await usage(gateway, "?most=3")
    rest = await usage(gateway, f"?most=3&after={first['next']}")
    assert [key["limit"] for key in (*first["keys"], *rest["keys"])] == ["a", "b", "c", "d"]
    assert [key["limit"] for key in (await usage(gateway, "?policy=default/more"))["keys"]] == ["d"]
    assert len((await usage(gateway, "?proxy=default/mock"))["keys"]) == 3
    assert (await usage(gateway, "?proxy=default/none"))["keys"] == []


@pytest.mark.parametrize("most", ["0", "1001", "-1", "x", "9" * 5000, "%C2%B2"])
async def test_the_page_says_which_parameter_is_wrong(gateway: RunningGateway, most: str) -> None:
    await gateway.apply()
    reply = await admin(gateway, f"/limits?most={most}", TOKEN)
    assert (reply.status, reply.body) == (400, b"most: use a number from 1 to 1000\n")


async def test_the_page_needs_the_bearer_token(gateway: RunningGateway) -> None:
    await gateway.apply()
    for headers in ({}, {"Authorization": "Bearer wrong"}):
        assert (await admin(gateway, "/limits", headers)).status == 401


async def test_metrics_say_what_each_tool_cost(gateway: RunningGateway, caller: McpCaller) -> None:
    async def script(_: web.BaseRequest, arrived: Arrived) -> web.StreamResponse:
        return document(answer(arrived, {"content": [], "structuredContent": {"tokens": 40}}))

    weights = [
        {"tools": {"names": ["search"]}, "units": 5},
        {"tools": {"names": ["ask"]}, "result": "result.structuredContent.tokens"},
    ]
    limits = [
        limit_config("tokens", budget=1000, weights=weights, tools={"verbs": ["Call"]}),
        limit_config("calls", requests=1000),
    ]
    async with serving(with_handshake(script)) as upstream:
        servers = {"mock": upstream.url, "dead": "http://127.0.0.1:1/mcp"}
        await gateway.apply(*(gateway.entry(name, url, [limiting(*limits)]) for name, url in servers.items()))
        for tool in ("search", "search", "ask", "invented-1", "invented-2"):
            await caller.post(call(tool))
        async with mcp_caller(gateway.url("dead")) as unlucky:
            await unlucky.post(call("search"))
        costs = await metrics(gateway, "ostiary_limit_cost_units_total")
        await gateway.apply(gateway.entry("mock", upstream.url))

    assert costs == {
        ("search", "tokens", "default/limits", "default/mock"): 10,
        ("ask", "tokens", "default/limits", "default/mock"): 40,
        ("tokens", "default/limits", "default/mock"): 2,
    }
    assert not await metrics(gateway, "ostiary_limit_cost_units_total"), "the limit is gone"


async def test_a_policy_in_shadow_mode_shows_what_calls_cost_beyond_its_budget(
    gateway: RunningGateway, upstream: Upstream, caller: McpCaller
) -> None:
    weights = [{"tools": {"names": ["search"]}, "units": 5}]
    policy = limiting(limit_config("tokens", budget=6, weights=weights), mode="Shadow")
    await gateway.apply(gateway.entry("mock", upstream.url, [policy]))
    for _ in range(3):
        await caller.post(call("search"))

    costs = await metrics(gateway, "ostiary_limit_cost_units_total")
    assert costs == {("search", "tokens", "default/limits", "default/mock"): 15}
