"""The stream of changes of an endpoint with several servers: all of theirs in one, and only what its caller sees."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

import pytest
from aiohttp import web
from gateways import RunningGateway, policy
from mcp_caller import McpCaller, Stream, legacy, modern
from mcp_clients import eventually
from merged_proxies import merged
from session_scenes import SessionScene
from timeouts import TIMEOUT_SECONDS
from upstreams import Arrived, Upstream, answer, document, events, serving

from ostiary_core.contract.server_selection import ListCacheConfig
from ostiary_gateway.pipeline.merged_sessions.change_stream import ChangeStream
from ostiary_gateway.pipeline.open_stream import OpenStream

CACHE = ListCacheConfig(ttl=60_000, stale_if_error=600_000)
KINDS = ("prompts", "resources", "tools")


class ChangingScene(SessionScene):
    """A server with a stream of changes that the test writes to."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.tools = ["search"]
        self.streams: list[Any] = []
        self.has_stream = True
        self.lists = 0
        self._over = asyncio.Event()

    async def script(self, request: web.BaseRequest, arrived: Arrived) -> web.StreamResponse:
        if request.method == "GET" and self.has_stream:
            async with events(request) as stream:
                self.streams.append(stream)
                await self._over.wait()
            return stream.response
        if arrived.method.endswith("/list"):
            self.lists += 1
            kind = {"tools/list": "tools", "prompts/list": "prompts", "resources/list": "resources"}.get(arrived.method)
            names = self.tools if kind == "tools" else []
            items = [{"name": name, "inputSchema": {"type": "object"}} for name in names]
            return document(answer(arrived, {kind or "resourceTemplates": items}))
        return await super().script(request, arrived)

    async def say(self, message: dict[str, Any]) -> None:
        await eventually(lambda: bool(self.streams))
        await self.streams[-1].send({"jsonrpc": "2.0", **message})

    def end_streams(self) -> None:
        self._over.set()
        self._over = asyncio.Event()


@pytest.fixture
def crm_scene() -> ChangingScene:
    return ChangingScene("crm")


@pytest.fixture
def wiki_scene() -> ChangingScene:
    return ChangingScene("wiki")


@pytest.fixture
async def crm(crm_scene: ChangingScene) -> AsyncIterator[Upstream]:
    async with serving(crm_scene.script) as upstream:
        yield upstream
        crm_scene.end_streams()


@pytest.fixture
async def wiki(wiki_scene: ChangingScene) -> AsyncIterator[Upstream]:
    async with serving(wiki_scene.script) as upstream:
        yield upstream
        wiki_scene.end_streams()


@pytest.fixture(autouse=True)
async def proxy(gateway: RunningGateway, crm: Upstream, wiki: Upstream) -> None:
    await gateway.apply(merged(gateway, {"crm": crm.url, "wiki": wiki.url}, list_cache=CACHE))


async def begun(stream: Stream) -> None:
    """Take what every stream begins with."""
    told = [await stream.message() for _ in KINDS]
    assert [each["method"] for each in told] == [f"notifications/{kind}/list_changed" for kind in KINDS]


async def settled(gateway: RunningGateway, *scenes: ChangingScene) -> None:
    """Wait until every stream is open, and the gateway knows what the caller sees."""
    await eventually(lambda: all(scene.streams for scene in scenes))
    await eventually(lambda: all(_change_stream(each).knows_lists for each in gateway.app.pipeline.streams))


def _change_stream(stream: OpenStream) -> ChangeStream:
    assert isinstance(stream.response, ChangeStream)
    return stream.response


TOOLS = {"method": "notifications/tools/list_changed"}
LOG = {"method": "notifications/message", "params": {"level": "info", "data": "after"}}


async def test_the_stream_begins_with_what_may_have_been_missed_and_carries_the_changes_of_all(
    gateway: RunningGateway, caller: McpCaller, crm_scene: ChangingScene, wiki_scene: ChangingScene
) -> None:
    await caller.initialize()
    async with caller.listen() as stream:
        assert stream.status == 200
        await begun(stream)
        await settled(gateway, crm_scene, wiki_scene)
        for scene in (crm_scene, wiki_scene):
            scene.tools.append("new")
            await scene.say(TOOLS)
            assert (await stream.message())["method"] == TOOLS["method"]
        tools = (await caller.post(legacy("tools/list"))).result["tools"]
    assert [each["name"] for each in tools] == ["crm_search", "crm_new", "wiki_search", "wiki_new"]


