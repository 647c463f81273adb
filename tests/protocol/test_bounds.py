"""Each bound admits its number, refuses the next clearly, and affects no one else."""

import asyncio
import json
import re
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from gateways import BOUNDS, RunningGateway, running_gateway
from mcp_caller import McpCaller, Reply, legacy, mcp_caller, modern
from mcp_clients import eventually
from timeouts import TIMEOUT_SECONDS
from upstreams import Arrived, Upstream, answer, document, events, serving, with_handshake
from waiting import for_ever
from wire import connected, post

from ostiary_core.contract.bounds import ServerShareConfig, ShareConfig
from ostiary_core.contract.documents import TimeoutsConfig

CALL = {"name": "get_users", "arguments": {}}
LISTEN = {"notifications": {"toolsListChanged": True}}


class Scene:
    """An upstream whose calls wait for the gate, and whose streams say nothing."""

    def __init__(self) -> None:
        self.gate = asyncio.Event()
        self.text = "done"

    async def script(self, request: web.BaseRequest, arrived: Arrived) -> web.StreamResponse:
        if arrived.method in ("GET", "subscriptions/listen"):
            async with events(request):
                await for_ever()
        await self.gate.wait()
        return document(answer(arrived, {"content": [{"type": "text", "text": self.text}]}))


@pytest.fixture
def scene() -> Scene:
    return Scene()


@asynccontextmanager
async def bounded(
    upstream: Upstream, *, trusted: list[str] | None = None, **bounds: Any
) -> AsyncIterator[RunningGateway]:
    """A gateway with these bounds, and two proxies."""
    async with running_gateway(bounds=BOUNDS.model_copy(update=bounds)) as gateway:
        gateway.settings = gateway.settings.model_copy(update={"trusted_proxies": trusted or []})
        await gateway.apply(gateway.entry("mock", upstream.url), gateway.entry("other", upstream.url))
        yield gateway


async def metric(gateway: RunningGateway, name: str) -> float:
    url = f"http://127.0.0.1:{gateway.app.admin_port}/metrics"
    async with aiohttp.ClientSession() as http, http.get(url) as response:
        lines = (await response.text()).splitlines()
    return next(float(line.rpartition(" ")[2]) for line in lines if line.startswith(name))


def is_full(reply: Reply) -> bool:
    received = reply.json["error"]
    return (reply.status, reply.headers["Retry-After"], received["code"], received["data"]["reason"]) == (
        503,
        "1",
        -31002,
        "GatewayFull",
    )


async def test_requests_beyond_the_bound_of_a_proxy_are_refused_and_those_of_others_are_not(
    scene: Scene, upstream: Upstream
) -> None:
    async with (
        bounded(upstream, per_proxy=ShareConfig(requests_in_flight=2)) as gateway,
        mcp_caller(gateway.url()) as caller,
    ):
        waiting = [asyncio.create_task(caller.post(legacy("tools/call", CALL, id=n))) for n in range(2)]
        await eventually(lambda: upstream.count("tools/call") == 2)
        refused = await caller.post(legacy("tools/call", CALL))
        assert is_full(refused)
        assert await metric(gateway, 'ostiary_bound_refusals_total{bound="requests_in_flight",scope="proxy"}') == 1
        async with mcp_caller(gateway.url("other")) as elsewhere:
            other = asyncio.create_task(elsewhere.post(legacy("tools/call", CALL)))
            await eventually(lambda: upstream.count("tools/call") == 3)
            scene.gate.set()
            assert (await other).status == 200
        assert [reply.status for reply in await asyncio.gather(*waiting)] == [200, 200]
        assert (await caller.post(legacy("tools/call", CALL))).status == 200
        assert gateway.app.pipeline.limiter.requests == 0


