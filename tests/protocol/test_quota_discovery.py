"""Lists of tools follow quotas where a limit says so, and open streams hear of it, in both eras."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import pytest
from aiohttp import web
from api_keys import AGENT_KEY, OTHER_KEY, api_key, bearer, keyed
from gateways import RunningGateway
from limits import limit_config, limiting
from mcp import MCPError
from mcp.client.subscriptions import ToolsListChanged
from mcp.types import ToolListChangedNotification
from mcp_caller import McpCaller, legacy, mcp_caller, modern
from mcp_clients import ERAS, Era, connect, eventually
from quiet_server import ACK, QuietServer, listening
from sdk_server import asking_server
from timeouts import TIMEOUT_SECONDS
from upstreams import Arrived, Upstream, answer, document, events, serving

from ostiary_gateway.pipeline.limit_stage import LimitStage
from ostiary_gateway.policy_limits import exhausted_keys

META = "dev.ostiary/limit"
HOUR = 3600.0
ONE = {"names": ["get_users"]}
TOOLS = [
    {"name": "get_users", "description": "Users", "inputSchema": {"type": "object"}},
    {"name": "echo", "inputSchema": {"type": "object"}, "_meta": {"own": 1}},
]


@dataclass(slots=True)
class Clock:
    """A clock that a test sets forward."""

    ahead: float = 0.0

    def __call__(self) -> float:
        return time.time() + self.ahead


@pytest.fixture
def clock(gateway: RunningGateway, monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The clock of the gateway's limits."""
    monkeypatch.setattr(exhausted_keys, "_LONGEST_SECONDS", 0.1)
    clock, pipeline = Clock(), gateway.app.pipeline
    pipeline.limits = LimitStage(pipeline.local_counters, pipeline.streams, clock=clock)
    return clock


class ListingServer(QuietServer):
    """A server with two tools. It lists them as a document, or as a stream."""

    def __init__(self) -> None:
        super().__init__()
        self.streams = False
        self.list_members: dict[str, Any] = {}

    async def script(self, request: web.BaseRequest, arrived: Arrived) -> web.StreamResponse:
        if arrived.method == "tools/list":
            result = answer(arrived, {"tools": TOOLS, **self.list_members})
            if not self.streams:
                return document(result)
            async with events(request) as stream:
                await stream.send(result)
            return stream.response
        if arrived.method == "tools/call":
            return document(answer(arrived, {"content": []}))
        return await super().script(request, arrived)


@pytest.fixture
def server() -> ListingServer:
    return ListingServer()


@pytest.fixture
async def upstream(server: ListingServer) -> AsyncIterator[Upstream]:
    async with serving(server.script) as upstream:
        yield upstream


def call(tool: str = "get_users") -> dict[str, Any]:
    return modern("tools/call", {"name": tool, "arguments": {}})


async def listed(caller: McpCaller) -> dict[str, dict[str, Any]]:
    result = (await caller.post(modern("tools/list"))).result
    return {tool["name"]: tool for tool in result["tools"]}


@pytest.mark.parametrize("era", ERAS)
async def test_an_exhausted_tool_is_hidden_until_it_is_reset(
    mock: str, gateway: RunningGateway, clock: Clock, era: Era
) -> None:
    policy = limiting(limit_config(tools=ONE, requests=2, window=3_600_000, whenExhausted="Hide"))
    await gateway.apply(gateway.entry("mock", mock, [policy]))

    async with connect(gateway.url(), era=era) as client:

        async def names() -> set[str]:
            return {tool.name for tool in (await client.list_tools()).tools}

        everything = await names()
        for _ in range(2):
            assert await names() == everything
            assert not (await client.call_tool("get_users", {})).is_error
        assert await names() == everything - {"get_users"}
        clock.ahead = HOUR
        assert await names() == everything


