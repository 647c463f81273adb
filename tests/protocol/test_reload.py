"""A reload under load keeps unaffected requests and judges affected ones again."""

import asyncio
import gc
import json
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web
from gateways import RunningGateway, policy, running_gateway
from mcp_caller import McpCaller, Stream, legacy, mcp_caller, modern
from mcp_clients import connect, eventually
from timeouts import TIMEOUT_SECONDS
from upstreams import Arrived, Upstream, answer, document, events, progress_and_then, serving
from waiting import for_ever

from ostiary_gateway.config.snapshot import Snapshot
from ostiary_gateway.pipeline.open_streams import OpenStreams

ALLOW = {"name": "all", "effect": "Allow"}
ONE = {"name": "one", "effect": "Allow", "tools": {"names": ["get_users"]}}
DOCS = {"name": "docs", "effect": "Allow", "resources": {"names": ["doc://*"]}}
CALL = {"name": "get_users", "arguments": {}}
RESULT = {"content": [{"type": "text", "text": "done"}]}
TOOLS = {"tools": [{"name": "get_users"}, {"name": "delete_user"}]}


def updated(uri: str) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "method": "notifications/resources/updated", "params": {"uri": uri}}


class Scene:
    """An upstream whose streams say what the test puts into their queue, and whose calls wait for the gate."""

    def __init__(self) -> None:
        self.gate = asyncio.Event()
        self.say: asyncio.Queue[dict[str, Any]] = asyncio.Queue()

    async def script(self, request: web.BaseRequest, arrived: Arrived) -> web.StreamResponse:
        if arrived.method in ("GET", "subscriptions/listen"):
            async with events(request) as stream:
                while True:
                    await stream.send(await self.say.get())
        if arrived.method == "tools/list":
            return document(answer(arrived, TOOLS))
        return await progress_and_then(request, answer(arrived, RESULT), when=self.gate)


@pytest.fixture
def scene() -> Scene:
    return Scene()


@asynccontextmanager
async def call_in_flight(gateway: RunningGateway, era: str = "modern", name: str = "mock") -> AsyncIterator[Stream]:
    body = (modern if era == "modern" else legacy)("tools/call", CALL)
    async with mcp_caller(gateway.url(name)) as caller, caller.stream(body) as stream:
        await stream.message()
        yield stream


@asynccontextmanager
async def listening(gateway: RunningGateway, *uris: str) -> AsyncIterator[Stream]:
    body = modern("subscriptions/listen", {"notifications": {"resourceSubscriptions": list(uris)}}, id="listen-1")
    async with mcp_caller(gateway.url()) as caller, caller.stream(body) as stream:
        await eventually(lambda: gateway.app.pipeline.limiter.streams == 1)
        yield stream


@asynccontextmanager
async def get_stream(gateway: RunningGateway) -> AsyncIterator[Stream]:
    async with mcp_caller(gateway.url()) as caller:
        await caller.initialize()
        async with caller.listen() as stream:
            await eventually(lambda: gateway.app.pipeline.limiter.streams == 1)
            yield stream


async def tools(caller: McpCaller) -> list[str]:
    return [tool["name"] for tool in (await caller.post(legacy("tools/list", {}))).result["tools"]]


async def test_a_policy_is_enforced_with_the_next_message(gateway: RunningGateway, upstream: Upstream) -> None:
    async with mcp_caller(gateway.url()) as caller:
        await gateway.apply(gateway.entry("mock", upstream.url))
        assert await tools(caller) == ["get_users", "delete_user"]
        await gateway.apply(gateway.entry("mock", upstream.url, [policy("p", ONE)]))
        assert await tools(caller) == ["get_users"]
        await gateway.apply(gateway.entry("mock", upstream.url, [policy("p")]))
        assert await tools(caller) == []
        await gateway.apply()
        assert (await caller.post(legacy("tools/list", {}))).status == 404