@pytest.mark.parametrize("kind", ["listen", "GET"])
async def test_streams_beyond_the_bound_are_refused_and_the_next_passes_when_one_ends(
    upstream: Upstream, kind: str
) -> None:
    def opened(caller: McpCaller) -> Any:
        return caller.listen() if kind == "GET" else caller.stream(modern("subscriptions/listen", LISTEN))

    async with bounded(upstream, streams=2) as gateway, mcp_caller(gateway.url()) as caller, AsyncExitStack() as others:
        await others.enter_async_context(opened(caller))
        async with opened(caller) as second:
            assert second.status == 200
            async with opened(caller) as third:
                assert third.status == 503
        await eventually(lambda: gateway.app.pipeline.limiter.streams == 1)
        assert (await others.enter_async_context(opened(caller))).status == 200
        assert await metric(gateway, 'ostiary_bound_refusals_total{bound="streams",scope="gateway"}') == 1


@pytest.mark.parametrize("scope", ["gateway", "source"])
async def test_connections_beyond_the_bound_get_a_refusal_and_are_closed(
    scene: Scene, upstream: Upstream, scope: str
) -> None:
    scene.gate.set()
    bounds = {"connections": 2} if scope == "gateway" else {"per_source": ShareConfig(connections=2)}
    async with bounded(upstream, **bounds) as gateway, AsyncExitStack() as in_use:
        first = AsyncExitStack()
        await first.enter_async_context(connected(gateway.app.port))
        await in_use.enter_async_context(connected(gateway.app.port))
        await eventually(lambda: gateway.app.pipeline.limiter.total.connections == 2)
        async with mcp_caller(gateway.url()) as caller:
            refused = await caller.post(legacy("tools/call", CALL))
        assert is_full(refused)
        assert refused.headers["Connection"] == "close"
        assert upstream.count("tools/call") == 0
        await first.aclose()
        await eventually(lambda: gateway.app.pipeline.limiter.total.connections == 1)
        async with mcp_caller(gateway.url()) as caller:
            assert (await caller.post(legacy("tools/call", CALL))).status == 200
        name = f'ostiary_bound_refusals_total{{bound="connections",scope="{scope}"}}'
        assert await metric(gateway, name) == 1


async def test_a_flood_of_connections_that_are_not_let_in_is_not_kept(upstream: Upstream) -> None:
    async with bounded(upstream, connections=1) as gateway, AsyncExitStack() as in_use:
        for _ in range(300):
            await in_use.enter_async_context(connected(gateway.app.port))
        await eventually(lambda: 250 < len(gateway.app._data.connections) <= 257)
        assert gateway.app.pipeline.limiter.total.connections == 1


async def test_bodies_in_flight_are_bounded_while_they_are_read(scene: Scene, upstream: Upstream) -> None:
    scene.gate.set()
    async with bounded(upstream, bytes_in_flight=100_000) as gateway, mcp_caller(gateway.url()) as caller:
        async with connected(gateway.app.port) as slow:
            head = "POST /mock/mcp HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            await slow.send(f"{head}Content-Length: 90001\r\n\r\n".encode() + b" " * 90_000)
            await eventually(lambda: gateway.app.pipeline.limiter.total.bytes == 90_000)
            assert await metric(gateway, "ostiary_bytes_in_flight") == 90_000
            padded = legacy("tools/call", {"name": "get_users", "arguments": {"x": "y" * 20_000}})
            assert is_full(await caller.post(padded))
            assert (await caller.post(legacy("tools/call", CALL))).status == 200
        await eventually(lambda: gateway.app.pipeline.limiter.total.bytes == 0)
        assert (await caller.post(padded)).status == 200


