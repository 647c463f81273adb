"""Streams are forwarded at once, unchanged, and for as long as their caller is connected."""

import asyncio
import json
from typing import Any

import pytest
from aiohttp import web
from gateways import RunningGateway, policy
from mcp_caller import legacy, mcp_caller, modern
from mcp_clients import eventually
from timeouts import TIMEOUT_SECONDS
from upstreams import Arrived, answer, document, events, serving, with_handshake
from waiting import for_ever

from ostiary_core.contract.documents import TimeoutsConfig
from ostiary_gateway.pipeline import leg_events, sse_transport
from ostiary_gateway.upstream.http1.upstream_response import UpstreamResponse

ALLOW = {"name": "all", "effect": "Allow"}
GET_ONLY = {"name": "get", "effect": "Allow", "tools": {"names": ["get_*"]}, "resources": {"names": ["doc://*"]}}
CALL = {"name": "get_users", "arguments": {}}
RESULT = {"content": [{"type": "text", "text": "done"}]}


def progress(number: int) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "method": "notifications/progress", "params": {"progressToken": 1, "progress": number}}


def listing(*names: str) -> dict[str, Any]:
    return {"tools": [{"name": name} for name in names]}


def call(era: str, method: str = "tools/call", params: Any = None, **more: Any) -> dict[str, Any]:
    return (legacy if era == "legacy" else modern)(method, CALL if params is None else params, **more)


both_eras = pytest.mark.parametrize("era", ["legacy", "modern"])


@both_eras
@pytest.mark.parametrize("governed", [False, True])
async def test_an_event_arrives_while_the_server_still_holds_the_next(
    gateway: RunningGateway, era: str, governed: bool
) -> None:
    gate = asyncio.Event()

    async def script(request: web.BaseRequest, arrived: Arrived) -> web.StreamResponse:
        async with events(request) as stream:
            await stream.send(progress(1))
            await gate.wait()
            await stream.send(progress(2))
            await stream.send(answer(arrived, RESULT))
        return stream.response

    async with serving(script) as upstream, mcp_caller(gateway.url()) as caller:
        await gateway.apply(gateway.entry("mock", upstream.url, [policy("p", ALLOW)] if governed else []))
        async with caller.stream(call(era)) as stream:
            assert stream.headers["Content-Type"] == "text/event-stream"
            assert stream.headers["X-Accel-Buffering"] == "no"
            assert "Content-Length" not in stream.headers
            assert (await stream.message())["params"]["progress"] == 1
            assert not gate.is_set()
            gate.set()
            assert (await stream.message())["params"]["progress"] == 2
            assert (await stream.message())["result"] == RESULT
            assert await stream.ended()


@both_eras
async def test_the_head_of_a_stream_comes_before_its_first_event(gateway: RunningGateway, era: str) -> None:
    async def script(request: web.BaseRequest, arrived: Arrived) -> web.StreamResponse:
        async with events(request) as stream:
            await for_ever()
        return stream.response

    async with serving(script) as upstream, mcp_caller(gateway.url()) as caller:
        await gateway.apply(gateway.entry("mock", upstream.url))
        async with asyncio.timeout(TIMEOUT_SECONDS), caller.stream(call(era)) as stream:
            assert stream.status == 200


async def test_an_event_that_no_rule_touches_keeps_its_bytes(gateway: RunningGateway) -> None:
    sent = (
        b": hello\r\n\r\nid: 1\r\nretry: 500\r\ndata:\r\n\r\n"
        b'event: message\r\nid: 2\r\ndata: {"jsonrpc":"2.0",\r\ndata:  "method":"notifications/progress"}\r\n\r\n'
        b"event: ping\ndata: 12:00\n\n"
        b'data:{"jsonrpc":"2.0","id":1,"result":{"n":1e400,"big":123456789012345678901}}\n\n'
    )

    async def script(request: web.BaseRequest, arrived: Arrived) -> web.StreamResponse:
        async with events(request) as stream:
            for place in range(0, len(sent), 7):
                await stream.raw(sent[place : place + 7])
        return stream.response

    async with serving(script) as upstream, mcp_caller(gateway.url()) as caller:
        await gateway.apply(gateway.entry("mock", upstream.url))
        assert (await caller.post(call("legacy"))).body == sent