async def test_updates_and_logs_pass_with_exposed_uris_and_without_ids_of_events(
    caller: McpCaller, crm_scene: ChangingScene
) -> None:
    await caller.initialize()
    async with caller.listen() as stream:
        await begun(stream)
        await eventually(lambda: bool(crm_scene.streams))
        await crm_scene.streams[-1].raw(
            b'id: 7\ndata: {"jsonrpc":"2.0","method":"notifications/resources/updated","params":{"uri":"file://a"}}\n\n'
        )
        await crm_scene.say(LOG)
        block = await stream.block()
        assert block is not None
        while "updated" not in block:
            block = await stream.block() or ""
        assert "id: 7" not in block.splitlines()
        assert "file://crm/a" in block
        assert (await stream.message())["params"]["data"] == "after"


async def test_a_storm_of_notifications_reaches_the_caller_at_most_once_a_second_and_the_server_no_oftener(
    gateway: RunningGateway, caller: McpCaller, crm_scene: ChangingScene, wiki_scene: ChangingScene
) -> None:
    await caller.initialize()
    async with caller.listen() as stream:
        await begun(stream)
        await settled(gateway, crm_scene, wiki_scene)
        asked = crm_scene.lists
        for number in range(500):
            crm_scene.tools = ["search", f"new_{number}"]
            await crm_scene.say(TOOLS)
        await crm_scene.say(LOG)
        told: list[dict[str, Any]] = []
        while not told or told[-1]["method"] != LOG["method"]:
            told.append(await stream.message())
        # More may come in its time, but never one each.
        assert len(told) < 50
        assert crm_scene.lists - asked < 50


async def test_a_change_that_the_caller_cannot_see_is_not_told(
    gateway: RunningGateway,
    caller: McpCaller,
    crm: Upstream,
    wiki: Upstream,
    crm_scene: ChangingScene,
    wiki_scene: ChangingScene,
) -> None:
    rules = policy(
        "p", {"name": "all", "effect": "Allow"}, {"name": "no", "effect": "Deny", "tools": {"names": ["secret*"]}}
    )
    await gateway.apply(merged(gateway, {"crm": crm.url, "wiki": wiki.url}, [rules], list_cache=CACHE))
    await caller.initialize()
    async with caller.listen() as stream:
        await begun(stream)
        await settled(gateway, crm_scene, wiki_scene)
        asked = crm_scene.lists
        crm_scene.tools.append("secret_plan")
        await crm_scene.say(TOOLS)
        await eventually(lambda: crm_scene.lists > asked)
        await crm_scene.say(LOG)
        assert (await stream.message())["method"] == LOG["method"]
        crm_scene.tools.append("public_plan")
        await crm_scene.say(TOOLS)
        assert (await stream.message())["method"] == TOOLS["method"]


async def test_a_server_without_a_stream_is_asked_for_one_once(
    caller: McpCaller, crm: Upstream, crm_scene: ChangingScene, wiki_scene: ChangingScene
) -> None:
    crm_scene.has_stream = False
    await caller.initialize()
    async with caller.listen() as stream:
        await begun(stream)
        await eventually(lambda: crm_scene.lists >= 4 and bool(wiki_scene.streams))
        wiki_scene.tools.append("new")
        await wiki_scene.say(TOOLS)
        assert (await stream.message())["method"] == TOOLS["method"]
    assert crm.count("GET") == 1


async def test_a_stream_that_breaks_is_opened_again_and_what_was_missed_is_told(
    gateway: RunningGateway, caller: McpCaller, crm: Upstream, crm_scene: ChangingScene, wiki_scene: ChangingScene
) -> None:
    await caller.initialize()
    async with caller.listen() as stream:
        await begun(stream)
        await settled(gateway, crm_scene, wiki_scene)
        crm_scene.tools.append("new")
        crm_scene.end_streams()
        assert (await stream.message())["method"] == TOOLS["method"]
    assert crm.count("GET") == 2