async def test_bodies_that_arrive_slowly_take_no_place_of_requests_and_are_answered_even_when_draining(
    scene: Scene, upstream: Upstream
) -> None:
    scene.gate.set()
    body = json.dumps(legacy("tools/call", CALL)).encode()
    whole = post("/mock/mcp", body)
    async with bounded(upstream, per_proxy=ShareConfig(requests_in_flight=1)) as gateway, AsyncExitStack() as stack:
        slow = [await stack.enter_async_context(connected(gateway.app.port)) for _ in range(3)]
        for wire in slow:
            await wire.send(whole[:-10])
        in_use = gateway.app.pipeline.limiter.total
        await eventually(lambda: in_use.uploads == 3)
        async with mcp_caller(gateway.url()) as caller:
            assert (await caller.post(legacy("tools/call", CALL))).result
        await slow[0].send(whole[-10:])
        assert (await slow[0].reply()).status == 200
        slow[1].writer.close()
        await eventually(lambda: in_use.uploads == 1)

        stopping = asyncio.create_task(gateway.app.stop())
        await eventually(lambda: gateway.app.pipeline.draining)
        await slow[2].send(whole[-10:])
        assert (await slow[2].reply()).status == 200
        await asyncio.wait_for(stopping, TIMEOUT_SECONDS)
        assert (in_use.uploads, in_use.requests, in_use.bytes) == (0, 0, 0)


async def test_answers_without_room_end_with_an_error_and_small_ones_go_on(scene: Scene, upstream: Upstream) -> None:
    scene.text = "x" * 60_000
    begun = asyncio.Event()

    async def hanging(request: web.BaseRequest, arrived: Arrived) -> web.StreamResponse:
        if arrived.method != "tools/list":
            return await scene.script(request, arrived)
        response = web.StreamResponse(headers={"Content-Type": "application/json", "Content-Length": "70000"})
        await response.prepare(request)
        await response.write(b" " * 60_000)
        begun.set()
        await for_ever()
        return response

    scene.gate.set()
    async with (
        serving(with_handshake(hanging)) as slow,
        bounded(slow, bytes_in_flight=100_000) as gateway,
        mcp_caller(gateway.url()) as caller,
    ):
        listing = asyncio.create_task(caller.post(legacy("tools/list", {})))
        await begun.wait()
        await eventually(lambda: gateway.app.pipeline.limiter.total.bytes >= 60_000)
        refused = await caller.post(legacy("tools/call", CALL))
        assert (refused.status, refused.error["code"]) == (200, -31002)
        assert refused.error["data"] == {"reason": "GatewayFull"}
        scene.text = "small"
        assert (await caller.post(legacy("tools/call", CALL))).result
        listing.cancel()
        await asyncio.gather(listing, return_exceptions=True)


async def test_a_response_that_its_caller_does_not_read_counts_against_the_bound(
    scene: Scene, upstream: Upstream
) -> None:
    scene.gate.set()
    scene.text = "x" * (4 << 20)  # more than the kernel's buffers take from the caller
    body = json.dumps(legacy("tools/call", CALL)).encode()
    async with (
        bounded(upstream, message_bytes=16 << 20, bytes_in_flight=4 << 20) as gateway,
        mcp_caller(gateway.url()) as caller,
    ):
        in_use = gateway.app.pipeline.limiter.total
        async with narrow(gateway.app.port) as slow:
            slow.sendall(post("/mock/mcp", body))
            await eventually(lambda: upstream.count("tools/call") == 1 and in_use.requests == 0)
            assert in_use.bytes > 4 << 20
            assert is_full(await caller.post(legacy("tools/call", CALL)))
        await eventually(lambda: in_use.bytes == 0)
        scene.text = "small"
        assert (await caller.post(legacy("tools/call", CALL))).result


@pytest.mark.parametrize("kind", ["answer", "notice"])
async def test_an_event_that_its_caller_does_not_take_is_held_against_the_bound(kind: str) -> None:
    async def large(request: web.BaseRequest, arrived: Arrived) -> web.StreamResponse:
        if arrived.message["params"]["name"] != "large":
            return document(answer(arrived, {"content": []}))
        notice = {"jsonrpc": "2.0", "method": "notifications/message", "params": {"data": "x" * (4 << 20)}}
        async with events(request) as stream:
            await stream.send(notice if kind == "notice" else answer(arrived, {"content": [], "x": "x" * (4 << 20)}))
            await for_ever()
        return stream.response

    body = json.dumps(legacy("tools/call", {"name": "large", "arguments": {}})).encode()
    async with (
        serving(large) as upstream,
        bounded(upstream, message_bytes=16 << 20, bytes_in_flight=4 << 20) as gateway,
        mcp_caller(gateway.url()) as caller,
    ):
        in_use = gateway.app.pipeline.limiter.total
        async with narrow(gateway.app.port) as slow:
            slow.sendall(post("/mock/mcp", body))
            await eventually(lambda: in_use.bytes > 4 << 20)
            for _ in range(100):
                await asyncio.sleep(0)  # whatever is still to be sent is sent
            assert in_use.bytes > 4 << 20
            assert is_full(await caller.post(legacy("tools/call", CALL)))
        await eventually(lambda: in_use.bytes < 1000)
        assert (await caller.post(legacy("tools/call", CALL))).result