@both_eras
async def test_a_document_that_no_rule_touches_keeps_its_bytes(gateway: RunningGateway, era: str) -> None:
    sent = b' {"jsonrpc": "2.0","id":1,  "result":{"z":1.0,"a":[123456789012345678901],"u":"\\u00fc\\ud83d"}}\n'

    async def script(request: web.BaseRequest, arrived: Arrived) -> web.StreamResponse:
        return document(sent)

    async with serving(script) as upstream, mcp_caller(gateway.url()) as caller:
        await gateway.apply(gateway.entry("mock", upstream.url, [policy("p", ALLOW)]))
        reply = await caller.post(call(era))

    assert (reply.status, reply.body) == (200, sent)
    assert reply.headers["Content-Type"] == "application/json"


@both_eras
@pytest.mark.parametrize("chunk", [1, 5, 10_000])
async def test_a_list_is_filtered_in_events_whatever_their_chunks_and_with_notices_before(
    gateway: RunningGateway, era: str, chunk: int
) -> None:
    async def script(request: web.BaseRequest, arrived: Arrived) -> web.StreamResponse:
        shown = json.dumps(answer(arrived, {**listing("get_a", "hidden", "get_b"), "nextCursor": "c"}), indent=1)
        data = "\r\n".join(f"data: {line}" for line in shown.splitlines())
        sent = f"id: 0\r\ndata:\r\n\r\ndata: {json.dumps(progress(1))}\r\n\r\nid: 9\r\n{data}\r\n\r\n".encode()
        async with events(request) as stream:
            for place in range(0, len(sent), chunk):
                await stream.raw(sent[place : place + chunk])
        return stream.response

    async with serving(script) as upstream, mcp_caller(gateway.url()) as caller:
        await gateway.apply(gateway.entry("mock", upstream.url, [policy("p", GET_ONLY)]))
        reply = await caller.post(call(era, "tools/list", {}))

    noticed, listed = reply.messages
    assert noticed == progress(1)
    assert listed["result"] == {**listing("get_a", "get_b"), "nextCursor": "c"}
    assert b"id: 9" in reply.body
    assert b"hidden" not in reply.body


@both_eras
async def test_a_filtered_document_has_the_length_that_is_left(gateway: RunningGateway, era: str) -> None:
    async def script(request: web.BaseRequest, arrived: Arrived) -> web.StreamResponse:
        return document(answer(arrived, listing("hidden", "get_a")))

    async with serving(script) as upstream, mcp_caller(gateway.url()) as caller:
        await gateway.apply(gateway.entry("mock", upstream.url, [policy("p", GET_ONLY)]))
        reply = await caller.post(call(era, "tools/list", {}))

    assert reply.result == listing("get_a")
    assert int(reply.headers["Content-Length"]) == len(reply.body)


@both_eras
async def test_paging_continues_after_an_emptied_page(gateway: RunningGateway, era: str) -> None:
    pages = {None: (["get_a"], "p 2/ü"), "p 2/ü": (["hidden"], ""), "": (["get_b"], None)}

    async def script(request: web.BaseRequest, arrived: Arrived) -> web.StreamResponse:
        names, cursor = pages[arrived.message["params"].get("cursor")]
        return document(answer(arrived, {**listing(*names), **({"nextCursor": cursor} if cursor is not None else {})}))

    async with serving(script) as upstream, mcp_caller(gateway.url()) as caller:
        await gateway.apply(gateway.entry("mock", upstream.url, [policy("p", GET_ONLY)]))
        results = [(await caller.post(call(era, "tools/list", {}))).result]
        while "nextCursor" in results[-1]:
            cursor = results[-1]["nextCursor"]
            results.append((await caller.post(call(era, "tools/list", {"cursor": cursor}))).result)

    assert results == [
        {**listing("get_a"), "nextCursor": "p 2/ü"},
        {"tools": [], "nextCursor": ""},
        listing("get_b"),
    ]


@both_eras
async def test_json_that_is_only_labelled_as_events_becomes_one(gateway: RunningGateway, era: str) -> None:
    async def script(request: web.BaseRequest, arrived: Arrived) -> web.StreamResponse:
        pretty = json.dumps(answer(arrived, listing("get_a", "hidden")), indent=2).replace("\n", "\n\n")
        return web.Response(body=pretty.encode(), headers={"Content-Type": "text/event-stream; charset=utf-8"})

    async with serving(script) as upstream, mcp_caller(gateway.url()) as caller:
        await gateway.apply(gateway.entry("mock", upstream.url, [policy("p", GET_ONLY)]))
        reply = await caller.post(call(era, "tools/list", {}))

    assert reply.result == listing("get_a")
    assert b"hidden" not in reply.body