async def test_a_server_that_forgot_the_session_is_initialized_again_for_its_stream(
    caller: McpCaller, crm: Upstream, crm_scene: ChangingScene
) -> None:
    await caller.initialize()
    crm_scene.forget()
    crm_scene.has_stream = False  # the forgotten session is answered first
    async with caller.listen() as stream:
        await begun(stream)
        await eventually(lambda: crm_scene.opened == 2)


async def test_a_stream_needs_a_session(caller: McpCaller) -> None:
    assert (await caller.request("GET", {"Accept": "text/event-stream"})).status == 405


async def test_a_client_that_leaves_takes_the_streams_of_all_servers_with_it(
    gateway: RunningGateway,
    caller: McpCaller,
    crm: Upstream,
    wiki: Upstream,
    crm_scene: ChangingScene,
    wiki_scene: ChangingScene,
) -> None:
    await caller.initialize()
    async with caller.listen() as stream:
        await begun(stream)
        await settled(gateway, crm_scene, wiki_scene)
        gets = [each for upstream in (crm, wiki) for each in upstream.arrived if each.method == "GET"]
        stream.drop()
        for each in gets:
            await asyncio.wait_for(each.gone.wait(), TIMEOUT_SECONDS)


# -- subscriptions/listen of the newest revision, to servers of both eras


class ListeningScene(ChangingScene):
    """A server of the newest revision, which answers a listen with a stream."""

    async def script(self, request: web.BaseRequest, arrived: Arrived) -> web.StreamResponse:
        if arrived.method == "server/discover":
            told = {"supportedVersions": ["2026-07-28"], "capabilities": {"tools": {"listChanged": True}}}
            return document(answer(arrived, {**told, "resultType": "complete", "ttlMs": 0, "cacheScope": "private"}))
        if arrived.method == "subscriptions/listen":
            async with events(request) as stream:
                acknowledged = {"notifications": arrived.message["params"]["notifications"]}
                await stream.send({**ACKNOWLEDGED, "params": acknowledged})
                self.streams.append(stream)
                await self._over.wait()
            return stream.response
        if arrived.method == "initialize":
            return web.Response(status=404)
        return await super().script(request, arrived)


ACKNOWLEDGED = {"jsonrpc": "2.0", "method": "notifications/subscriptions/acknowledged"}
SUBSCRIPTION = "io.modelcontextprotocol/subscriptionId"


@pytest.fixture
def new_scene() -> ListeningScene:
    return ListeningScene("new")


async def test_a_listen_hears_of_servers_of_both_eras_what_it_asked_for_under_its_own_id(
    gateway: RunningGateway, caller: McpCaller, crm: Upstream, crm_scene: ChangingScene, new_scene: ListeningScene
) -> None:
    async with serving(new_scene.script) as new:
        await gateway.apply(merged(gateway, {"crm": crm.url, "new": new.url}, list_cache=CACHE))
        wanted = {"toolsListChanged": True, "resourceSubscriptions": ["file://crm/a", "file://new/b"]}
        async with caller.stream(modern("subscriptions/listen", {"notifications": wanted}, id="mine")) as stream:
            first = await stream.message()
            assert first["method"] == ACKNOWLEDGED["method"]
            assert first["params"]["_meta"] == {SUBSCRIPTION: "mine"}
            assert first["params"]["notifications"] == {
                "toolsListChanged": True,
                "resourceSubscriptions": ["file://crm/a", "file://new/b"],
            }
            await settled(gateway, crm_scene, new_scene)
            asked = (await new.first("subscriptions/listen")).message["params"]["notifications"]
            assert asked == {"toolsListChanged": True, "resourceSubscriptions": ["file://b"]}
            assert (await crm.first("resources/subscribe")).message["params"]["uri"] == "file://a"

            for scene in (crm_scene, new_scene):
                await scene.say({"method": "notifications/prompts/list_changed"})
                await scene.say(LOG)
                await scene.say({"jsonrpc": "2.0", "id": "mine", "result": {}})
                scene.tools.append("more")
                await scene.say(TOOLS)
                told = await stream.message()
                assert (told["method"], told["params"]) == (TOOLS["method"], {"_meta": {SUBSCRIPTION: "mine"}})
            await new_scene.say({"method": UPDATED, "params": {"uri": "file://other"}})
            await new_scene.say({"method": UPDATED, "params": {"uri": "file://b", "_meta": {SUBSCRIPTION: 7}}})
            told = await stream.message()
            assert told["params"] == {"uri": "file://new/b", "_meta": {SUBSCRIPTION: "mine"}}
            new_scene.end_streams()
        crm_scene.end_streams()


