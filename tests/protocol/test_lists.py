"""Repeated lists show each caller what the current policy allows, with its own request id."""

from collections import Counter
from typing import Any

import pytest
from aiohttp import web
from gateways import RunningGateway, policy
from mcp_caller import McpCaller, legacy, mcp_caller, modern
from upstreams import Arrived, answer, document, events, serving

from ostiary_gateway.telemetry.empty_lists import EMPTY_LISTS

LISTS: dict[str, tuple[str, str]] = {
    "tools/list": ("tools", "name"),
    "resources/list": ("resources", "uri"),
    "resources/templates/list": ("resourceTemplates", "uriTemplate"),
    "prompts/list": ("prompts", "name"),
}
IDS = [1, 2, -7, 2**53, "1", 'with "quotes" and \\', "é\n", ""]


def only(name: str) -> dict[str, Any]:
    primitives = ("tools", "resources", "prompts")
    return {"name": "only", "effect": "Allow", **{primitive: {"names": [name]} for primitive in primitives}}


async def as_document(_: web.BaseRequest, arrived: Arrived) -> web.StreamResponse:
    return document(answer(arrived, listed(arrived.method)))


async def as_event(request: web.BaseRequest, arrived: Arrived) -> web.StreamResponse:
    async with events(request) as stream:
        await stream.send({"jsonrpc": "2.0", "method": "notifications/progress", "params": {"progress": 1}}, id="1")
        await stream.send(answer(arrived, listed(arrived.method)), id="2")
    return stream.response


def listed(method: str) -> dict[str, Any]:
    key, item = LISTS[method]
    return {key: [{item: "a", "id": 1}, {item: "b", "id": 1}], "nextCursor": "c"}


async def shown(caller: McpCaller, method: str, request_id: Any) -> list[str]:
    message = (await caller.post(legacy(method, {}, id=request_id))).messages[-1]
    key, item = LISTS[method]
    assert message["id"] == request_id
    assert type(message["id"]) is type(request_id)
    assert message["result"]["nextCursor"] == "c"
    return [each[item] for each in message["result"][key]]


@pytest.mark.parametrize("script", [as_document, as_event])
@pytest.mark.parametrize("method", LISTS)
async def test_a_list_that_comes_again_shows_what_the_policy_in_force_shows(
    gateway: RunningGateway, method: str, script: Any
) -> None:
    rules = [
        ([], ["a", "b"]),
        ([policy("p", only("a"))], ["a"]),
        ([policy("p", only("b"))], ["b"]),
        ([policy("p")], []),
    ]
    async with serving(script) as upstream, mcp_caller(gateway.url()) as caller:
        for policies, visible in [*rules, *rules]:
            await gateway.apply(gateway.entry("mock", upstream.url, policies))
            for request_id in IDS:
                assert await shown(caller, method, request_id) == visible


async def test_two_proxies_of_one_server_never_share_a_list(gateway: RunningGateway) -> None:
    async with serving(as_document) as upstream:
        entries = {name: gateway.entry(name, upstream.url, [policy(name, only(name))]) for name in ("a", "b")}
        await gateway.apply(*entries.values())
        for request_id in IDS:
            for name in entries:
                async with mcp_caller(gateway.url(name)) as caller:
                    assert await shown(caller, "tools/list", request_id) == [name]


async def test_a_list_with_the_id_of_another_request_is_no_answer_though_it_is_known(gateway: RunningGateway) -> None:
    async def script(_: web.BaseRequest, arrived: Arrived) -> web.StreamResponse:
        return document({**answer(arrived, listed("tools/list")), "id": 1})

    async with serving(script) as upstream, mcp_caller(gateway.url()) as caller:
        await gateway.apply(gateway.entry("mock", upstream.url, [policy("p", only("a"))]))
        for _ in range(2):
            assert await shown(caller, "tools/list", 1) == ["a"]
            for other in (2, "01", 11, "1.0"):
                reply = await caller.post(modern("tools/list", {}, id=other))
                assert reply.error["code"] == -31005


async def test_a_server_that_alternates_is_shown_as_it_answers(gateway: RunningGateway) -> None:
    turns = iter(range(100))

    async def script(_: web.BaseRequest, arrived: Arrived) -> web.StreamResponse:
        names = ["a", "b"] if next(turns) % 2 else ["b", "a"]
        return document(answer(arrived, {"tools": [{"name": name} for name in names], "nextCursor": "c"}))

    async with serving(script) as upstream, mcp_caller(gateway.url()) as caller:
        await gateway.apply(gateway.entry("mock", upstream.url))
        seen = [await shown(caller, "tools/list", number) for number in range(6)]

    assert seen == [["b", "a"], ["a", "b"]] * 3


@pytest.mark.parametrize("form", ["document", "stream"])
async def test_a_list_that_policies_have_emptied_says_so_and_one_of_a_server_keeps_its_bytes(
    gateway: RunningGateway, form: str
) -> None:
    listed: list[dict[str, str]] = [{"name": "get"}]

    async def script(request: web.BaseRequest, arrived: Arrived) -> web.StreamResponse:
        reply = answer(arrived, {"tools": listed})
        if form == "document":
            return document(reply)
        async with events(request) as stream:
            await stream.send(reply)
        return stream.response

    before = Counter(EMPTY_LISTS.counts)
    async with serving(script) as upstream, mcp_caller(gateway.url()) as caller:
        await gateway.apply(gateway.entry("mock", upstream.url, [policy("closed")]))
        for _ in range(2):  # the second one is remembered
            result = (await caller.post(modern("tools/list"))).result
            assert result == {"tools": [], "_meta": {"dev.ostiary/empty": "FilteredToEmpty"}}
        listed.clear()
        assert (await caller.post(modern("tools/list"))).result == {"tools": []}

    assert Counter(EMPTY_LISTS.counts) - before == {
        ("default/mock", "FilteredToEmpty"): 2,
        ("default/mock", "UpstreamEmpty"): 1,
    }