async def test_lines_that_are_no_events_do_not_pass_unseen(gateway: RunningGateway) -> None:
    async def script(request: web.BaseRequest, arrived: Arrived) -> web.StreamResponse:
        async with events(request) as stream:
            await stream.raw(b'x: {"tools":[{"name":"hidden"}]}\n\n\xef\xbb\xbfdata: {"tools":["hidden"]}\n\n')
            await stream.send(answer(arrived, listing("get_a")))
        return stream.response

    async with serving(script) as upstream, mcp_caller(gateway.url()) as caller:
        await gateway.apply(gateway.entry("mock", upstream.url, [policy("p", GET_ONLY)]))
        reply = await caller.post(call("legacy", "tools/list", {}))

    assert reply.result == listing("get_a")
    assert b"hidden" not in reply.body


async def test_a_list_on_a_resumed_get_is_filtered_too(gateway: RunningGateway) -> None:
    async def script(request: web.BaseRequest, arrived: Arrived) -> web.StreamResponse:
        assert arrived.headers["Last-Event-ID"] == "stream-1/7"
        async with events(request) as stream:
            message = {"jsonrpc": "2.0", "id": 1, "result": listing("hidden", "get_a")}
            await stream.send(message, id="stream-1/8")
        return stream.response

    async with serving(with_handshake(script)) as upstream, mcp_caller(gateway.url()) as caller:
        await gateway.apply(gateway.entry("mock", upstream.url, [policy("p", GET_ONLY)]))
        await caller.initialize()
        async with caller.listen({"Last-Event-ID": "stream-1/7"}) as stream:
            assert await stream.block() == (
                'id: stream-1/8\nevent: message\ndata: {"jsonrpc":"2.0","id":1,"result":{"tools":[{"name":"get_a"}]}}'
            )
            assert await stream.ended()


async def test_a_notice_about_a_hidden_resource_is_dropped_on_a_get_stream(gateway: RunningGateway) -> None:
    def updated(uri: str) -> dict[str, Any]:
        return {"jsonrpc": "2.0", "method": "notifications/resources/updated", "params": {"uri": uri}}

    async def script(request: web.BaseRequest, arrived: Arrived) -> web.StreamResponse:
        async with events(request) as stream:
            await stream.send(updated("secret://a"))
            await stream.send(updated("doc://a"))
        return stream.response

    async with serving(with_handshake(script)) as upstream, mcp_caller(gateway.url()) as caller:
        await gateway.apply(gateway.entry("mock", upstream.url, [policy("p", GET_ONLY)]))
        await caller.initialize()
        async with caller.listen() as stream:
            assert await stream.message() == updated("doc://a")
            assert await stream.ended()


# -- silence


@both_eras
async def test_a_silent_stream_is_kept_alive_with_comments_between_its_events(
    gateway: RunningGateway, era: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leg_events, "KEEP_ALIVE_SECONDS", 0.02)
    gate, half = asyncio.Event(), asyncio.Event()

    async def script(request: web.BaseRequest, arrived: Arrived) -> web.StreamResponse:
        async with events(request) as stream:
            await gate.wait()
            whole = f"data: {json.dumps(answer(arrived, RESULT))}\n\n".encode()
            await stream.raw(whole[:20])
            await half.wait()
            await stream.raw(whole[20:])
        return stream.response

    async with serving(script) as upstream, mcp_caller(gateway.url()) as caller:
        await gateway.apply(gateway.entry("mock", upstream.url))
        async with caller.stream(call(era)) as stream:
            assert await stream.block() == ": keep-alive"
            assert await stream.block() == ": keep-alive"
            gate.set()
            await asyncio.sleep(0.1)  # time in which comments would be put into the event, if that could be
            half.set()
            while (block := await stream.block()) == ": keep-alive":
                pass
            assert block is not None
            assert json.loads(block.removeprefix("data: "))["result"] == RESULT


