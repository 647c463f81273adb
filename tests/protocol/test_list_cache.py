"""Lists that a real gateway keeps of its servers: what they cost, who shares them, and when they are old."""

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest
from aiohttp import web
from api_keys import AGENT_KEY, OTHER_KEY, api_key, bearer, keyed
from gateways import RunningGateway, policy
from mcp_caller import McpCaller, legacy, modern
from mcp_clients import ERAS, Era, connect
from merged_proxies import merged
from timeouts import TIMEOUT_SECONDS
from upstreams import Arrived, Upstream, answer, document, events

from ostiary_core.contract.access import SubjectConfig
from ostiary_core.contract.authentication import AuthenticationConfig
from ostiary_core.contract.documents import PolicyDocument
from ostiary_core.contract.server_selection import ListCacheConfig

CACHED: dict[str, Any] = {"list_cache": ListCacheConfig(ttl=60_000, stale_if_error=600_000)}
AGENT, OTHER = bearer(AGENT_KEY), bearer(OTHER_KEY)
KEYS = keyed(api_key(AGENT_KEY, "default/agent"), api_key(OTHER_KEY, "default/other"))
LIST = modern("tools/list")
CALL = modern("tools/call", {"name": "get_users", "arguments": {}})
CHANGED = {"jsonrpc": "2.0", "method": "notifications/tools/list_changed"}


class Scene:
    """A server with a list of tools, which says how long that may be kept."""

    def __init__(self) -> None:
        self.names = ["get_users", "delete_user"]
        self.hints: dict[str, Any] = {"resultType": "complete", "ttlMs": 300_000, "cacheScope": "public"}
        self.error: Mapping[str, Any] | None = None
        self.status = 200
        self.streams = False

    async def script(self, request: web.BaseRequest, arrived: Arrived) -> web.StreamResponse:
        if arrived.http_method == "GET":
            async with events(request) as stream:
                await stream.send(CHANGED)
            return stream.response
        if self.status != 200:
            return web.Response(status=self.status)
        reply = answer(arrived, {"tools": [{"name": name, "inputSchema": {}} for name in self.names], **self.hints})
        if arrived.method == "tools/call" and self.error is not None:
            reply = {"jsonrpc": "2.0", "id": arrived.message["id"], "error": self.error}
        if not self.streams:
            return document(reply)
        async with events(request) as stream:
            await stream.send(reply)
        return stream.response


@pytest.fixture
def scene() -> Scene:
    return Scene()


def governed(name: str, consumer: str, *names: str) -> PolicyDocument:
    rule = {"name": "read", "effect": "Allow", "tools": {"names": list(names)}}
    return policy(name, rule).model_copy(update={"subjects": [SubjectConfig(consumers=[consumer])]})


async def names(caller: McpCaller, credential: dict[str, str] | None = None) -> list[str]:
    return [tool["name"] for tool in (await caller.post(LIST, credential or {})).result["tools"]]


@pytest.mark.parametrize("streams", [False, True])
async def test_a_repeated_list_is_answered_without_a_request(
    gateway: RunningGateway, caller: McpCaller, upstream: Upstream, scene: Scene, streams: bool
) -> None:
    scene.streams = streams
    await gateway.apply(gateway.entry("mock", upstream.url, **CACHED))
    first = await caller.post(LIST)
    for number in (2, "three", 4):
        again = await caller.post({**LIST, "id": number})
        assert again.json["id"] == number
        assert again.result["tools"] == first.result["tools"]
        assert 0 < again.result["ttlMs"] <= first.result["ttlMs"] <= 300_000
    assert upstream.count("tools/list") == 1
    assert "authorization" not in upstream.arrived[0].headers


async def test_a_proxy_without_a_cache_asks_each_time(
    gateway: RunningGateway, caller: McpCaller, upstream: Upstream
) -> None:
    await gateway.apply(gateway.entry("mock", upstream.url))
    assert await names(caller) == await names(caller)
    assert upstream.count("tools/list") == 2


