"""What policies set, default and remove in requests, as servers get it."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web
from api_keys import AGENT_KEY, api_key, bearer, keyed
from gateways import RunningGateway, policy
from mcp_caller import McpCaller, modern
from mcp_clients import ERAS, Era, connect
from modern_server import modern_server
from rest_services import described, rest_service
from upstreams import Arrived, Upstream, answer, document, serving, with_handshake

from ostiary_core.contract.documents import HeaderConfig, PolicyDocument
from ostiary_core.contract.server_selection import RoutingRuleConfig
from ostiary_core.contract.transforms import TransformConfig

ALLOWED = {"name": "all", "effect": "Allow"}
FIND = {
    "name": "find",
    "inputSchema": {
        "type": "object",
        "properties": {"tenant": {"type": "string", "x-mcp-header": "Tenant"}, "q": {"type": "string"}},
    },
}


@pytest.fixture
async def upstream() -> AsyncIterator[Upstream]:
    async def script(_: web.BaseRequest, arrived: Arrived) -> web.StreamResponse:
        if not arrived.body:
            return web.Response(status=405)
        if arrived.method == "tools/list":
            return document(answer(arrived, {"tools": [FIND]}))
        return document(answer(arrived, {"content": []}))

    async with serving(with_handshake(script)) as upstream:
        yield upstream


def transformed(*transforms: dict[str, Any], rules: list[dict[str, Any]] | None = None) -> PolicyDocument:
    given = [TransformConfig.model_validate({"name": f"t{n}", **each}) for n, each in enumerate(transforms)]
    return policy("shape", *(rules or [ALLOWED])).model_copy(update={"transforms": given})


def at(*place: str, value: str) -> dict[str, Any]:
    return {"path": list(place), "value": value}


def call(**arguments: Any) -> dict[str, Any]:
    return modern("tools/call", {"name": "find", "arguments": arguments})


def sent(upstream: Upstream) -> dict[str, Any]:
    """The arguments of the last call that the server got."""
    arguments = [each for each in upstream.arrived if each.method == "tools/call"][-1].message["params"]["arguments"]
    assert isinstance(arguments, dict)
    return arguments


TENANT = {"arguments": {"set": [at("tenant", value="consumer")], "remove": [["debug"]]}}


@pytest.mark.parametrize("era", ERAS)
async def test_an_unchanged_client_of_the_sdk_is_served_with_transformed_arguments(
    gateway: RunningGateway, era: Era
) -> None:
    keys = keyed(api_key(AGENT_KEY, "default/support"))
    async with modern_server(tools=[FIND]) as upstream:
        await gateway.apply(gateway.entry("mock", upstream.url, [keys, transformed(TENANT)]))
        async with connect(gateway.url(), era=era, headers=bearer(AGENT_KEY)) as client:
            await client.call_tool("find", {"tenant": "evil", "q": "x", "debug": True})
        assert sent(upstream) == {"tenant": "default/support", "q": "x"}


@pytest.mark.parametrize("era", ERAS)
async def test_a_server_of_sessions_gets_the_same(gateway: RunningGateway, upstream: Upstream, era: Era) -> None:
    keys = keyed(api_key(AGENT_KEY, "default/support"))
    headers = {"headers": {"set": [{"name": "x-tool", "value": "request.name"}]}}
    entry, policies = gateway.entry("mock", upstream.url, [keys, transformed(TENANT, headers)])
    server = entry.servers[0].model_copy(update={"protocol_version": "2025-11-25"})
    await gateway.apply((entry.model_copy(update={"servers": [server]}), policies))
    async with connect(gateway.url(), era=era, headers=bearer(AGENT_KEY)) as client:
        await client.call_tool("find", {"tenant": "evil", "q": "x", "debug": True})
    assert sent(upstream) == {"tenant": "default/support", "q": "x"}
    [called] = [each for each in upstream.arrived if each.method == "tools/call"]
    assert called.headers["X-Tool"] == "find"


async def test_rules_about_arguments_judge_what_travels(
    gateway: RunningGateway, caller: McpCaller, upstream: Upstream
) -> None:
    only_acme = {**ALLOWED, "arguments": [{"path": ["tenant"], "const": "acme"}]}
    sets = {"arguments": {"set": [at("tenant", value="'acme'")]}}
    await gateway.apply(gateway.entry("mock", upstream.url, [transformed(sets, rules=[only_acme])]))
    assert "result" in (await caller.post(call(tenant="other"))).json
    assert sent(upstream) == {"tenant": "acme"}
    await gateway.apply(gateway.entry("mock", upstream.url, [transformed(TENANT, rules=[only_acme])]))
    assert (await caller.post(call(tenant="acme"))).result["isError"] is True
    assert upstream.count("tools/call") == 1


async def test_a_caller_that_may_not_know_a_tool_learns_nothing_of_its_transformations(
    gateway: RunningGateway, caller: McpCaller, upstream: Upstream
) -> None:
    other = {**ALLOWED, "tools": {"names": ["other"]}}
    failing = {"arguments": {"set": [at("tenant", value="claims.tenant")]}}
    await gateway.apply(gateway.entry("mock", upstream.url, [transformed(failing, rules=[other])]))
    assert (await caller.post(call())).error["message"] == "Unknown tool: find"


async def test_a_value_that_cannot_be_made_refuses_the_call_in_words_for_a_model(
    gateway: RunningGateway, caller: McpCaller, upstream: Upstream
) -> None:
    failing = {"arguments": {"set": [at("tenant", value="claims.tenant")]}}
    await gateway.apply(gateway.entry("mock", upstream.url, [transformed(failing)]))
    result = (await caller.post(call(q="canary"))).result
    assert result["isError"] is True
    text = result["content"][0]["text"]
    assert "claims" not in text
    assert "canary" not in text
    assert upstream.count("tools/call") == 0


async def test_mirrored_parameters_are_computed_again(
    gateway: RunningGateway, caller: McpCaller, upstream: Upstream
) -> None:
    sets = {"arguments": {"set": [at("tenant", value="'acme'")]}}
    await gateway.apply(gateway.entry("mock", upstream.url, [transformed(sets)]))
    await caller.post(modern("tools/list"))
    headers = {"Mcp-Param-Tenant": "evil", "Mcp-Param-Other": "x", "Mcp-Param-Free": "leak"}
    reply = await caller.post(call(tenant="evil", q="x"), headers)
    assert reply.status == 200
    given = upstream.arrived[-1].headers
    assert (given["Mcp-Param-Tenant"], given["Mcp-Param-Other"], given.get("Mcp-Param-Free")) == ("acme", "x", None)


async def test_a_header_that_contradicts_the_callers_own_body_is_refused_whatever_is_set(
    gateway: RunningGateway, caller: McpCaller, upstream: Upstream
) -> None:
    sets = {"arguments": {"set": [at("tenant", value="'acme'")]}}
    await gateway.apply(gateway.entry("mock", upstream.url, [transformed(sets)]))
    await caller.post(modern("tools/list"))
    reply = await caller.post(call(tenant="evil"), {"Mcp-Param-Tenant": "acme"})
    assert (reply.status, reply.error["code"]) == (400, -32020)
    assert upstream.count("tools/call") == 0


async def test_headers_are_set_and_defaulted_and_the_servers_own_are_not_replaced(
    gateway: RunningGateway, caller: McpCaller, upstream: Upstream
) -> None:
    headers = {
        "set": [{"name": "x-tool", "value": "request.name"}, {"name": "x-fixed", "value": "'evil'"}],
        "default": [{"name": "x-mode", "value": "'fast'"}, {"name": "x-other", "value": "'given'"}],
        "remove": ["x-gone"],
    }
    entry, policies = gateway.entry("mock", upstream.url, [transformed({"headers": headers})])
    server = entry.servers[0].model_copy(update={"headers": [HeaderConfig(name="X-Fixed", value="own")]})
    await gateway.apply((entry.model_copy(update={"servers": [server]}), policies))
    await caller.post(call(), {"X-Mode": "slow", "X-Gone": "1", "X-Tool": "evil"})
    given = upstream.arrived[-1].headers
    assert given.getall("X-Tool") == ["find"]
    assert given.getall("X-Fixed") == ["own"]
    assert (given["X-Mode"], given["X-Other"], given.get("X-Gone")) == ("slow", "given", None)


async def test_in_shadow_nothing_changes(gateway: RunningGateway, caller: McpCaller, upstream: Upstream) -> None:
    shadow = transformed(TENANT).model_copy(update={"mode": "Shadow", "name": "shadow"})
    await gateway.apply(gateway.entry("mock", upstream.url, [shadow]))
    await caller.post(call(tenant="t"))
    assert sent(upstream) == {"tenant": "t"}


async def test_of_several_servers_behind_one_endpoint_each_gets_what_is_for_it(
    gateway: RunningGateway, caller: McpCaller
) -> None:
    sets = {"arguments": {"set": [at("tenant", value="'acme'")]}, "servers": ["crm"]}
    async with modern_server(tools=[FIND]) as crm, modern_server(tools=[FIND]) as erp:
        entry, policies = gateway.entry("mock", crm.url, [transformed(sets)])
        first = entry.servers[0]
        servers = [
            first.model_copy(update={"name": "crm", "prefix": "crm_"}),
            first.model_copy(update={"name": "erp", "prefix": "erp_", "url": erp.url}),
        ]
        merged = entry.model_copy(update={"servers": servers, "server_selection": "Merge"})
        await gateway.apply((merged, policies))
        for tool in ("crm_find", "erp_find"):
            message = modern("tools/call", {"name": tool, "arguments": {"tenant": "t"}})
            assert (await caller.post(message, {"Mcp-Param-Tenant": "t"})).status == 200
        assert (sent(crm), sent(erp)) == ({"tenant": "acme"}, {"tenant": "t"})


async def test_routing_rules_read_what_travels(gateway: RunningGateway, caller: McpCaller) -> None:
    sets = {"arguments": {"set": [at("region", value="'eu'")]}}
    async with modern_server(tools=[FIND]) as eu, modern_server(tools=[FIND]) as us:
        entry, policies = gateway.entry("mock", eu.url, [transformed(sets)])
        first = entry.servers[0]
        servers = [first.model_copy(update={"name": "eu"}), first.model_copy(update={"name": "us", "url": us.url})]
        rules = [
            RoutingRuleConfig(name="eu", when='args.region == "eu"', servers=["eu"]),
            RoutingRuleConfig(name="us", servers=["us"]),
        ]
        routed = entry.model_copy(update={"servers": servers, "server_selection": "Route", "routing": rules})
        await gateway.apply((routed, policies))
        assert (await caller.post(call(region="us"))).status == 200
        assert (sent(eu), us.count("tools/call")) == ({"region": "eu"}, 0)


async def test_a_header_that_a_policy_sets_takes_the_place_of_a_rest_services_parameter(
    gateway: RunningGateway, caller: McpCaller
) -> None:
    parameters = [{"name": name, "in": "header", "schema": {"type": "string"}} for name in ("X-Tenant", "X-Other")]
    operation = {"operationId": "find", "parameters": parameters, "responses": {"200": {"description": "ok"}}}
    api = {"openapi": "3.1.0", "info": {"title": "w", "version": "1"}, "paths": {"/w": {"get": operation}}}

    async def script(request: web.BaseRequest, _: Arrived) -> web.StreamResponse:
        return web.json_response({name: request.headers.getall(name) for name in ("x-tenant", "x-other")})

    headers = {"headers": {"set": [{"name": "x-tenant", "value": "'acme'"}]}}
    async with rest_service(script) as service:
        await gateway.apply(gateway.entry("mock", service.url, [transformed(headers)], server=described(api)))
        result = (await caller.post(call(**{"X-Tenant": "evil", "X-Other": "o"}))).result
    assert "evil" not in str(result)
    assert result["structuredContent"] == {"x-tenant": ["acme"], "x-other": ["o"]}