@pytest.mark.parametrize("patience", [0.1, 0.35])
async def test_a_call_that_is_silent_for_longer_than_its_idle_time_ends_with_a_timeout(
    gateway: RunningGateway, patience: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leg_events, "KEEP_ALIVE_SECONDS", 0.2)

    async def script(request: web.BaseRequest, arrived: Arrived) -> web.StreamResponse:
        async with events(request) as stream:
            await stream.send(progress(1))
            await for_ever()
        return stream.response

    async with serving(script) as upstream, mcp_caller(gateway.url()) as caller:
        timeouts = TimeoutsConfig(connect=60_000, request=60_000, idle=int(patience * 1000))
        await gateway.apply(gateway.entry("mock", upstream.url, timeouts=timeouts))
        began = asyncio.get_running_loop().time()
        reply = await caller.post(call("modern"))
        took = asyncio.get_running_loop().time() - began
        await asyncio.wait_for(upstream.arrived[0].gone.wait(), TIMEOUT_SECONDS)

    assert reply.error["code"] == -31004
    assert reply.messages[-1]["id"] == 1
    assert patience <= took < TIMEOUT_SECONDS


async def test_a_get_stream_may_be_silent_for_longer_than_that(
    gateway: RunningGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leg_events, "KEEP_ALIVE_SECONDS", 0.05)

    async def script(request: web.BaseRequest, arrived: Arrived) -> web.StreamResponse:
        async with events(request) as stream:
            await for_ever()
        return stream.response

    async with serving(with_handshake(script)) as upstream, mcp_caller(gateway.url()) as caller:
        await gateway.apply(
            gateway.entry("mock", upstream.url, timeouts=TimeoutsConfig(connect=60_000, request=60_000, idle=10))
        )
        await caller.initialize()
        async with caller.listen() as stream:
            assert [await stream.block() for _ in range(4)] == [": keep-alive"] * 4


def frames(task: asyncio.Task[Any]) -> list[str]:
    """The coroutines of a task, from the outermost to the one that waits."""
    found: list[str] = []
    each: Any = task.get_coro()
    while (frame := getattr(each, "cr_await", None)) is not None:
        found.append(each.__qualname__)
        each = frame
    return found


async def test_a_stream_that_waits_holds_one_frame_and_no_header_of_its_server(gateway: RunningGateway) -> None:
    async def script(request: web.BaseRequest, arrived: Arrived) -> web.StreamResponse:
        async with events(request) as stream:
            await for_ever()
        return stream.response

    async with serving(with_handshake(script)) as upstream, mcp_caller(gateway.url()) as caller:
        await gateway.apply(gateway.entry("mock", upstream.url))
        await caller.initialize()
        async with caller.listen():
            [task] = [each for each in asyncio.all_tasks() if "EventRelay.run" in frames(each)]
            await eventually(lambda: frames(task)[-1] == "EventRelay.run")  # not in what it awaits for a moment
            # Before these are those of the HTTP server.
            assert frames(task)[-3:] == ["RequestPipeline.handle", "_attempt", "EventRelay.run"]
            [stream] = gateway.app.pipeline.streams
            assert isinstance(stream.response, UpstreamResponse)
            assert stream.response.header("content-type") is None


@both_eras
async def test_after_the_response_a_server_that_keeps_sending_is_disconnected(
    gateway: RunningGateway, era: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leg_events, "AFTERMATH_SECONDS", 0.1)

    async def script(request: web.BaseRequest, arrived: Arrived) -> web.StreamResponse:
        async with events(request) as stream:
            await stream.send(answer(arrived, RESULT))
            while True:
                await stream.send(progress(9))
                await asyncio.sleep(0.01)
        return stream.response

    async with serving(script) as upstream, mcp_caller(gateway.url()) as caller:
        await gateway.apply(gateway.entry("mock", upstream.url))
        async with caller.stream(call(era)) as stream:
            assert (await stream.message())["result"] == RESULT
            assert await stream.ended()
        await asyncio.wait_for(upstream.arrived[0].gone.wait(), TIMEOUT_SECONDS)


# -- callers that go


async def test_a_modern_caller_that_disconnects_cancels_the_call_at_once(gateway: RunningGateway) -> None:
    async def script(request: web.BaseRequest, arrived: Arrived) -> web.StreamResponse:
        async with events(request) as stream:
            await stream.send(progress(1))
            await for_ever()
        return stream.response

    async with serving(script) as upstream, mcp_caller(gateway.url()) as caller:
        await gateway.apply(gateway.entry("mock", upstream.url))
        async with caller.stream(call("modern")) as stream:
            await stream.message()
            stream.drop()
            await asyncio.wait_for(upstream.arrived[0].gone.wait(), TIMEOUT_SECONDS)
        await eventually(lambda: gateway.app.pipeline.limiter.requests == 0)