async def test_one_raw_list_serves_callers_with_different_rights(
    gateway: RunningGateway, caller: McpCaller, upstream: Upstream
) -> None:
    policies = [KEYS, governed("agent", "default/agent", "get_*"), governed("other", "default/other", "delete_*")]
    await gateway.apply(gateway.entry("mock", upstream.url, policies, **CACHED))
    for _ in range(3):
        assert await names(caller, AGENT) == ["get_users"]
        assert await names(caller, OTHER) == ["delete_user"]
    assert upstream.count("tools/list") == 1
    assert (await caller.post(LIST, AGENT)).result["cacheScope"] == "private"


async def test_a_private_list_is_fetched_for_each_caller(
    gateway: RunningGateway, caller: McpCaller, upstream: Upstream, scene: Scene
) -> None:
    scene.hints["cacheScope"] = "private"
    await gateway.apply(gateway.entry("mock", upstream.url, [KEYS], **CACHED))
    assert await names(caller, AGENT) == ["get_users", "delete_user"]
    scene.names = ["of_other"]
    assert await names(caller, OTHER) == ["of_other"]
    assert [await names(caller, each) for each in (AGENT, OTHER)] == [["get_users", "delete_user"], ["of_other"]]
    assert upstream.count("tools/list") == 2


PASSTHROUGH = PolicyDocument(
    namespace="default",
    name="passthrough",
    uid="uid-passthrough",
    generation=1,
    tier="owner",
    authentication=AuthenticationConfig(passthrough=True),
)


@pytest.mark.parametrize("merges", [False, True])
async def test_a_list_that_a_server_calls_public_never_crosses_credentials_of_callers(
    gateway: RunningGateway, caller: McpCaller, upstream: Upstream, scene: Scene, mock: str, merges: bool
) -> None:
    policies = [PASSTHROUGH]
    entry = gateway.entry("mock", upstream.url, policies, **CACHED)
    if merges:
        entry = merged(gateway, {"one": upstream.url, "two": mock}, policies, prefixes={"one": ""}, **CACHED)
    await gateway.apply(entry)
    shown = {}
    for credential in ("one", "two", None):
        scene.names = [f"of_{credential}"]
        headers = {"Authorization": f"Bearer {credential}"} if credential is not None else {}
        shown[credential] = [await names(caller, headers) for _ in range(2)]
    for credential, lists in shown.items():
        own = [[name for name in each if name.startswith("of_")] for each in lists]
        assert own == [[f"of_{credential}"]] * 2
    assert upstream.count("tools/list") == 3


async def test_a_list_that_a_server_wants_unkept_is_asked_for_each_time(
    gateway: RunningGateway, caller: McpCaller, upstream: Upstream, scene: Scene
) -> None:
    scene.hints["ttlMs"] = 0
    await gateway.apply(gateway.entry("mock", upstream.url, **CACHED))
    for _ in range(2):
        assert (await caller.post(LIST)).result["ttlMs"] == 0
    assert upstream.count("tools/list") == 2


async def test_a_server_that_fails_shows_its_last_list(
    gateway: RunningGateway, caller: McpCaller, upstream: Upstream, scene: Scene
) -> None:
    scene.hints["ttlMs"] = 0
    await gateway.apply(gateway.entry("mock", upstream.url, **CACHED))
    assert await names(caller) == ["get_users", "delete_user"]
    scene.status = 503
    reply = await caller.post(LIST)
    assert [tool["name"] for tool in reply.result["tools"]] == ["get_users", "delete_user"]
    assert reply.result["ttlMs"] == 0
    assert (await caller.post(modern("prompts/list"))).error["code"] == -31003


async def test_an_edit_of_the_server_ends_what_was_kept_of_it(
    gateway: RunningGateway, caller: McpCaller, upstream: Upstream, scene: Scene
) -> None:
    await gateway.apply(gateway.entry("mock", upstream.url, **CACHED))
    await names(caller)
    scene.names = ["new"]
    await gateway.apply(gateway.entry("mock", f"{upstream.url}?v=2", generation=2, **CACHED))
    assert await names(caller) == ["new"]


