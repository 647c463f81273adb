"""A proxy with routing rules at a real gateway: who reaches which server, and what reaches none."""

import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import pytest
from aiohttp import web
from api_keys import AGENT_KEY, OTHER_KEY, api_key, bearer, keyed
from gateways import LONG_TIMEOUTS, LOOPBACK, RunningGateway, running_gateway
from mcp_caller import McpCaller, legacy, mcp_caller, modern
from mcp_clients import eventually
from otlp_sink import http_sink
from upstreams import Arrived, Upstream, answer, document, serving, with_handshake

from ostiary_core.contract.documents import EntryDocument, PolicyDocument, ServerConfig
from ostiary_core.contract.server_selection import ListCacheConfig, RoutingRuleConfig
from ostiary_gateway.telemetry import Telemetry

EU, US = bearer(AGENT_KEY), bearer(OTHER_KEY)
THIRD_KEY = "third-key-0123456789"
KEYS = keyed(
    api_key(AGENT_KEY, "default/eu-agent", groups=["eu"]),
    api_key(OTHER_KEY, "default/us-agent", groups=["us"]),
    api_key(THIRD_KEY, "default/elsewhere"),
)
BY_GROUP = (("eu", '"eu" in groups', ["eu", "eu-2"]), ("us", '"us" in groups', ["us"]))
CALL = modern("tools/call", {"name": "get_record", "arguments": {"id": 1}})


def script_of(name: str) -> Any:
    async def script(request: web.BaseRequest, arrived: Arrived) -> web.StreamResponse:
        if arrived.method.endswith(("/list", "/read")):
            listed = {"tools": [{"name": f"of_{name}", "inputSchema": {}}], "contents": [], "resultType": "complete"}
            return document(answer(arrived, {**listed, "ttlMs": 60_000, "cacheScope": "public"}))
        return document(answer(arrived, {"content": [{"type": "text", "text": name}], "resultType": "complete"}))

    return with_handshake(script)


@dataclass
class Servers:
    """Three servers, of which each says its name."""

    gateway: RunningGateway
    by_name: dict[str, Upstream]

    def entry(
        self, *rules: tuple[str, str | None, list[str]], more: Mapping[str, Any] = MappingProxyType({}), **urls: str
    ) -> tuple[EntryDocument, dict[str, PolicyDocument]]:
        """A proxy with routing rules; ``urls`` are those of servers that are elsewhere."""
        named = {name: upstream.url for name, upstream in self.by_name.items()} | urls
        return self.gateway.entry(
            "mock",
            "http://unused.example/mcp",
            [KEYS],
            servers=[
                ServerConfig(name=name, url=url, timeouts=LONG_TIMEOUTS, addresses=LOOPBACK)
                for name, url in named.items()
            ],
            server_selection="Route",
            routing=[RoutingRuleConfig(name=name, when=when, servers=names) for name, when, names in rules],
            **more,
        )


@pytest.fixture
async def servers(gateway: RunningGateway) -> AsyncIterator[Servers]:
    async with AsyncExitStack() as stack:
        names = ("eu", "eu-2", "us")
        by_name = {name: await stack.enter_async_context(serving(script_of(name))) for name in names}
        yield Servers(gateway, by_name)


async def who(caller: McpCaller, message: dict[str, Any], credential: dict[str, str]) -> str:
    reply = await caller.post(message, credential)
    text: str = reply.result["content"][0]["text"]
    return text