async def test_the_directory_is_watched_and_a_change_takes_effect_without_a_signal(
    gateway: RunningGateway, upstream: Upstream
) -> None:
    gateway.write(gateway.entry("mock", upstream.url))
    await eventually(lambda: gateway.app.store.snapshot is not None)
    async with mcp_caller(gateway.url()) as caller:
        assert await tools(caller) == ["get_users", "delete_user"]
        gateway.write(gateway.entry("mock", upstream.url, [policy("p", ONE)]))

        async def enforced() -> bool:
            return await tools(caller) == ["get_users"]

        await eventually(enforced)


async def test_names_that_hang_do_not_delay_a_new_policy(gateway: RunningGateway, upstream: Upstream) -> None:
    release = threading.Event()
    hung = [asyncio.get_running_loop().run_in_executor(None, release.wait) for _ in range(64)]  # as getaddrinfo does
    try:
        await asyncio.wait_for(gateway.apply(gateway.entry("mock", upstream.url)), TIMEOUT_SECONDS)
    finally:
        release.set()
        await asyncio.gather(*hung)


@pytest.mark.parametrize("era", ["legacy", "modern"])
async def test_a_call_in_flight_finishes_whatever_becomes_of_its_policy(
    gateway: RunningGateway, scene: Scene, upstream: Upstream, era: str
) -> None:
    await gateway.apply(gateway.entry("mock", upstream.url, [policy("p", ONE)]))
    async with call_in_flight(gateway, era) as stream:
        await gateway.apply(gateway.entry("mock", upstream.url, [policy("p")]))
        async with mcp_caller(gateway.url()) as caller:
            assert (await caller.post(legacy("tools/call", CALL))).error["code"] == -32602
        scene.gate.set()
        assert (await stream.message())["result"] == RESULT
        assert await stream.ended()


async def test_a_call_in_flight_finishes_though_its_proxy_and_server_are_gone(
    gateway: RunningGateway, scene: Scene, upstream: Upstream
) -> None:
    await gateway.apply(gateway.entry("mock", upstream.url))
    async with call_in_flight(gateway) as stream:
        await gateway.apply()
        await asyncio.sleep(0)  # the server is being retired
        scene.gate.set()
        assert (await stream.message())["result"] == RESULT
    await eventually(lambda: not gateway.app.pools._retiring)


async def test_streams_and_calls_outlive_reloads_that_do_not_touch_them(
    gateway: RunningGateway, scene: Scene, upstream: Upstream
) -> None:
    untouched = gateway.entry("mock", upstream.url, [policy("p", DOCS, ALLOW)])
    await gateway.apply(untouched)
    async with (
        get_stream(gateway) as gets,
        call_in_flight(gateway) as call,
        call_in_flight(gateway, "legacy") as old_call,
    ):
        for number in range(20):
            await gateway.apply(untouched, gateway.entry(f"other-{number}", upstream.url))
        await scene.say.put(updated("doc://a"))
        assert await gets.message() == updated("doc://a")
        scene.gate.set()
        assert (await call.message())["result"] == RESULT
        assert (await old_call.message())["result"] == RESULT

    assert upstream.count("GET") == 1
    assert gateway.app.store.loads == 21


async def test_a_listen_goes_on_under_a_changed_policy_that_still_allows_it(
    gateway: RunningGateway, scene: Scene, upstream: Upstream
) -> None:
    await gateway.apply(gateway.entry("mock", upstream.url))
    async with listening(gateway, "doc://a") as stream:
        await scene.say.put(updated("doc://a"))
        assert await stream.message() == updated("doc://a")
        await gateway.apply(gateway.entry("mock", upstream.url, [policy("p", DOCS)]))
        await scene.say.put(updated("secret://a"))
        await scene.say.put(updated("doc://a"))
        assert await stream.message() == updated("doc://a")  # and what the new policy hides is gone


async def test_a_listen_that_a_changed_policy_refuses_ends_gracefully(
    gateway: RunningGateway, upstream: Upstream
) -> None:
    await gateway.apply(gateway.entry("mock", upstream.url))
    async with listening(gateway, "doc://a") as stream:
        await gateway.apply(gateway.entry("mock", upstream.url, [policy("none")]))
        ended = await stream.message()
        assert await stream.ended()

    assert ended == {
        "jsonrpc": "2.0",
        "id": "listen-1",
        "result": {
            "resultType": "complete",
            "_meta": {"io.modelcontextprotocol/subscriptionId": "listen-1"},
        },
    }
    await asyncio.wait_for((await upstream.first("subscriptions/listen")).gone.wait(), TIMEOUT_SECONDS)


