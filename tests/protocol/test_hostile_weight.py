"""Messages that cost much for their size: bounded by their content, one at a time, and freed once they are sent."""

import asyncio
import gc
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web
from gateways import BOUNDS, RunningGateway, policy, running_gateway
from mcp_caller import McpCaller, legacy, mcp_caller, modern
from mcp_clients import eventually
from slow_callbacks import slow_callbacks
from upstreams import Arrived, Upstream, document, events
from waiting import for_ever

from ostiary_core import strict_json
from ostiary_gateway.pipeline.large_messages import LARGE_MESSAGES
from ostiary_gateway.process import tune_collector

VALUES = 100_000
SIZE = 4 << 20
#: The longest CPU time of one callback in seconds: twice what a slow machine needs.
HELD_SECONDS = 0.2
CALL = {"name": "get_users"}
#: What costs most for its bytes, each at four mebibytes.
HOSTILE = {
    "nested arrays": b"[[]],",
    "objects": b"{},",
    "objects with a member": b'{"a":1},',
    "arrays": b"[],",
    "objects in objects": b'{"a":{"b":{}}},',
}


class Scene:
    """An upstream whose calls wait for the gate."""

    def __init__(self) -> None:
        self.gate = asyncio.Event()
        self.answer: Callable[[web.BaseRequest], Awaitable[web.StreamResponse]] | None = None
        self.script_of_listen: Callable[[web.BaseRequest], Awaitable[web.StreamResponse]] | None = None

    async def script(self, request: web.BaseRequest, arrived: Arrived) -> web.StreamResponse:
        if b"subscriptions/listen" in arrived.body[:200]:
            if self.script_of_listen is not None:
                return await self.script_of_listen(request)
            async with events(request):
                await for_ever()
        await self.gate.wait()
        if self.answer is not None:
            return await self.answer(request)
        # What arrived is not parsed: it would hold the loop of this test, which is the gateway's, too.
        return document({"jsonrpc": "2.0", "id": 1, "result": {"content": [{"type": "text", "text": "done"}]}})


@pytest.fixture
def scene() -> Scene:
    return Scene()


@asynccontextmanager
async def bounded(upstream: Upstream, **bounds: Any) -> AsyncIterator[RunningGateway]:
    settled = {"message_values": VALUES, "request_bytes": SIZE + 1024, **bounds}
    async with running_gateway(bounds=BOUNDS.model_copy(update=settled)) as gateway:
        await gateway.apply(gateway.entry("mock", upstream.url))
        yield gateway


def call_with(argument: bytes) -> bytes:
    """The bytes of a call with this argument."""
    message = strict_json.dumps(legacy("tools/call", {**CALL, "arguments": {"a": "HERE"}}, id=1))
    return message.replace(b'"HERE"', argument)