async def test_an_event_that_was_taken_is_held_no_longer() -> None:
    async def large(request: web.BaseRequest, arrived: Arrived) -> web.StreamResponse:
        async with events(request) as stream:
            await stream.send({"jsonrpc": "2.0", "method": "notifications/message", "params": {"data": "x" * 500_000}})
            await for_ever()
        return stream.response

    async with serving(large) as upstream, bounded(upstream) as gateway, mcp_caller(gateway.url()) as caller:
        in_use = gateway.app.pipeline.limiter.total
        async with caller.stream(modern("tools/call", CALL)) as stream:
            assert (await stream.message())["method"] == "notifications/message"
            await eventually(lambda: in_use.bytes < 1000)
            assert in_use.requests == 1


async def test_large_messages_that_never_end_leave_room_for_small_ones(scene: Scene, upstream: Upstream) -> None:
    scene.gate.set()
    first, second = b" " * 600_000, b" " * (1_048_576 - 600_010)
    async with (
        bounded(upstream, bytes_in_flight=1 << 20) as gateway,
        mcp_caller(gateway.url()) as caller,
        connected(gateway.app.port) as slow,
        connected(gateway.app.port) as other,
    ):
        in_use = gateway.app.pipeline.limiter.total
        await slow.send(post("/mock/mcp", first, length=900_000))
        await eventually(lambda: in_use.bytes == len(first))
        await other.send(post("/mock/mcp", second, length=900_000))
        assert (await other.reply()).status == 503
        assert (await caller.post(legacy("tools/call", CALL))).result
        await eventually(lambda: in_use.bytes == len(first))


@asynccontextmanager
async def narrow(port: int) -> AsyncIterator[socket.socket]:
    """A connection whose caller takes next to nothing."""
    with socket.socket() as made:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        made.connect(("127.0.0.1", port))
        yield made


async def test_an_event_that_is_not_whole_is_counted_and_released(upstream: Upstream) -> None:
    gate = asyncio.Event()

    async def halves(request: web.BaseRequest, arrived: Arrived) -> web.StreamResponse:
        text = json.dumps(answer(arrived, {"content": [{"type": "text", "text": "x" * 50_000}]}))
        async with events(request) as stream:
            await stream.raw(f"data: {text[:40_000]}".encode())
            await gate.wait()
            await stream.raw(f"{text[40_000:]}\n\n".encode())
        return stream.response

    async with serving(halves) as slow, bounded(slow) as gateway, mcp_caller(gateway.url()) as caller:
        calls = asyncio.create_task(caller.post(modern("tools/call", CALL)))
        await eventually(lambda: gateway.app.pipeline.limiter.total.bytes > 40_000)
        gate.set()
        assert (await calls).result
        assert gateway.app.pipeline.limiter.total.bytes == 0


async def test_a_request_that_finds_no_free_connection_to_its_server_is_refused(
    scene: Scene, upstream: Upstream
) -> None:
    async with (
        bounded(upstream, per_server=ServerShareConfig(connections=1)) as gateway,
        mcp_caller(gateway.url()) as caller,
    ):
        quick = TimeoutsConfig(connect=2000, request=60_000, idle=60_000)  # so long it waits for a free one
        await gateway.apply(gateway.entry("mock", upstream.url, timeouts=quick), gateway.entry("other", upstream.url))
        first = asyncio.create_task(caller.post(legacy("tools/call", CALL)))
        await upstream.first("tools/call")
        refused = await caller.post(legacy("tools/call", CALL))
        assert (refused.status, refused.error["code"]) == (200, -31003)
        assert refused.error["data"] == {"reason": "UpstreamFull", "retryAfterMs": 1000}
        assert await metric(gateway, 'ostiary_bound_refusals_total{bound="connections",scope="server"}') == 1
        scene.gate.set()
        assert (await first).result
        assert (await caller.post(legacy("tools/call", CALL))).result