def refused_port() -> str:
    """A URL at which nothing listens."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{listener.getsockname()[1]}/mcp"


async def test_each_caller_reaches_the_server_of_its_rule(
    gateway: RunningGateway, caller: McpCaller, servers: Servers
) -> None:
    await gateway.apply(servers.entry(*BY_GROUP))
    assert await who(caller, CALL, EU) == "eu"
    assert await who(caller, CALL, US) == "us"
    listed = (await caller.post(modern("tools/list"), EU)).result["tools"]
    assert [tool["name"] for tool in listed] == ["of_eu"]
    assert [arrived.method for arrived in servers.by_name["us"].arrived] == ["tools/call"]


async def test_a_caller_without_a_route_sees_empty_lists_and_is_refused_everything_else(
    gateway: RunningGateway, caller: McpCaller, servers: Servers
) -> None:
    await gateway.apply(servers.entry(*BY_GROUP))
    third = bearer(THIRD_KEY)
    for method, member in (
        ("tools/list", "tools"),
        ("prompts/list", "prompts"),
        ("resources/templates/list", "resourceTemplates"),
    ):
        result = (await caller.post(modern(method), third)).result
        assert result == {"resultType": "complete", member: [], "ttlMs": 0, "cacheScope": "private"}
    for message in (CALL, modern("resources/read", {"uri": "file:///a"}), modern("prompts/get", {"name": "p"})):
        reply = await caller.post(message, third)
        assert (reply.status, reply.error["code"], reply.error["data"]) == (200, -31001, {"reason": "NoRoute"})
    assert all(upstream.arrived == [] for upstream in servers.by_name.values())


async def test_a_rule_that_fails_leads_to_no_server_and_never_to_the_next_rule(
    gateway: RunningGateway, caller: McpCaller, servers: Servers
) -> None:
    await gateway.apply(servers.entry(("eu", 'claims.region == "eu"', ["eu"]), ("rest", None, ["us"])))
    reply = await caller.post(CALL, EU)
    assert reply.error["data"] == {"reason": "NoRoute"}
    assert all(upstream.arrived == [] for upstream in servers.by_name.values())


async def test_arguments_and_headers_route_calls_and_lists_pass_over_rules_that_read_arguments(
    gateway: RunningGateway, caller: McpCaller, servers: Servers
) -> None:
    by_arguments = ("eu", 'args.region == "eu"', ["eu"])
    by_header = ("us", 'headers["x-site"] == "us"', ["us"])
    await gateway.apply(servers.entry(by_arguments, by_header))
    call = modern("tools/call", {"name": "get_record", "arguments": {"region": "eu"}})
    assert await who(caller, call, EU) == "eu"
    call["params"]["arguments"] = {"region": "us"}
    assert await who(caller, call, {**EU, "X-Site": "us"}) == "us"
    listed = (await caller.post(modern("tools/list"), {**EU, "X-Site": "us"})).result["tools"]
    assert [tool["name"] for tool in listed] == ["of_us"]
    call["params"]["arguments"] = {}
    assert (await caller.post(call, {**EU, "X-Site": "us"})).error["data"] == {"reason": "NoRoute"}


@pytest.mark.parametrize("method", ["tools/list", "resources/read"])
async def test_what_a_header_routes_is_in_no_cache_that_others_share(
    gateway: RunningGateway, caller: McpCaller, servers: Servers, method: str
) -> None:
    entry, _ = servers.entry(("us", 'headers["x-site"] == "us"', ["us"]))
    await gateway.apply((entry.model_copy(update={"policies": []}), {}))  # no caller is authenticated
    result = (await caller.post(modern(method, {"uri": "doc://a"}), {"X-Site": "us"})).result
    assert (result["ttlMs"], result["cacheScope"]) == (60_000, "private")


async def test_a_server_that_cannot_be_reached_yields_to_the_next_of_its_rule_only(
    gateway: RunningGateway, caller: McpCaller, servers: Servers
) -> None:
    await gateway.apply(servers.entry(*BY_GROUP, eu=refused_port(), us=refused_port()))
    large = modern("tools/call", {"name": "get_record", "arguments": {"text": "x" * 4096}})
    for _ in range(3):
        assert await who(caller, large, EU) == "eu-2"
    arrived = servers.by_name["eu-2"].arrived[0].message["params"]["arguments"]
    assert arrived == {"text": "x" * 4096}
    reply = await caller.post(CALL, US)
    assert (reply.error["code"], reply.error["data"]["reason"]) == (-31003, "UpstreamUnreachable")


async def test_the_rule_that_chose_the_server_is_recorded(servers: Servers) -> None:
    with http_sink() as sink:
        telemetry = Telemetry.from_env({"OTEL_EXPORTER_OTLP_ENDPOINT": sink.endpoint})
        async with running_gateway(telemetry=telemetry) as traced, mcp_caller(traced.url()) as caller:
            servers.gateway = traced
            await traced.apply(servers.entry(*BY_GROUP))
            await caller.post(CALL, EU)
            await caller.post(CALL, bearer(THIRD_KEY))
            found = sink.wait_for(lambda spans: sum(each.kind == "SERVER" for each in spans) == 2)
    spans = [each for each in found if each.kind == "SERVER"]
    assert [each.attributes.get("ostiary.route.rule") for each in spans] == ["eu", None]
    assert spans[1].attributes["ostiary.access.reason"] == "NoRoute"


@pytest.mark.parametrize("era", ["legacy", "modern"])
async def test_a_kept_list_of_a_routed_proxy_is_that_of_the_callers_own_server(
    gateway: RunningGateway, servers: Servers, era: str
) -> None:
    kept = {"list_cache": ListCacheConfig(ttl=60_000, stale_if_error=0)}
    await gateway.apply(servers.entry(*BY_GROUP, more=kept))
    message = modern("tools/list") if era == "modern" else legacy("tools/list")
    for credential, name in ((EU, "eu"), (US, "us")):
        async with mcp_caller(gateway.url(), credential=credential) as caller:
            if era == "legacy":
                await caller.initialize()
            for _ in range(4):
                listed = (await caller.post(message)).result["tools"]
                assert [tool["name"] for tool in listed] == [f"of_{name}"]
        assert servers.by_name[name].count("tools/list") == 1
    assert servers.by_name["eu-2"].count("tools/list") == 0


async def test_a_uri_that_a_listen_names_reaches_only_the_servers_of_its_rule(
    servers: Servers, caller: McpCaller
) -> None:
    by_header = '"x-region" in headers && headers["x-region"] == "eu"'
    by_uri = 'request.name.startsWith("records://eu/")'
    rules = (("header", by_header, ["eu"]), ("uri", by_uri, ["eu-2"]), ("else", None, ["us"]))
    await servers.gateway.apply(servers.entry(*rules))
    uris = ["records://eu/patient-7", "records://patient-8"]
    listen = modern("subscriptions/listen", {"notifications": {"resourceSubscriptions": uris}})

    def named_at(name: str) -> list[str]:
        return [uri for uri in uris if any(uri.encode() in each.body for each in servers.by_name[name].arrived)]

    async with caller.stream(listen, {**EU, "X-Region": "eu"}) as stream:
        assert (await stream.message())["params"]["notifications"]["resourceSubscriptions"] == uris
        await eventually(lambda: named_at("eu") == uris)
    assert (named_at("eu-2"), named_at("us")) == ([], [])

    async with caller.stream(listen, EU):
        await eventually(lambda: (named_at("eu-2"), named_at("us")) == (uris[:1], uris[1:]))
