"""Messages pass unchanged: lists in every shape, cache hints, encodings, sessions over key changes."""

import json
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web
from gateways import RunningGateway, policy, running_gateway
from mcp_caller import McpCaller, Reply, legacy, mcp_caller, modern
from upstreams import Arrived, answer, document, events, serving, with_handshake

SOME = {
    "name": "some",
    "effect": "Allow",
    "tools": {"names": ["shown*"]},
    "resources": {"names": ["shown*"]},
    "prompts": {"names": ["shown*"]},
}
#: Each list: its key, and what names an item of it.
LISTS = {
    "tools/list": ("tools", "name"),
    "prompts/list": ("prompts", "name"),
    "resources/list": ("resources", "uri"),
    "resources/templates/list": ("resourceTemplates", "uriTemplate"),
}
both_eras = pytest.mark.parametrize("era", ["legacy", "modern"])
all_lists = pytest.mark.parametrize("method", LISTS)
in_either_form = pytest.mark.parametrize("form", ["document", "events"])


@pytest.fixture
async def gateway() -> AsyncIterator[RunningGateway]:
    async with running_gateway() as gateway:
        yield gateway


def listing(method: str, *names: str, **more: Any) -> dict[str, Any]:
    key, item = LISTS[method]
    return {
        "x-before": [1, {"z": 1, "a": 2}],
        key: [{"x-first": None, item: name, "x-last": {}} for name in names],
        **more,
    }


async def ask(caller: McpCaller, era: str, method: str) -> Reply:
    return await caller.post((modern if era == "modern" else legacy)(method, {}, id="ä-1"))


def serve_list(method: str, form: str, *names: str, **more: Any) -> Any:
    async def script(request: web.BaseRequest, arrived: Arrived) -> web.StreamResponse:
        message = answer(arrived, listing(method, *names, **more))
        if form == "document":
            return document(message)
        async with events(request) as stream:
            await stream.send(message)
        return stream.response

    return serving(with_handshake(script))


@both_eras
@all_lists
@in_either_form
async def test_a_filtered_list_keeps_unknown_members_their_order_and_its_cursor(
    gateway: RunningGateway, era: str, method: str, form: str
) -> None:
    names = ["shown-b", "hidden", "shown-a", "hidden-2"]
    async with (
        serve_list(method, form, *names, nextCursor="", last=True) as upstream,
        mcp_caller(gateway.url()) as caller,
    ):
        await gateway.apply(gateway.entry("mock", upstream.url, [policy("p", SOME)]))
        reply = await ask(caller, era, method)

    kept = listing(method, "shown-b", "shown-a", nextCursor="", last=True)
    assert json.dumps(reply.result) == json.dumps(kept)  # with the order of its members
    assert reply.messages[-1]["id"] == "ä-1"


@all_lists
@in_either_form
async def test_the_hint_that_a_list_may_be_shared_is_removed_where_the_list_depends_on_its_caller(
    gateway: RunningGateway, method: str, form: str
) -> None:
    hints = {"ttlMs": 60_000, "cacheScope": "public"}
    async with serve_list(method, form, "shown", "hidden", **hints) as upstream, mcp_caller(gateway.url()) as caller:
        await gateway.apply(gateway.entry("mock", upstream.url))
        assert (await ask(caller, "modern", method)).result == listing(method, "shown", "hidden", **hints)
        await gateway.apply(gateway.entry("mock", upstream.url, [policy("p", SOME)]))
        assert (await ask(caller, "modern", method)).result == listing(
            method, "shown", ttlMs=60_000, cacheScope="private"
        )


@all_lists
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("size", [1, 3, 100_000])
async def test_a_list_on_a_resumed_get_is_filtered_in_whatever_lines_and_pieces_it_comes(
    gateway: RunningGateway, method: str, end: str, size: int
) -> None:
    message = {
        "jsonrpc": "2.0",
        "id": "an earlier request",
        "result": listing(method, "hidden", "shown", nextCursor="c"),
    }
    lines = [f"data: {line}" for line in json.dumps(message, indent=1).splitlines()]
    sent = end.join(["id: 1", "data:", "", ": comment", "", "retry: 9", "id: 2", *lines, "", ""]).encode()

    async def script(request: web.BaseRequest, arrived: Arrived) -> web.StreamResponse:
        async with events(request) as stream:
            for place in range(0, len(sent), size):
                await stream.raw(sent[place : place + size])
        return stream.response

    async with serving(with_handshake(script)) as upstream, mcp_caller(gateway.url()) as caller:
        await gateway.apply(gateway.entry("mock", upstream.url, [policy("p", SOME)]))
        await caller.initialize()
        async with caller.listen({"Last-Event-ID": "0"}) as stream:
            received = await stream.message()

    assert received == {**message, "result": listing(method, "shown", nextCursor="c")}


async def test_an_answer_on_a_resumed_stream_that_cannot_be_judged_becomes_an_error_and_the_stream_goes_on(
    gateway: RunningGateway,
) -> None:
    changed = {"jsonrpc": "2.0", "method": "notifications/tools/list_changed"}

    async def script(request: web.BaseRequest, arrived: Arrived) -> web.StreamResponse:
        async with events(request) as stream:
            await stream.send({"jsonrpc": "2.0", "id": 7, "result": {"tools": "hidden"}})
            await stream.raw(b'data: {"jsonrpc":"2.0","id":8,"result":{"tools":[],"tools":[{"name":"hidden"}]}}\n\n')
            await stream.send(changed)
        return stream.response

    async with serving(with_handshake(script)) as upstream, mcp_caller(gateway.url()) as caller:
        await gateway.apply(gateway.entry("mock", upstream.url, [policy("p", SOME)]))
        await caller.initialize()
        async with caller.listen({"Last-Event-ID": "1"}) as stream:
            three_messages = [await stream.message() for _ in range(3)]
            assert [(each["id"], each["error"]["code"]) for each in three_messages[:2]] == [(7, -31005), (8, -31005)]
            assert three_messages[2] == changed