async def test_a_listen_that_waits_to_be_judged_again_delivers_nothing(
    gateway: RunningGateway, scene: Scene, upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def never(_: OpenStreams) -> None:
        """Four hundred other streams come first."""

    monkeypatch.setattr(OpenStreams, "_settle", never)
    await gateway.apply(gateway.entry("mock", upstream.url))
    async with listening(gateway, "doc://a", "secret://a") as stream:
        await gateway.apply(gateway.entry("mock", upstream.url, [policy("p", DOCS)]))
        await scene.say.put(updated("doc://a"))
        assert "result" in await stream.message()  # it ends: one of its resources is refused
        assert await stream.ended()


async def test_a_policy_that_changed_while_the_server_delayed_applies_to_the_stream_too(
    gateway: RunningGateway,
) -> None:
    gate = asyncio.Event()

    async def hesitating(request: web.BaseRequest, arrived: Arrived) -> web.StreamResponse:
        await gate.wait()
        async with events(request) as stream:
            await stream.send(updated("doc://a"))
            await for_ever()
        return stream.response

    body = modern("subscriptions/listen", {"notifications": {"resourceSubscriptions": ["doc://a"]}}, id=5)
    async with serving(hesitating) as upstream, mcp_caller(gateway.url()) as caller:
        await gateway.apply(gateway.entry("mock", upstream.url))
        posting = asyncio.create_task(caller.post(body))
        await upstream.first("subscriptions/listen")
        await gateway.apply(gateway.entry("mock", upstream.url, [policy("none")]))
        gate.set()
        reply = await asyncio.wait_for(posting, TIMEOUT_SECONDS)

    assert [message.get("id") for message in reply.messages] == [5]
    assert reply.result["resultType"] == "complete"


async def test_a_body_that_takes_its_time_is_judged_by_the_policy_at_its_end(
    gateway: RunningGateway, upstream: Upstream
) -> None:
    more = asyncio.Event()

    async def body() -> AsyncIterator[bytes]:
        text = json.dumps(legacy("tools/list", {})).encode()
        yield text[:10]
        await more.wait()
        yield text[10:]

    await gateway.apply(gateway.entry("mock", upstream.url))
    async with mcp_caller(gateway.url()) as caller:
        headers = caller.headers(None)
        posting = asyncio.ensure_future(caller._http.post(gateway.url(), data=body(), headers=headers))
        await eventually(lambda: any(not each.idle for each in gateway.app._data.connections))
        await gateway.apply(gateway.entry("mock", upstream.url, [policy("p", ONE)]))
        more.set()
        async with await posting as response:
            names = [tool["name"] for tool in (await response.json())["result"]["tools"]]

    assert names == ["get_users"]


@pytest.mark.parametrize("change", ["deleted", "recreated", "another server"])
async def test_a_get_stream_ends_with_its_proxy_its_server_or_its_uid(
    gateway: RunningGateway, upstream: Upstream, change: str
) -> None:
    await gateway.apply(gateway.entry("mock", upstream.url))
    async with get_stream(gateway) as stream:
        if change == "deleted":
            await gateway.apply()
        elif change == "recreated":
            await gateway.apply(gateway.entry("mock", upstream.url, uid="new"))
        else:
            await gateway.apply(gateway.entry("mock", upstream.url + "/elsewhere"))
        assert await stream.ended()
    await asyncio.wait_for((await upstream.first("GET")).gone.wait(), TIMEOUT_SECONDS)
    await eventually(lambda: gateway.app.pipeline.limiter.streams == 0)


async def test_a_get_stream_goes_on_under_a_changed_policy_and_shows_what_that_allows(
    gateway: RunningGateway, scene: Scene, upstream: Upstream
) -> None:
    await gateway.apply(gateway.entry("mock", upstream.url))
    async with get_stream(gateway) as stream:
        await scene.say.put(updated("secret://a"))
        assert await stream.message() == updated("secret://a")
        await gateway.apply(gateway.entry("mock", upstream.url, [policy("p", DOCS)]))
        for uri in ("secret://a", "doc://a"):
            await scene.say.put(updated(uri))
        assert await stream.message() == updated("doc://a")


POISON: dict[str, Callable[[dict[str, bytes]], dict[str, bytes]]] = {
    "garbage for a manifest": lambda files: {**files, "manifest.json": b"\x00garbage"},
    "a manifest cut off": lambda files: {**files, "manifest.json": files["manifest.json"][:40]},
    "a manifest that was altered": lambda files: {
        **files,
        "manifest.json": files["manifest.json"].replace(b'"revision":2', b'"revision":9'),
    },
    "no manifest": lambda files: {name: content for name, content in files.items() if name != "manifest.json"},
    "no documents": lambda files: {name: content for name, content in files.items() if "documents" not in name},
    "nothing at all": lambda _: {},
}


@pytest.mark.parametrize("name", POISON)
async def test_poison_leaves_the_last_good_in_force_and_streams_open(
    gateway: RunningGateway, scene: Scene, upstream: Upstream, name: str
) -> None:
    await gateway.apply(gateway.entry("mock", upstream.url, [policy("p", ONE, DOCS)]))
    async with get_stream(gateway) as stream, mcp_caller(gateway.url()) as caller:
        gateway.write(gateway.entry("mock", upstream.url))
        files = {path.name: path.read_bytes() for path in (gateway.directory / "..data").iterdir()}
        gateway.place(POISON[name](files))
        await gateway.app.sources[0].poll()  # type: ignore[union-attr]  # it is a directory

        assert await tools(caller) == ["get_users"]
        await scene.say.put(updated("doc://a"))
        assert await stream.message() == updated("doc://a")
        assert gateway.app.store.snapshot is not None
        assert gateway.app.store.snapshot.revision == 1

        # And a good one after it is in force again.
        await gateway.apply(gateway.entry("mock", upstream.url))
        assert await tools(caller) == ["get_users", "delete_user"]


async def test_a_policy_without_an_accepted_version_refuses_everything_but_the_lifecycle(
    gateway: RunningGateway, upstream: Upstream
) -> None:
    await gateway.apply(gateway.entry("mock", upstream.url, invalid=True))
    async with mcp_caller(gateway.url()) as caller:
        await caller.initialize()
        for body in (legacy("tools/list", {}), legacy("tools/call", CALL), legacy("prompts/get", {"name": "x"})):
            assert (await caller.post(body)).error["code"] == -31007

    assert upstream.count("tools/call") == upstream.count("tools/list") == 0


async def test_two_hundred_reloads_under_calls_lose_none(mock: str) -> None:
    """Every call is answered with what some policy of then allowed, and none fails."""
    async with running_gateway() as gateway:
        entry = gateway.entry("mock", mock, [policy("p", ALLOW)])
        await gateway.apply(entry)
        done = asyncio.Event()

        async def call_on() -> int:
            calls = 0
            async with connect(gateway.url(), era="modern") as client:
                while not done.is_set():
                    assert not (await client.call_tool("echo", {"message": "x"})).is_error
                    calls += 1
            return calls

        callers = [asyncio.create_task(call_on()) for _ in range(3)]
        for number in range(200):
            rules: list[dict[str, Any]] = [
                ALLOW,
                {"name": f"n{number}", "effect": "Deny", "tools": {"names": [f"x{number}"]}},
            ]
            await gateway.apply(gateway.entry("mock", mock, [policy("p", *rules)]))
            await asyncio.sleep(0.005)
        done.set()
        assert all(await asyncio.gather(*callers))
        assert gateway.app.store.loads == 201


async def test_a_stream_that_stays_open_keeps_no_config_that_has_been_replaced(
    gateway: RunningGateway, upstream: Upstream
) -> None:
    untouched = gateway.entry("mock", upstream.url)
    await gateway.apply(untouched, gateway.entry("other", upstream.url))
    async with get_stream(gateway):
        await gateway.apply(untouched)

        def revisions() -> list[int]:
            gc.collect()
            return [found.revision for found in gc.get_objects() if type(found) is Snapshot]

        await eventually(lambda: revisions() == [2])
