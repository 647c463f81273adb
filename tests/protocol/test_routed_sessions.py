"""Sessions at an endpoint with routing rules: opened only where a rule could lead."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import pytest
from api_keys import AGENT_KEY, OTHER_KEY, api_key, bearer, keyed
from gateways import LONG_TIMEOUTS, LOOPBACK, RunningGateway
from mcp_caller import McpCaller, legacy, mcp_caller
from mcp_clients import eventually
from session_scenes import SessionScene
from upstreams import Upstream, serving

from ostiary_core.contract.documents import PolicyDocument, ServerConfig
from ostiary_core.contract.server_selection import RoutingRuleConfig

EU = bearer(AGENT_KEY)
KEYS = keyed(api_key(AGENT_KEY, "default/eu", groups=["eu"]), api_key(OTHER_KEY, "default/us", groups=["us"]))
CALL = legacy("tools/call", {"name": "search", "arguments": {}})
NAMES = ("eu", "eu-2", "us")


@pytest.fixture
def scenes() -> dict[str, SessionScene]:
    return {name: SessionScene(name) for name in NAMES}


@pytest.fixture
async def servers(gateway: RunningGateway, scenes: dict[str, SessionScene]) -> AsyncIterator[dict[str, Upstream]]:
    async with AsyncExitStack() as stack:
        found = {name: await stack.enter_async_context(serving(scene.script)) for name, scene in scenes.items()}
        await gateway.apply(routed(gateway, found))
        yield found


def routed(gateway: RunningGateway, found: dict[str, Upstream], keys: PolicyDocument = KEYS) -> Any:
    """A proxy whose callers of the group eu reach the servers there, and all others the one elsewhere."""
    common: dict[str, Any] = {"timeouts": LONG_TIMEOUTS, "addresses": LOOPBACK}
    described = [ServerConfig(name=name, url=each.url, **common) for name, each in found.items()]
    rules = [
        RoutingRuleConfig(name="eu", when='"eu" in groups', servers=["eu", "eu-2"]),
        RoutingRuleConfig(name="us", servers=["us"]),
    ]
    return gateway.entry("mock", "", [keys], servers=described, server_selection="Route", routing=rules)


@pytest.fixture
async def eu(gateway: RunningGateway, servers: dict[str, Upstream]) -> AsyncIterator[McpCaller]:
    async with mcp_caller(gateway.url(), credential=EU) as caller:
        await caller.initialize()
        yield caller


async def test_a_session_is_opened_with_the_servers_to_which_a_rule_may_lead(
    eu: McpCaller, servers: dict[str, Upstream]
) -> None:
    assert {name: each.count("initialize") for name, each in servers.items()} == {"eu": 1, "eu-2": 1, "us": 0}
    assert (await eu.post(CALL)).result["by"] == "eu"
    assert servers["eu"].arrived[-1].headers["Mcp-Session-Id"] == "eu-session-1"


async def test_a_server_that_is_down_yields_to_the_next_of_its_rule_in_the_same_session(
    eu: McpCaller, servers: dict[str, Upstream], scenes: dict[str, SessionScene]
) -> None:
    scenes["eu"].down = True

    async def is_at_the_second() -> bool:
        reply = (await eu.post(CALL)).messages[-1]
        return bool(reply.get("result", {}).get("by") == "eu-2")

    await eventually(is_at_the_second)
    assert servers["eu-2"].arrived[-1].headers["Mcp-Session-Id"] == "eu-2-session-1"
    assert servers["us"].arrived == []


async def test_an_id_that_names_a_server_of_others_reaches_no_server(
    eu: McpCaller, servers: dict[str, Upstream]
) -> None:
    before = {name: len(each.arrived) for name, each in servers.items()}

    assert (await eu.post({"jsonrpc": "2.0", "id": "us.7", "result": {}})).status == 202
    progress = legacy("notifications/progress", {"progressToken": "us.7", "progress": 1}, id=None)
    assert (await eu.post(progress)).status == 202
    assert (await eu.post(legacy("tasks/get", {"taskId": "us.7"}))).error["code"] == -32602
    assert (await eu.request("GET", {"Last-Event-ID": "us.WzEsbnVsbF0.7", "Accept": "text/event-stream"})).status == 405

    assert {name: len(each.arrived) for name, each in servers.items()} == before


async def test_what_a_client_tells_all_reaches_only_servers_of_its_rules(
    eu: McpCaller, servers: dict[str, Upstream]
) -> None:
    assert (await eu.post(legacy("logging/setLevel", {"level": "debug"}))).result == {}
    assert (await eu.post(legacy("ping"))).result == {}
    assert (await eu.request("DELETE")).status == 200

    assert servers["us"].arrived == []
    assert servers["eu-2"].count("logging/setLevel") == servers["eu-2"].count("DELETE") == 1


async def test_a_server_that_the_caller_has_lost_hears_only_that_its_session_ends(
    gateway: RunningGateway, eu: McpCaller, servers: dict[str, Upstream]
) -> None:
    await gateway.apply(routed(gateway, servers, keyed(api_key(AGENT_KEY, "default/eu", groups=["us"]))))
    before = len(servers["eu"].arrived)

    assert (await eu.post(CALL)).result["by"] == "us"
    told = legacy("notifications/cancelled", {"requestId": 1, "reason": "of us alone"}, id=None)
    assert (await eu.post(told)).status == 202
    assert (await eu.post(legacy("logging/setLevel", {"level": "debug"}))).result == {}
    assert (await eu.request("DELETE")).status == 200

    assert [each.http_method for each in servers["eu"].arrived[before:]] == ["DELETE"]


async def test_a_stream_of_changes_ends_when_its_caller_is_led_elsewhere(
    gateway: RunningGateway, eu: McpCaller, servers: dict[str, Upstream]
) -> None:
    async with eu.listen() as stream:
        await eventually(lambda: servers["eu"].count("GET") == 1)
        await gateway.apply(routed(gateway, servers, keyed(api_key(AGENT_KEY, "default/eu", groups=["us"]))))
        assert await stream.ended()

    async with eu.listen() as stream:
        await eventually(lambda: servers["us"].count("GET") == 1)
    assert servers["eu"].count("GET") == 1