async def test_a_modern_caller_that_disconnects_before_the_head_cancels_the_call_at_once(
    gateway: RunningGateway,
) -> None:
    async def script(request: web.BaseRequest, arrived: Arrived) -> web.StreamResponse:
        await for_ever()
        raise AssertionError

    async with serving(script) as upstream, mcp_caller(gateway.url()) as caller:
        await gateway.apply(gateway.entry("mock", upstream.url))
        posting = asyncio.create_task(caller.post(call("modern")))
        arrived = await upstream.first("tools/call")
        posting.cancel()
        await asyncio.wait_for(arrived.gone.wait(), TIMEOUT_SECONDS)


@pytest.mark.parametrize("as_stream", [True, False])
async def test_a_legacy_caller_that_disconnects_does_not_cancel_the_call(
    gateway: RunningGateway, as_stream: bool
) -> None:
    gate, finished = asyncio.Event(), asyncio.Event()

    async def script(request: web.BaseRequest, arrived: Arrived) -> web.StreamResponse:
        if not as_stream:
            await gate.wait()
            finished.set()
            return document(answer(arrived, RESULT))
        async with events(request) as stream:
            await stream.send(progress(1))
            await gate.wait()
            for number in range(200):
                await stream.send({**progress(number), "padding": "x" * 10_000})
            await stream.send(answer(arrived, RESULT))
        finished.set()
        return stream.response

    async with serving(script) as upstream, mcp_caller(gateway.url()) as caller:
        await gateway.apply(gateway.entry("mock", upstream.url))
        posting = asyncio.create_task(caller.post(call("legacy")))
        arrived = await upstream.first("tools/call")
        posting.cancel()
        await asyncio.gather(posting, return_exceptions=True)
        await eventually(lambda: not gateway.app._data.connections)
        gate.set()
        await asyncio.wait_for(finished.wait(), TIMEOUT_SECONDS)
        assert not arrived.gone.is_set()
        await eventually(lambda: gateway.app.pipeline.limiter.requests == 0)


async def test_a_server_that_never_ends_is_disconnected_some_time_after_its_legacy_caller(
    gateway: RunningGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def script(request: web.BaseRequest, arrived: Arrived) -> web.StreamResponse:
        async with events(request) as stream:
            while True:
                await stream.send(progress(1))
                await asyncio.sleep(0.01)
        return stream.response

    async with serving(script) as upstream, mcp_caller(gateway.url()) as caller:
        await gateway.apply(gateway.entry("mock", upstream.url))
        async with caller.stream(call("legacy")) as stream:
            monkeypatch.setattr(sse_transport, "ORPHAN_SECONDS", 0.2)
            for _ in range(50):  # longer than that
                await stream.message()
            stream.drop()
        arrived = await upstream.first("tools/call")
        await asyncio.wait_for(arrived.gone.wait(), TIMEOUT_SECONDS)
        await eventually(lambda: gateway.app.pipeline.limiter.requests == 0)


async def test_a_listener_that_disconnects_frees_its_stream_at_once(gateway: RunningGateway) -> None:
    async def script(request: web.BaseRequest, arrived: Arrived) -> web.StreamResponse:
        async with events(request) as stream:
            await for_ever()
        return stream.response

    async with serving(with_handshake(script)) as upstream, mcp_caller(gateway.url()) as caller:
        await gateway.apply(gateway.entry("mock", upstream.url))
        await caller.initialize()
        async with caller.listen() as stream:
            await eventually(lambda: gateway.app.pipeline.limiter.streams == 1)
            stream.drop()
            await asyncio.wait_for((await upstream.first("GET")).gone.wait(), TIMEOUT_SECONDS)
        await eventually(lambda: gateway.app.pipeline.limiter.streams == 0)


async def test_a_slow_reader_slows_the_server_and_not_our_memory(gateway: RunningGateway) -> None:
    sent = 0

    async def script(request: web.BaseRequest, arrived: Arrived) -> web.StreamResponse:
        nonlocal sent
        async with events(request) as stream:
            while sent < 64 << 20:
                await stream.send({**progress(1), "padding": "x" * 65536})
                sent += 65536
        return stream.response

    async with serving(script) as upstream, mcp_caller(gateway.url()) as caller:
        await gateway.apply(gateway.entry("mock", upstream.url))
        async with caller.posting(call("modern")) as response:
            response.connection.protocol.pause_reading()  # type: ignore[union-attr]  # it is open
            await eventually(lambda: sent > 0)
            before = -1
            while before != sent:  # until nothing moves any more
                before = sent
                await asyncio.sleep(0.2)
            assert sent < 32 << 20
            response.close()