async def test_a_wider_bound_is_in_force_with_the_next_config(scene: Scene, upstream: Upstream) -> None:
    async with bounded(upstream, requests_in_flight=1) as gateway, mcp_caller(gateway.url()) as caller:
        first = asyncio.create_task(caller.post(legacy("tools/call", CALL)))
        await upstream.first("tools/call")
        assert is_full(await caller.post(legacy("tools/call", CALL)))
        wider = gateway.settings.bounds.model_copy(update={"requests_in_flight": 2})
        gateway.settings = gateway.settings.model_copy(update={"bounds": wider})
        await gateway.apply(gateway.entry("mock", upstream.url))
        second = asyncio.create_task(caller.post(legacy("tools/call", CALL)))
        await eventually(lambda: upstream.count("tools/call") == 2)
        scene.gate.set()
        assert [reply.status for reply in await asyncio.gather(first, second)] == [200, 200]


async def test_behind_a_trusted_proxy_one_caller_does_not_use_up_the_share_of_another(
    scene: Scene, upstream: Upstream
) -> None:
    share = ShareConfig(connections=1, requests_in_flight=1)
    async with (
        bounded(upstream, trusted=["127.0.0.0/8"], per_source=share) as gateway,
        mcp_caller(gateway.url()) as caller,
    ):
        call = legacy("tools/call", CALL)
        first = asyncio.create_task(caller.post(call, {"X-Forwarded-For": "198.51.100.1"}))
        await upstream.first("tools/call")
        for spoofed in ("1.1.1.1, 198.51.100.1", "x" * 20_000 + ", 198.51.100.1", "198.51.100.1, 127.0.0.9"):
            assert is_full(await caller.post(call, {"X-Forwarded-For": spoofed}))
        second = asyncio.create_task(caller.post(call, {"X-Forwarded-For": "198.51.100.2"}))
        await eventually(lambda: upstream.count("tools/call") == 2)
        scene.gate.set()
        assert [reply.status for reply in await asyncio.gather(first, second)] == [200, 200]


@pytest.mark.parametrize("form", ["document", "event"])
async def test_an_answer_beyond_message_bytes_is_refused_with_its_size_the_bound_and_the_setting_governed_or_not(
    form: str,
) -> None:
    async def script(request: web.BaseRequest, arrived: Arrived) -> web.StreamResponse:
        message = answer(arrived, {"content": [{"type": "text", "text": "x" * 70_000}]})
        if form == "document":
            return document(message)
        async with events(request) as stream:
            await stream.send(message)
        return stream.response

    async with (
        serving(script) as upstream,
        bounded(upstream, message_bytes=65536) as gateway,
        mcp_caller(gateway.url()) as caller,
    ):
        received = (await caller.post(legacy("tools/call", CALL))).body.decode()
    assert '"UpstreamAnswerTooLarge"' in received
    assert re.search(
        r"(7\d{4}|6[5-9]\d{3}) bytes or more, and (a message )?may have 65536 \(bounds.messageBytes\)", received
    )


async def test_a_stream_of_ungoverned_events_has_no_bound_but_that_of_each_event() -> None:
    async def script(request: web.BaseRequest, arrived: Arrived) -> web.StreamResponse:
        async with events(request) as stream:
            for n in range(30):
                params = {"progressToken": 1, "progress": n, "message": "x" * 60_000}
                await stream.send({"jsonrpc": "2.0", "method": "notifications/progress", "params": params})
            await stream.send(answer(arrived, {"content": []}))
        return stream.response

    async with (
        serving(script) as upstream,
        bounded(upstream, message_bytes=65536) as gateway,
        mcp_caller(gateway.url()) as caller,
    ):
        received = (await caller.post(legacy("tools/call", CALL))).body
    assert received.count(b"notifications/progress") == 30
    assert b'"result"' in received


