"""Rules that depend on the caller and on the message, at a real gateway."""

from typing import Any

import pytest
from aiohttp import web
from api_keys import AGENT_KEY, OTHER_KEY, api_key, bearer, keyed
from gateways import RunningGateway, policy
from mcp_caller import McpCaller, mcp_caller, modern
from mcp_clients import ERAS, Era, connect
from upstreams import Arrived, Upstream, answer, document, events, serving

from ostiary_core.contract.access import SubjectConfig
from ostiary_core.contract.documents import PolicyDocument

KEYS = keyed(api_key(AGENT_KEY, "default/support", groups=["support"]), api_key(OTHER_KEY, "default/admin"))


def governed(*rules: dict[str, Any], subjects: list[SubjectConfig] | None = None, name: str = "p") -> PolicyDocument:
    return policy(name, *rules).model_copy(update={"subjects": subjects})


def call(name: str, **arguments: Any) -> dict[str, Any]:
    return modern("tools/call", {"name": name, "arguments": arguments})


async def tools(gateway: RunningGateway, key: str, era: Era) -> list[str]:
    async with connect(gateway.url(), era=era, headers=bearer(key)) as client:
        return sorted(tool.name for tool in (await client.list_tools()).tools)


@pytest.mark.parametrize("era", ERAS)
async def test_each_caller_sees_and_calls_what_its_own_policy_allows(
    gateway: RunningGateway, mock: str, era: Era
) -> None:
    read = {"name": "read", "effect": "Allow", "tools": {"names": ["get_*"]}}
    support = governed(read, subjects=[SubjectConfig(groups=["support"])], name="support")
    everything = {"name": "all", "effect": "Allow"}
    admin = governed(everything, subjects=[SubjectConfig(consumers=["default/admin"])], name="admin")
    await gateway.apply(gateway.entry("mock", mock, [KEYS, support, admin]))
    seen, all_tools = await tools(gateway, AGENT_KEY, era), await tools(gateway, OTHER_KEY, era)
    assert seen == [name for name in all_tools if name.startswith("get_")]
    assert len(seen) < len(all_tools)


@pytest.mark.parametrize(("key", "allowed"), [(AGENT_KEY, True), (OTHER_KEY, False)])
async def test_a_condition_over_the_caller_decides(
    gateway: RunningGateway, caller: McpCaller, mock: str, key: str, allowed: bool
) -> None:
    rule = {"name": "support", "effect": "Allow", "when": "authenticated && 'support' in groups"}
    await gateway.apply(gateway.entry("mock", mock, [KEYS, governed(rule)]))
    answer = await caller.post(call("get_users"), bearer(key))
    assert ("result" in answer.json) is allowed
    if not allowed:
        assert answer.error["message"] == "Unknown tool: get_users"


async def test_a_call_outside_the_constraints_is_told_what_they_are_and_never_reaches_the_server(
    gateway: RunningGateway, caller: McpCaller, upstream: Upstream
) -> None:
    limit = {"path": ["amount"], "maximum": 1000}
    rule = {"name": "pay", "effect": "Allow", "tools": {"names": ["pay"]}, "arguments": [limit]}
    await gateway.apply(gateway.entry("mock", upstream.url, [KEYS, governed(rule)]))

    given = "must be given"
    spelled = "must be given in exactly this spelling, without another that differs only in upper and lower case,"
    outside: list[tuple[dict[str, Any], str]] = [
        ({"amount": 5000}, given),
        ({"amount": "5"}, given),
        ({}, given),
        ({"amount": 1, "Amount": 5000}, spelled),
    ]
    for arguments, constraint in outside:
        answer = (await caller.post(call("pay", **arguments), bearer(AGENT_KEY))).json["result"]
        assert answer["isError"] is True
        assert answer["content"][0]["text"] == (
            f"Denied by policy: tool pay: argument 'amount' {constraint} and be a number of at most 1000. "
            "Change the arguments accordingly before you call it again."
        )
    assert upstream.arrived == []
    await caller.post(call("pay", amount=1000), bearer(AGENT_KEY))
    assert [each.method for each in upstream.arrived] == ["tools/call"]


async def test_a_condition_over_the_message_reads_no_credential(
    gateway: RunningGateway, caller: McpCaller, mock: str
) -> None:
    rule = {"name": "r", "effect": "Allow", "when": "!('authorization' in headers) && headers['x-team'] == 'a'"}
    await gateway.apply(gateway.entry("mock", mock, [KEYS, governed(rule)]))
    assert "content" in (await caller.post(call("get_users"), {**bearer(AGENT_KEY), "X-Team": "a"})).json["result"]
    refused = await caller.post(call("get_users"), {**bearer(AGENT_KEY), "X-Team": "b"})
    assert "only under conditions" in refused.json["result"]["content"][0]["text"]


@pytest.mark.parametrize("era", ERAS)
async def test_an_official_client_sees_the_constraints_in_the_input_schema(
    gateway: RunningGateway, mock: str, era: Era
) -> None:
    one = {"path": ["user_id"], "minimum": 1, "maximum": 3}
    rule = {"name": "few", "effect": "Allow", "tools": {"names": ["get_user"]}, "arguments": [one]}
    await gateway.apply(gateway.entry("mock", mock, [KEYS, governed(rule)]))
    async with connect(gateway.url(), era=era, headers=bearer(AGENT_KEY)) as client:
        (tool,) = (await client.list_tools()).tools
        assert (
            tool.input_schema["properties"]["user_id"] | {"minimum": 1, "maximum": 3}
            == (tool.input_schema["properties"]["user_id"])
        )
        assert "user_id" in tool.input_schema["required"]
        assert (await client.call_tool(tool.name, {"user_id": 4})).is_error
        assert not (await client.call_tool(tool.name, {"user_id": 1})).is_error


CACHED = {"ttlMs": 60_000, "cacheScope": "public"}
CACHEABLE: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "tools/list": ({}, {"tools": [{"name": "get_users", "inputSchema": {"type": "object"}}]}),
    "resources/list": ({}, {"resources": [{"uri": "x://y", "name": "y"}]}),
    "resources/read": ({"uri": "x://y"}, {"contents": [{"uri": "x://y", "text": '"cacheScope":"public"'}]}),
    "server/discover": ({}, {"supportedVersions": ["2026-07-28"], "capabilities": {}}),
}


@pytest.mark.parametrize("form", ["JSON", "events"])
@pytest.mark.parametrize("method", CACHEABLE)
async def test_no_cache_may_show_what_an_authenticated_caller_read_to_another(
    gateway: RunningGateway, method: str, form: str
) -> None:
    params, result = CACHEABLE[method]

    async def script(request: web.BaseRequest, arrived: Arrived) -> web.StreamResponse:
        response = answer(arrived, {**result, **CACHED})
        if form == "JSON":
            return document(response)
        async with events(request) as stream:
            await stream.send(response)
        return stream.response

    async with serving(script) as upstream, mcp_caller(gateway.url()) as caller:
        await gateway.apply(gateway.entry("mock", upstream.url))
        shared = (await caller.post(modern(method, params))).result
        everything = governed({"name": "all", "effect": "Allow"})
        await gateway.apply(gateway.entry("mock", upstream.url, [KEYS, everything]))
        own = [(await caller.post(modern(method, params), bearer(AGENT_KEY))).result for _ in range(3)]

    assert shared["cacheScope"] == "public"
    assert own == [{**shared, "cacheScope": "private"}] * 3