@pytest.mark.parametrize("streams", [False, True])
async def test_an_exhausted_tool_is_annotated_in_documents_and_in_streams(
    gateway: RunningGateway, upstream: Upstream, server: ListingServer, caller: McpCaller, streams: bool
) -> None:
    server.streams = streams
    policy = limiting(limit_config(requests=1, tools={"verbs": ["Call"]}, per=["Tool"], whenExhausted="Annotate"))
    await gateway.apply(gateway.entry("mock", upstream.url, [policy]))

    assert list((await listed(caller)).values()) == TOOLS
    await caller.post(call("get_users"))
    await caller.post(call("echo"))
    tools = await listed(caller)

    assert tools["get_users"]["description"].startswith("Users\n\nDo not call this tool until 20")
    assert tools["echo"]["description"].startswith("Do not call this tool until 20")
    assert tools["echo"]["_meta"]["own"] == 1
    data = tools["echo"]["_meta"][META]
    assert (data["limit"], data["remaining"], data["unit"]) == (1, 0, "requests")


async def test_each_caller_sees_its_own_quota_although_the_server_sends_the_same_list(
    gateway: RunningGateway, upstream: Upstream
) -> None:
    keys = keyed(api_key(AGENT_KEY, "default/a"), api_key(OTHER_KEY, "default/b"))
    policy = limiting(limit_config(tools=ONE, requests=1, whenExhausted="Hide"))
    await gateway.apply(gateway.entry("mock", upstream.url, [keys, policy]))

    async with (
        mcp_caller(gateway.url(), credential=bearer(AGENT_KEY)) as one,
        mcp_caller(gateway.url(), credential=bearer(OTHER_KEY)) as other,
    ):
        for _ in range(2):
            assert list(await listed(one)) == list(await listed(other)) == ["get_users", "echo"]
        await one.post(call())
        for _ in range(2):
            assert list(await listed(one)) == ["echo"]
            assert list(await listed(other)) == ["get_users", "echo"]


async def test_a_list_that_follows_quotas_is_not_cached_for_others_nor_for_long(
    gateway: RunningGateway, upstream: Upstream, server: ListingServer, caller: McpCaller
) -> None:
    server.list_members = {"cacheScope": "public", "ttlMs": 86_400_000}
    policy = limiting(limit_config(tools=ONE, whenExhausted="Hide"))
    await gateway.apply(gateway.entry("mock", upstream.url, [policy]))

    result = (await caller.post(modern("tools/list"))).result
    assert result["cacheScope"] == "private"
    assert result["ttlMs"] <= 60_000


async def test_a_limit_that_shows_exhausted_tools_leaves_lists_as_they_are(
    gateway: RunningGateway, upstream: Upstream, caller: McpCaller
) -> None:
    await gateway.apply(gateway.entry("mock", upstream.url, [limiting(limit_config(tools=ONE, requests=1))]))
    await caller.post(call())
    assert list((await listed(caller)).values()) == TOOLS


async def test_a_session_hears_that_its_quota_is_exhausted_and_that_it_is_reset(
    gateway: RunningGateway, upstream: Upstream, caller: McpCaller, clock: Clock
) -> None:
    policy = limiting(limit_config(tools=ONE, requests=2, window=3_600_000, whenExhausted="Hide"))
    await gateway.apply(gateway.entry("mock", upstream.url, [policy]))
    capabilities = (await caller.initialize()).result["capabilities"]
    assert capabilities["tools"]["listChanged"] is True

    async with caller.listen() as stream:
        for _ in range(2):
            await caller.post(legacy("tools/call", {"name": "get_users"}))
        notice = {"jsonrpc": "2.0", "method": "notifications/tools/list_changed"}
        assert await stream.message() == notice
        clock.ahead = HOUR
        assert await stream.message() == notice
        assert len((await caller.post(legacy("tools/list"))).result["tools"]) == 2