async def test_an_edit_of_a_policy_changes_what_is_shown_at_once_and_costs_no_request(
    gateway: RunningGateway, caller: McpCaller, upstream: Upstream
) -> None:
    await gateway.apply(gateway.entry("mock", upstream.url, **CACHED))
    assert await names(caller) == ["get_users", "delete_user"]
    rule = {"name": "no-delete", "effect": "Deny", "tools": {"names": ["delete_*"]}}
    everything = {"name": "all", "effect": "Allow"}
    await gateway.apply(gateway.entry("mock", upstream.url, [policy("p", everything, rule)], **CACHED))
    assert await names(caller) == ["get_users"]
    assert upstream.count("tools/list") == 1


async def test_a_list_is_old_once_its_server_says_that_it_changed(
    gateway: RunningGateway, caller: McpCaller, upstream: Upstream, scene: Scene
) -> None:
    await gateway.apply(gateway.entry("mock", upstream.url, **CACHED))
    await caller.initialize()
    assert await names(caller) == ["get_users", "delete_user"]
    scene.names = ["new"]
    async with caller.listen() as stream:
        assert (await stream.message())["method"] == "notifications/tools/list_changed"
    assert await names(caller) == ["new"]


@pytest.mark.parametrize(
    "error", [{"code": -32602, "message": "Unknown tool: get_users"}, {"code": -32020, "message": "header missing"}]
)
async def test_a_list_is_old_once_its_server_does_not_know_what_it_named(
    gateway: RunningGateway, caller: McpCaller, upstream: Upstream, scene: Scene, error: dict[str, Any]
) -> None:
    await gateway.apply(gateway.entry("mock", upstream.url, **CACHED))
    await names(caller)
    scene.names, scene.error = ["new"], error
    await caller.post(CALL)
    assert await names(caller) == ["new"]
    scene.names = ["newer"]
    await caller.post(CALL)  # no caller keeps the lists of others from being kept
    assert await names(caller) == ["new"]


async def test_what_is_no_list_is_not_kept_and_reaches_the_caller_as_it_is(
    gateway: RunningGateway, caller: McpCaller, upstream: Upstream, scene: Scene
) -> None:
    await gateway.apply(gateway.entry("mock", upstream.url, **CACHED))
    await caller.initialize()
    scene.status = 404
    assert (await caller.post(legacy("tools/list"))).status == 404
    scene.status = 200
    assert (await caller.post(legacy("tools/list"))).status == 200


async def test_a_merged_list_is_old_once_one_of_its_servers_says_that_it_changed(
    gateway: RunningGateway, caller: McpCaller, upstream: Upstream, scene: Scene, mock: str
) -> None:
    await gateway.apply(merged(gateway, {"one": upstream.url, "two": mock}, **CACHED))
    await caller.initialize()

    async def of_one() -> list[str]:
        tools = (await caller.post(legacy("tools/list"))).result["tools"]
        return [tool["name"] for tool in tools if tool["name"].startswith("one_")]

    assert await of_one() == await of_one() == ["one_get_users", "one_delete_user"]
    assert upstream.count("tools/list") == 1
    scene.names = ["new"]
    async with caller.listen() as stream:
        async with asyncio.timeout(TIMEOUT_SECONDS):
            while await of_one() != ["one_new"]:
                await stream.message()


@pytest.mark.parametrize("era", ERAS)
async def test_clients_of_both_eras_read_kept_lists(gateway: RunningGateway, mock: str, era: Era) -> None:
    rule = {"name": "no-delete", "effect": "Deny", "tools": {"names": ["delete_*"]}}
    policies = [policy("p", {"name": "all", "effect": "Allow"}, rule)]
    await gateway.apply(gateway.entry("mock", mock, policies, **CACHED), gateway.entry("other", mock, policies))
    found = []
    for name in ("mock", "mock", "other"):
        async with connect(gateway.url(name), era=era) as client:
            found.append([tool.model_dump() for tool in (await client.list_tools()).tools])
    assert found[0] == found[1] == found[2]