async def test_several_answers_on_one_resumed_stream_are_filtered_each(gateway: RunningGateway) -> None:
    async def script(request: web.BaseRequest, arrived: Arrived) -> web.StreamResponse:
        lists = [
            {"jsonrpc": "2.0", "id": n, "result": listing(method, "hidden", "shown")} for n, method in enumerate(LISTS)
        ]
        async with events(request) as stream:
            await stream.raw(b"".join(b"id: 1\ndata: " + json.dumps(each).encode() + b"\n\n" for each in lists))
        return stream.response

    async with serving(with_handshake(script)) as upstream, mcp_caller(gateway.url()) as caller:
        await gateway.apply(gateway.entry("mock", upstream.url, [policy("p", SOME)]))
        await caller.initialize()
        async with caller.listen({"Last-Event-ID": "0"}) as stream:
            received = [await stream.message() for _ in LISTS]

    assert [each["result"] for each in received] == [listing(method, "shown") for method in LISTS]


@both_eras
async def test_a_caller_that_accepts_compression_gets_an_uncompressed_response(
    gateway: RunningGateway, era: str
) -> None:
    asked: list[str] = []

    async def script(request: web.BaseRequest, arrived: Arrived) -> web.StreamResponse:
        asked.append(arrived.headers["Accept-Encoding"])
        return document(answer(arrived, {"tools": []}), headers={"Content-Encoding": "Identity"})

    async with serving(script) as upstream, mcp_caller(gateway.url()) as caller:
        await gateway.apply(gateway.entry("mock", upstream.url))
        message = modern("tools/list") if era == "modern" else legacy("tools/list")
        reply = await caller.post(message, {"Accept-Encoding": "gzip, br, zstd"})

    assert (reply.status, reply.result, asked) == (200, {"tools": []}, ["identity"])
    assert "Content-Encoding" not in reply.headers


# -- sessions over changes of keys


async def echo(request: web.BaseRequest, arrived: Arrived) -> web.StreamResponse:
    if arrived.method == "DELETE":
        return web.Response(status=200)
    return document(answer(arrived, {"session": arrived.headers.get("Mcp-Session-Id")}))


async def rotate(gateway: RunningGateway, keys: dict[str, bytes]) -> None:
    """Place the Secret's volume again with other session keys, as the kubelet does when the Secret changes."""
    gateway.place_secret(
        {**{name: value for name, value in gateway.secret.items() if not name.startswith("session-")}, **keys}
    )
    source = gateway.app.sources[0]
    await source.poll()  # type: ignore[union-attr]  # the tests' source is a directory


async def test_key_rotation_ends_no_session_until_the_old_key_is_taken_back(gateway: RunningGateway) -> None:
    now = int(time.time())
    old, new, next_one = ({f"session-{moment}": bytes([moment % 251]) * 32} for moment in (0, now - 5, now + 3600))
    async with (
        serving(with_handshake(echo)) as upstream,
        mcp_caller(gateway.url()) as early,
        mcp_caller(gateway.url()) as late,
    ):
        await gateway.apply(gateway.entry("mock", upstream.url))
        await rotate(gateway, old)
        await early.initialize()
        await rotate(gateway, {**old, **new, **next_one})
        await late.initialize()
        for caller in (early, late):
            assert (await caller.post(legacy("ping"))).result == {"session": "upstream-session"}
        await rotate(gateway, {**new, **next_one})
        assert (await early.post(legacy("ping"))).status == 404
        assert (await late.post(legacy("ping"))).status == 200


async def test_replicas_in_the_middle_of_a_rotation_open_what_each_other_seals() -> None:
    now = int(time.time())
    old, new = {"session-0": b"o" * 32}, {f"session-{now - 1}": b"n" * 32}
    async with running_gateway() as one, running_gateway() as two, serving(with_handshake(echo)) as upstream:
        two.mac_key = one.mac_key
        for gateway, keys in ((one, {**old, **new}), (two, {**old, f"session-{now + 3600}": b"l" * 32, **new})):
            await gateway.apply(gateway.entry("mock", upstream.url))
            await rotate(gateway, keys)
        async with mcp_caller(one.url()) as here, mcp_caller(two.url()) as there:
            await here.initialize()
            await there.initialize()
            here.session, there.session = there.session, here.session
            for caller in (here, there):
                assert (await caller.post(legacy("ping"))).status == 200
                assert (await caller.request("DELETE")).status == 200


async def test_a_stream_is_resumed_at_another_replica() -> None:
    async def script(request: web.BaseRequest, arrived: Arrived) -> web.StreamResponse:
        assert (arrived.headers["Mcp-Session-Id"], arrived.headers["Last-Event-ID"]) == ("upstream-session", "s/1")
        async with events(request) as stream:
            await stream.send({"jsonrpc": "2.0", "id": 1, "result": {"content": []}}, id="s/2")
        return stream.response

    async with running_gateway() as one, running_gateway() as two, serving(with_handshake(script)) as upstream:
        two.mac_key, two.session_key = one.mac_key, one.session_key
        for gateway in (one, two):
            await gateway.apply(gateway.entry("mock", upstream.url))
        async with mcp_caller(one.url()) as here, mcp_caller(two.url()) as there:
            await here.initialize()
            there.session = here.session
            headers = {"Mcp-Session-Id": there.session, "MCP-Protocol-Version": "2025-11-25", "Last-Event-ID": "s/1"}
            async with there.listen(headers) as stream:
                assert (await stream.message())["id"] == 1