UPDATED = "notifications/resources/updated"


async def test_a_listen_ends_with_a_result_when_the_gateway_ends_it(
    gateway: RunningGateway, caller: McpCaller, crm: Upstream, wiki: Upstream
) -> None:
    async with caller.stream(modern("subscriptions/listen", {"notifications": {"toolsListChanged": True}})) as stream:
        await stream.message()
        await gateway.apply(
            merged(gateway, {"crm": crm.url}, prefixes={"crm": ""}), merged(gateway, {"wiki": wiki.url}, name="other")
        )
        told = await stream.message()
        while "result" not in told:
            told = await stream.message()
        assert told["id"] == 1
        assert await stream.ended()


async def test_a_session_hears_of_what_it_subscribes_to_at_a_modern_server_while_its_stream_is_open(
    gateway: RunningGateway, caller: McpCaller, crm: Upstream, crm_scene: ChangingScene, new_scene: ListeningScene
) -> None:
    async with serving(new_scene.script) as new:
        await gateway.apply(merged(gateway, {"crm": crm.url, "new": new.url}, list_cache=CACHE))
        await caller.initialize()
        async with caller.listen() as stream:
            await begun(stream)
            await settled(gateway, crm_scene, new_scene)
            assert (await caller.post(legacy("resources/subscribe", {"uri": "file://new/b"}))).result == {}
            await eventually(lambda: len(new_scene.streams) == 2)
            asked = [each for each in new.arrived if each.method == "subscriptions/listen"][-1]
            assert asked.message["params"]["notifications"]["resourceSubscriptions"] == ["file://b"]
            await new_scene.say({"method": UPDATED, "params": {"uri": "file://b", "_meta": {SUBSCRIPTION: 7}}})
            told = await stream.message()
            while told["method"] != UPDATED:
                told = await stream.message()
            assert told["params"] == {"uri": "file://new/b"}
            new_scene.end_streams()
        crm_scene.end_streams()


async def test_the_stream_of_a_session_ends_with_it(
    gateway: RunningGateway, caller: McpCaller, crm_scene: ChangingScene, wiki_scene: ChangingScene
) -> None:
    await caller.initialize()
    async with caller.listen() as stream:
        await begun(stream)
        await settled(gateway, crm_scene, wiki_scene)
        assert (await caller.request("DELETE")).status == 200
        assert await stream.ended()


async def test_a_gateway_that_drains_ends_the_streams_at_all_servers(
    gateway: RunningGateway, caller: McpCaller, crm: Upstream, crm_scene: ChangingScene, wiki_scene: ChangingScene
) -> None:
    await caller.initialize()
    async with caller.listen() as stream:
        await begun(stream)
        await settled(gateway, crm_scene, wiki_scene)
        gateway.app.pipeline.streams.end_all()
        assert await stream.ended()
        await asyncio.wait_for((await crm.first("GET")).gone.wait(), TIMEOUT_SECONDS)


async def test_nothing_is_heard_of_a_server_that_a_policy_hides_from_now_on(
    gateway: RunningGateway, caller: McpCaller, crm: Upstream, wiki: Upstream, wiki_scene: ChangingScene
) -> None:
    only_crm = policy("crm", {"name": "crm", "effect": "Allow", "tools": {"names": ["crm_*"]}})
    urls = {"crm": crm.url, "wiki": wiki.url}
    await caller.initialize()
    async with caller.listen() as stream:
        await begun(stream)
        await eventually(lambda: bool(wiki_scene.streams))
        await gateway.apply(merged(gateway, urls, [only_crm], list_cache=CACHE))
        with suppress(ConnectionError):
            await wiki_scene.say({"id": 5, "method": "elicitation/create", "params": {"message": "of the wiki"}})
        while (block := await stream.block()) is not None:
            assert "of the wiki" not in block

    async with caller.listen() as stream:
        await begun(stream)
        await eventually(lambda: crm.count("GET") == 2)
    assert wiki.count("GET") == 1