def many(unit: bytes, size: int = SIZE) -> bytes:
    return b"[" + (unit * (size // len(unit)))[:-1] + b"]"


def distinct_members(count: int) -> bytes:
    return b"{" + b",".join(b'"%x":1' % n for n in range(count)) + b"}"


@pytest.mark.parametrize("kind", HOSTILE)
async def test_a_body_of_more_values_than_allowed_is_refused_unparsed_and_names_the_setting(
    kind: str, scene: Scene, upstream: Upstream
) -> None:
    scene.gate.set()
    async with bounded(upstream) as gateway, mcp_caller(gateway.url()) as caller:
        with slow_callbacks() as slow:
            refused = await caller.post(call_with(many(HOSTILE[kind])))
        assert slow.longest < HELD_SECONDS, slow.callback
        assert refused.status == 413
        error = refused.json["error"]
        assert (error["code"], error["data"]["reason"]) == (-31006, "TooManyValues")
        assert "100000 values (bounds.messageValues)" in error["message"]
        assert (await caller.post(legacy("tools/call", CALL))).status == 200
        assert len(upstream.arrived) == 1


@pytest.mark.parametrize(
    "argument",
    [
        distinct_members(VALUES * 3 // 4),
        many(b'{"a":1},', VALUES * 3),
        many(b"[[]],", VALUES * 2),
        many(b'{"a":18446744073709551615},', VALUES * 9),
        b"[" + b"1," * (VALUES * 2) + b"1e+200]",
        b'"' + b"x" * (SIZE - 100) + b'"',
        b'"' + b"[{:," * (SIZE // 4 - 100) + b'"',
        b'"' + rb"\"," * (SIZE // 3 - 100) + b'"',
    ],
    ids=["members", "objects", "arrays", "numbers", "small numbers", "text", "punctuation", "escapes"],
)
async def test_a_body_at_its_bounds_passes_and_blocks_the_loop_for_less_than_the_bound(
    argument: bytes, scene: Scene, upstream: Upstream
) -> None:
    scene.gate.set()
    tune_collector()
    async with bounded(upstream) as gateway, mcp_caller(gateway.url()) as caller:
        body = call_with(argument)
        with slow_callbacks() as slow:
            assert (await caller.post(body)).status == 200
        assert slow.longest < HELD_SECONDS, slow.callback
        assert upstream.arrived[-1].body.endswith(argument + b"}}}")


async def test_a_body_of_long_integers_as_javascript_writes_them_blocks_the_loop_for_less_than_the_bound(
    scene: Scene, upstream: Upstream
) -> None:
    scene.gate.set()
    async with bounded(upstream) as gateway, mcp_caller(gateway.url()) as caller:
        body = call_with(many(b"100000000000000000000,"))
        with slow_callbacks() as slow:
            assert (await caller.post(body)).status == 200
        assert slow.longest < HELD_SECONDS, slow.callback
        assert upstream.arrived[-1].body.endswith(b",1e+20,1e+20]}}}")


def containers() -> int:
    gc.collect()
    return sum(type(each) is list and not each for each in gc.get_objects())


async def test_the_parsed_body_is_freed_once_it_was_sent_upstream(scene: Scene, upstream: Upstream) -> None:
    argument = many(b"[],", VALUES * 2)
    async with bounded(upstream) as gateway, mcp_caller(gateway.url()) as caller:
        before = containers()
        calls = [asyncio.create_task(caller.post(call_with(argument))) for _ in range(3)]
        await eventually(lambda: len(upstream.arrived) == 3)
        assert containers() - before < 10_000
        limiter = gateway.app.pipeline.limiter
        assert limiter.total.bytes < 4 * len(argument)
        scene.gate.set()
        assert [reply.status for reply in await asyncio.gather(*calls)] == [200] * 3
        await eventually(lambda: limiter.total.bytes == 0)


async def test_of_a_listen_only_the_filter_is_kept_for_as_long_as_it_is_open(scene: Scene, upstream: Upstream) -> None:
    padding: dict[str, list[list[int]]] = {"padding": [[] for _ in range(1000)]}
    listen = modern("subscriptions/listen", {"notifications": {"toolsListChanged": True}, **padding})
    async with bounded(upstream) as gateway, mcp_caller(gateway.url()) as caller:
        opened = asyncio.create_task(caller.post(listen))
        await eventually(lambda: len(gateway.app.pipeline.streams._streams) == 1)
        (stream,) = gateway.app.pipeline.streams._streams
        assert stream.exchange.message is not None
        assert stream.exchange.message.body == {"params": {"notifications": {"toolsListChanged": True}}}
        opened.cancel()


async def test_large_bodies_of_many_callers_are_worked_on_one_by_one(scene: Scene, upstream: Upstream) -> None:
    scene.gate.set()
    body = call_with(many(b'{"a":1},', VALUES * 3))

    async def post(caller: McpCaller) -> int:
        return (await caller.post(body)).status

    async with bounded(upstream) as gateway, mcp_caller(gateway.url()) as caller:
        with slow_callbacks() as slow:
            assert set(await asyncio.gather(*(post(caller) for _ in range(12)))) == {200}
        assert slow.longest < HELD_SECONDS, slow.callback


# What servers say


def as_document(text: bytes) -> Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]:
    async def answer(_: web.BaseRequest) -> web.StreamResponse:
        return document(text)

    return answer


def as_event(text: bytes) -> Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]:
    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        async with events(request) as stream:
            for start in range(0, len(text), 1 << 18):
                await stream.response.write((b"data: " if not start else b"") + text[start : start + (1 << 18)])
            await stream.response.write(b"\n\n")
        return stream.response

    return answer


FORMS = {"document": as_document, "event": as_event}


def result(members: bytes) -> bytes:
    return b'{"jsonrpc":"2.0","id":1,"result":{' + members + b"}}"


def tools(count: int) -> bytes:
    """A list of this number of tools with nothing but a name, every other one of which is visible."""
    names = (b'{"name":"%b_%d"}' % (b"get" if n % 2 else b"set", n) for n in range(count))
    return result(b'"tools":[' + b",".join(names) + b"]")


def error_of(reply: Any) -> dict[str, Any]:
    """The JSON-RPC error of a reply in either form."""
    text = reply.body
    if text.startswith((b"event:", b"data:")) or b"\ndata:" in text:
        text = text.rpartition(b"data:")[2]
    error = strict_json.loads(text.strip())["error"]
    assert isinstance(error, dict)
    return error


@asynccontextmanager
async def answering(
    upstream: Upstream, scene: Scene, answer: Any, *, governed: bool = True
) -> AsyncIterator[McpCaller]:
    """A caller of a proxy, where get_* may be seen if it is governed, whose server answers so."""
    scene.gate.set()
    scene.answer = answer
    allow = policy("users", {"name": "users", "effect": "Allow", "tools": {"names": ["get_*"]}})
    bounds = BOUNDS.model_copy(update={"message_values": VALUES, "message_bytes": 16 << 20})
    async with running_gateway(bounds=bounds) as gateway:
        await gateway.apply(gateway.entry("mock", upstream.url, [allow] if governed else []))
        async with mcp_caller(gateway.url()) as caller:
            yield caller


@pytest.mark.parametrize("form", FORMS)
async def test_a_list_at_its_bounds_is_filtered_in_slices(form: str, scene: Scene, upstream: Upstream) -> None:
    tune_collector()
    count = VALUES * 4 // 10
    async with answering(upstream, scene, FORMS[form](tools(count))) as caller:
        with slow_callbacks() as slow:
            reply = await caller.post(legacy("tools/list"))
        assert slow.longest < HELD_SECONDS, slow.callback
        assert reply.body.count(b'"get_') == count // 2
        assert b'"set_' not in reply.body


@pytest.mark.parametrize("form", FORMS)
async def test_a_list_of_more_values_than_allowed_is_refused_unparsed_and_names_the_setting(
    form: str, scene: Scene, upstream: Upstream
) -> None:
    async with answering(upstream, scene, FORMS[form](tools(600_000))) as caller:
        with slow_callbacks() as slow:
            reply = await caller.post(legacy("tools/list"))
        assert slow.longest < HELD_SECONDS, slow.callback
        error = error_of(reply)
        assert (error["code"], error["data"]["reason"]) == (-31006, "UpstreamAnswerTooLarge")
        assert "more than 100000 values (bounds.messageValues)" in error["message"]


async def test_a_list_of_resources_whose_uris_are_all_escapes_delays_no_other_request(
    scene: Scene, upstream: Upstream
) -> None:
    tune_collector()
    uris = (b'{"uri":"db://%b%d/%%%d"}' % (b"%c3" * 5000, n, 10 + n % 90) for n in range(200))
    scene.gate.set()
    scene.answer = as_document(result(b'"resources":[' + b",".join(uris) + b"]"))
    deny = policy("secret", {"name": "secret", "effect": "Deny", "resources": {"names": ["db://secret/*"]}})
    async with bounded(upstream) as gateway, mcp_caller(gateway.url()) as caller:
        await gateway.apply(gateway.entry("mock", upstream.url, [deny]))
        with slow_callbacks() as slow:
            reply = await caller.post(legacy("resources/list"))
        assert slow.longest < HELD_SECONDS, slow.callback
        assert len(reply.result["resources"]) == 200


@pytest.mark.parametrize("where", ["result", "item"])
async def test_a_list_with_very_many_members_that_no_strict_reader_accepts_delays_no_other_request(
    where: str, scene: Scene, upstream: Upstream
) -> None:
    tune_collector()
    many_members = b",".join(b'"%d":1' % n for n in range(VALUES * 3 // 4))
    if where == "item":
        text = result(b'"tools":[{"name":"get_a"},{"name":"get_b","x":1,"x":1,%b}]' % many_members)
    else:
        text = result(b'"tools":[{"name":"get_a","x":1,"x":1}],%b' % many_members)
    async with answering(upstream, scene, as_document(text)) as caller:
        with slow_callbacks() as slow:
            reply = await caller.post(legacy("tools/list"))
        assert slow.longest < HELD_SECONDS, slow.callback
    if where == "item":
        assert [tool["name"] for tool in reply.result["tools"]] == ["get_a"]
    else:
        assert reply.error["data"]["reason"] == "UpstreamInvalidAnswer"


async def test_an_id_in_an_unusual_place_of_a_large_response_delays_no_other_request(
    scene: Scene, upstream: Upstream
) -> None:
    tune_collector()
    text = b'{"x":1,"id":"1","y":1,"jsonrpc":"2.0","result":{"a":' + many(b'{"a":1},', VALUES * 8) + b"}}"
    async with answering(upstream, scene, as_document(text), governed=False) as caller:
        with slow_callbacks() as slow:
            reply = await caller.post(legacy("tools/call", CALL))
        assert slow.longest < HELD_SECONDS, slow.callback
        assert reply.error["data"]["reason"] == "UpstreamInvalidAnswer"


@pytest.mark.parametrize("form", FORMS)
async def test_a_result_that_no_rule_reads_may_contain_more_and_keeps_its_bytes(
    form: str, scene: Scene, upstream: Upstream
) -> None:
    tune_collector()
    rows = b",".join(b'{"id":%d,"name":"user %d","mail":null,"city":"x","age":1}' % (n, n) for n in range(VALUES // 3))
    text = result(b'"content":[],"structuredContent":{"rows":[' + rows + b"]}")
    async with answering(upstream, scene, FORMS[form](text)) as caller:
        with slow_callbacks() as slow:
            reply = await caller.post(legacy("tools/call", CALL))
        assert slow.longest < HELD_SECONDS, slow.callback
        assert text in reply.body


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("unit", [b"[[]],", b'{"a":1},', b'"\\ud800",[],'], ids=["arrays", "objects", "surrogates"])
async def test_a_result_of_far_too_many_values_is_refused_and_delays_no_other_request(
    unit: bytes, form: str, scene: Scene, upstream: Upstream
) -> None:
    text = result(b'"content":[],"structuredContent":{"a":' + many(unit, (16 << 20) - 1024) + b"}")
    async with answering(upstream, scene, FORMS[form](text), governed=False) as caller:
        with slow_callbacks() as slow:
            reply = await caller.post(legacy("tools/call", CALL))
        assert slow.longest < HELD_SECONDS, slow.callback
        assert error_of(reply)["data"]["reason"] == "UpstreamAnswerTooLarge"


@pytest.mark.parametrize("form", FORMS)
async def test_half_a_character_in_a_large_result_delays_no_other_request(
    form: str, scene: Scene, upstream: Upstream
) -> None:
    tune_collector()
    text = result(b'"content":[],"structuredContent":{"a":' + many(b'{"a":1},', VALUES * 8)[:-1] + rb',"\ud800"]}')
    async with answering(upstream, scene, FORMS[form](text), governed=False) as caller:
        with slow_callbacks() as slow:
            reply = await caller.post(legacy("tools/call", CALL))
        assert slow.longest < HELD_SECONDS, slow.callback
        assert text in reply.body


@pytest.mark.parametrize("line", [b"data:\n", b"x\n", b"id: 1\n", b"data:\r"], ids=["data", "stray", "ids", "CR"])
async def test_an_event_of_very_many_lines_is_refused_and_delays_no_other_request(
    line: bytes, scene: Scene, upstream: Upstream
) -> None:
    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        async with events(request) as stream:
            for _ in range(16):
                await stream.response.write(line * (250_000 // len(line)))
            await stream.response.write(b"\n\n")
        return stream.response

    async with answering(upstream, scene, answer, governed=False) as caller:
        with slow_callbacks() as slow:
            reply = await caller.post(legacy("tools/call", CALL))
        assert slow.longest < HELD_SECONDS, slow.callback
        assert "lines (bounds.messageValues)" in error_of(reply)["message"]


async def test_an_event_of_many_lines_passes_and_delays_no_other_request(scene: Scene, upstream: Upstream) -> None:
    tune_collector()
    text = result(b'"content":[' + b"1,\ndata: " * (VALUES - 10) + b"1]")
    async with answering(upstream, scene, as_event(text), governed=False) as caller:
        with slow_callbacks() as slow:
            reply = await caller.post(legacy("tools/call", CALL))
        assert slow.longest < HELD_SECONDS, slow.callback
        assert text in reply.body


async def test_an_event_that_waits_for_its_turn_is_not_delivered_on_a_stream_that_is_refused_meanwhile(
    scene: Scene, upstream: Upstream
) -> None:
    event = {"jsonrpc": "2.0", "method": "notifications/message", "params": {"data": [[] for _ in range(50_000)]}}
    uri = "file:///docs/a"
    sent = asyncio.Event()

    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        async with events(request) as stream:
            await stream.send({"jsonrpc": "2.0", "method": "notifications/message", "params": {"data": "first"}})
            await sent.wait()
            await stream.send(event)
            await for_ever()
        return stream.response

    scene.script_of_listen = answer
    deny = policy("docs", {"name": "docs", "effect": "Deny", "resources": {"names": ["file:///docs/*"]}})
    async with bounded(upstream) as gateway, mcp_caller(gateway.url()) as caller:
        listen = modern("subscriptions/listen", {"notifications": {"resourceSubscriptions": [uri]}})
        async with caller.stream(listen) as stream:
            assert (await stream.message())["params"]["data"] == "first"
            async with LARGE_MESSAGES.turn("the test"):
                sent.set()
                await eventually(lambda: bool(LARGE_MESSAGES._queues))
                await gateway.apply(gateway.entry("mock", upstream.url, [deny]))
            assert "result" in await stream.message()
            assert await stream.ended()