async def test_a_body_beyond_request_bytes_is_refused_with_its_size_the_bound_and_the_setting(
    scene: Scene, upstream: Upstream
) -> None:
    async with bounded(upstream, request_bytes=65536) as gateway, mcp_caller(gateway.url()) as caller:
        refused = await caller.post(legacy("tools/call", {**CALL, "arguments": {"x": "y" * 70_000}}))
    assert (refused.status, refused.json["error"]["code"]) == (413, -31006)
    assert re.fullmatch(
        r"A message may be 65536 bytes long \(bounds.requestBytes\), and this one has 70\d{3} or more",
        refused.json["error"]["message"],
    )


HEAD_IN_PIECES = b"POST /mock/mcp HTTP/1.1\r\nHost: localhost\r\n"


def unhandled(gateway: RunningGateway) -> int:
    """How many bytes the connections buffer of requests that no handler processes."""
    return sum(each.unhandled for each in gateway.app._data.connections)


async def test_incomplete_heads_are_counted_and_beyond_the_limit_the_largest_are_refused(
    scene: Scene, upstream: Upstream
) -> None:
    scene.gate.set()
    async with bounded(upstream, bytes_in_flight=1 << 20) as gateway, AsyncExitStack() as stack:
        limiter = gateway.app.pipeline.limiter
        small = await stack.enter_async_context(connected(gateway.app.port))
        await small.send(HEAD_IN_PIECES)
        await eventually(lambda: limiter.total.bytes == len(HEAD_IN_PIECES))
        large = [await stack.enter_async_context(connected(gateway.app.port)) for _ in range(5)]
        for wire in large:
            await wire.send(HEAD_IN_PIECES + b"X-Padding: " + b"x" * 30_000)
        refused = await large[0].reply()
        assert (refused.status, refused.json["error"]) == (503, "GatewayFull")
        assert await large[0].closed()
        await eventually(lambda: unhandled(gateway) == limiter.total.bytes > 3 * 30_000)
        assert limiter.total.bytes <= 1 << 17

        body = json.dumps(legacy("tools/call", CALL)).encode()
        await small.send(b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))
        assert (await small.reply()).status == 200
        for wire in large:
            wire.writer.close()
        await eventually(lambda: limiter.total.bytes == 0)
        assert not gateway.app._data._unhandled


async def test_requests_that_come_early_are_counted_until_they_are_worked_on(scene: Scene, upstream: Upstream) -> None:
    body = json.dumps(legacy("tools/call", CALL)).encode()
    request = (
        HEAD_IN_PIECES
        + b"Accept: application/json, text/event-stream\r\nContent-Type: application/json\r\n"
        + b"Content-Length: %d\r\n\r\n%b" % (len(body), body)
    )
    async with bounded(upstream, bytes_in_flight=1 << 20) as gateway, connected(gateway.app.port) as wire:
        await wire.send(request * 3)
        await upstream.first("tools/call")
        await eventually(lambda: unhandled(gateway) >= 2 * len(request))
        scene.gate.set()
        assert [(await wire.reply()).status for _ in range(3)] == [200] * 3
        await eventually(lambda: gateway.app.pipeline.limiter.total.bytes == 0)


async def test_an_untrusted_source_is_charged_for_incomplete_heads(scene: Scene, upstream: Upstream) -> None:
    async with bounded(upstream) as gateway, connected(gateway.app.port) as wire:
        await wire.send(HEAD_IN_PIECES)
        await eventually(lambda: unhandled(gateway) == len(HEAD_IN_PIECES))
        (source,) = gateway.app.pipeline.limiter.sources.by_key.values()
        assert source.bytes == len(HEAD_IN_PIECES)
