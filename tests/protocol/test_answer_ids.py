"""A server that spells the id of a request otherwise in its answer: its caller is given its own."""

from typing import Any

import pytest
from aiohttp import web
from gateways import RunningGateway, policy
from mcp_caller import McpCaller, legacy, modern
from upstreams import Arrived, answer, document, events, serving, with_handshake

SOME = {"name": "some", "effect": "Allow", "tools": {"names": ["a"]}}
RESULTS: dict[str, dict[str, Any]] = {
    "tools/call": {"content": [], "id": "1"},
    "tools/list": {"tools": [{"name": "a"}, {"name": "b"}]},
}


@pytest.mark.parametrize("make", [legacy, modern])
@pytest.mark.parametrize("form", ["document", "events"])
@pytest.mark.parametrize("method", RESULTS)
@pytest.mark.parametrize(("own", "spelt"), [(1, "1"), (-7, "-7"), (1, 1.0), ("1", 1), (2**63, str(2**63))])
async def test_an_answer_with_another_spelling_of_the_id_is_given_the_callers_own(
    gateway: RunningGateway, caller: McpCaller, own: Any, spelt: Any, method: str, form: str, make: Any
) -> None:
    async def script(request: web.BaseRequest, arrived: Arrived) -> web.StreamResponse:
        message = answer(arrived, RESULTS[method]) | {"id": spelt}
        if form == "document":
            return document(message)
        async with events(request) as stream:
            await stream.send(message)
        return stream.response

    async with serving(with_handshake(script)) as upstream:
        await gateway.apply(gateway.entry("mock", upstream.url, [policy("p", SOME)] if method == "tools/list" else []))
        for _ in range(2):
            reply = await caller.post(make(method, {"name": "a"}, id=own))
            assert (reply.messages[-1]["id"], type(reply.messages[-1]["id"])) == (own, type(own))
            assert reply.result == RESULTS[method] | ({"tools": [{"name": "a"}]} if method == "tools/list" else {})


@pytest.mark.parametrize(
    ("own", "other"), [(1, "01"), (1, " 1"), (1, "1.0"), ("01", 1), (1, True), (1, 1.5), (1, None)]
)
async def test_an_id_that_only_resembles_it_is_of_no_answer(
    gateway: RunningGateway, caller: McpCaller, own: Any, other: Any
) -> None:
    async def script(_: web.BaseRequest, arrived: Arrived) -> web.StreamResponse:
        return document(answer(arrived, {"content": []}) | {"id": other})

    async with serving(script) as upstream:
        await gateway.apply(gateway.entry("mock", upstream.url))
        assert (await caller.post(legacy("tools/call", {"name": "a"}, id=own))).error["code"] == -31005


LAST = (
    b'{"jsonrpc": "2.0", "result": {"content": [{"id": "1"}], "n": 123456789012345678901234567890}, "x": 0, "id" : "1"}'
)
FIRST = b'{"id":"1","x":{"id":"2","id":"3"},"result":{"content":[]},"jsonrpc":"2.0"}'
MIDDLE = b'{"x":[{"id":"1"}],"\\u0069d": "\\u0031" ,"result":{"content":[]},"jsonrpc":"2.0"}'


@pytest.mark.parametrize(
    ("came", "told"),
    [
        (LAST, LAST[:-4] + b"1}"),
        (FIRST, FIRST.replace(b'"1"', b"1")),
        (MIDDLE, MIDDLE.replace(b'"\\u0031"', b"1")),
    ],
)
async def test_all_but_the_id_keeps_its_bytes(
    gateway: RunningGateway, caller: McpCaller, came: bytes, told: bytes
) -> None:
    async def script(_: web.BaseRequest, __: Arrived) -> web.StreamResponse:
        return document(came)

    async with serving(script) as upstream:
        await gateway.apply(gateway.entry("mock", upstream.url))
        assert (await caller.post(legacy("tools/call", {"name": "a"}, id=1))).body == told


async def test_a_response_with_a_duplicate_id_in_another_spelling_is_invalid(
    gateway: RunningGateway, caller: McpCaller
) -> None:
    async def script(_: web.BaseRequest, __: Arrived) -> web.StreamResponse:
        return document(b'{"x":0,"id":"2","id":"1","result":{"content":[]},"jsonrpc":"2.0"}')

    async with serving(script) as upstream:
        await gateway.apply(gateway.entry("mock", upstream.url))
        assert (await caller.post(legacy("tools/call", {"name": "a"}, id=1))).error["code"] == -31005


@pytest.mark.parametrize("form", ["document", "events"])
async def test_an_id_in_another_spelling_that_cannot_be_written_is_of_no_answer_and_no_bug(
    gateway: RunningGateway, caller: McpCaller, form: str
) -> None:
    number = "123456789012345678901234567890"
    message = b'{"jsonrpc":"2.0","id":%b,"result":{"content":[]}}' % number.encode()

    async def script(request: web.BaseRequest, __: Arrived) -> web.StreamResponse:
        if form == "document":
            return document(message)
        async with events(request) as stream:
            await stream.raw(b"data: %b\n\n" % message)
        return stream.response

    async with serving(script) as upstream:
        await gateway.apply(gateway.entry("mock", upstream.url))
        assert (await caller.post(legacy("tools/call", {"name": "a"}, id=number))).error["code"] == -31005