async def test_a_subscription_hears_of_a_quota_that_another_caller_of_its_group_exhausts(
    gateway: RunningGateway, upstream: Upstream, clock: Clock
) -> None:
    keys = keyed(api_key(AGENT_KEY, "default/a", groups=["ops"]), api_key(OTHER_KEY, "default/b", groups=["ops"]))
    limit = limit_config(tools=ONE, requests=1, per=["Group"], window=3_600_000, whenExhausted="Hide")
    await gateway.apply(gateway.entry("mock", upstream.url, [keys, limiting(limit)]))

    async with (
        mcp_caller(gateway.url(), credential=bearer(AGENT_KEY)) as one,
        mcp_caller(gateway.url(), credential=bearer(OTHER_KEY)) as other,
        listening(one, toolsListChanged=True) as stream,
    ):
        acknowledged = await stream.message()
        assert acknowledged["method"] == ACK
        assert acknowledged["params"]["notifications"]["toolsListChanged"] is True
        await other.post(call())
        assert (await stream.message())["method"] == "notifications/tools/list_changed"
        assert list(await listed(one)) == ["echo"]
        clock.ahead = HOUR
        assert (await stream.message())["method"] == "notifications/tools/list_changed"


async def test_a_raised_limit_shows_the_tool_again(
    gateway: RunningGateway, upstream: Upstream, caller: McpCaller
) -> None:
    def policy(requests: int) -> Any:
        limit = limit_config(tools=ONE, requests=requests, whenExhausted="Hide")
        return limiting(limit, generation=requests)

    await gateway.apply(gateway.entry("mock", upstream.url, [policy(1)]))
    await caller.initialize()
    async with caller.listen() as stream:
        await caller.post(legacy("tools/call", {"name": "get_users"}))
        await stream.message()
        assert list(await listed(caller)) == ["echo"]
        await gateway.apply(gateway.entry("mock", upstream.url, [policy(2)]))
        assert (await stream.message())["method"] == "notifications/tools/list_changed"
        assert list(await listed(caller)) == ["get_users", "echo"]


async def test_the_official_client_is_notified_of_an_exhausted_quota_on_its_subscription(
    gateway: RunningGateway,
) -> None:
    limit = limit_config(tools={"names": ["greet"]}, requests=1, whenExhausted="Hide")
    async with asking_server() as url:
        await gateway.apply(gateway.entry("asking", url, [limiting(limit)]))
        async with (
            connect(gateway.url("asking"), era="modern") as client,
            client.listen(tools_list_changed=True) as changes,
        ):
            before = {tool.name for tool in (await client.list_tools()).tools}
            with suppress(MCPError):  # the server asks what this client does not answer; its call counts all the same
                await client.call_tool("greet", {})
            async with asyncio.timeout(TIMEOUT_SECONDS):
                assert isinstance(await anext(changes), ToolsListChanged)
            assert {tool.name for tool in (await client.list_tools()).tools} == before - {"greet"}


async def test_the_official_client_is_notified_of_an_exhausted_quota_in_its_session(gateway: RunningGateway) -> None:
    limit = limit_config(tools={"names": ["greet"]}, requests=1, whenExhausted="Hide")
    changed = asyncio.Event()

    async def hear(message: Any) -> None:
        if isinstance(message, ToolListChangedNotification):
            changed.set()

    async with asking_server() as url:
        await gateway.apply(gateway.entry("asking", url, [limiting(limit)]))
        async with connect(gateway.url("asking"), era="legacy", message_handler=hear) as client:
            before = {tool.name for tool in (await client.list_tools()).tools}
            await eventually(lambda: len(list(gateway.app.pipeline.streams)) == 1)
            with suppress(MCPError):  # the server asks what this client does not answer; its call counts all the same
                await client.call_tool("greet", {})
            async with asyncio.timeout(TIMEOUT_SECONDS):
                await changed.wait()
            assert {tool.name for tool in (await client.list_tools()).tools} == before - {"greet"}
