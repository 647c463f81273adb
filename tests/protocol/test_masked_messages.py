"""Masks in a real gateway: no message brings a card number to a caller, at whatever place a server writes it."""

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web
from gateways import RunningGateway
from mask_policies import CARD, mask_config, mask_policy
from mcp_caller import McpCaller, legacy, modern
from merged_proxies import merged
from upstreams import Arrived, Upstream, answer, document, events, serving, with_handshake

PLAIN = CARD.replace(" ", "")
HIDDEN = (CARD, PLAIN, "1111 1111")
TOOL = {"name": "pay", "description": f"Pays with {CARD}", "inputSchema": {"type": "object"}}
RESULT: dict[str, Any] = {
    "content": [
        {"type": "text", "text": f"Card {CARD}"},
        {"type": "text", "text": json.dumps({"card": CARD})},
        {"type": "resource_link", "uri": "crm://7", "name": f"card {CARD}"},
        {"type": "resource", "resource": {"uri": "crm://7", "text": f"paid by {PLAIN}", "mimeType": "text/plain"}},
    ],
    "structuredContent": {"card": PLAIN, "n": int(PLAIN), PLAIN: 1, "nested": [{"x": [CARD]}]},
    "_meta": {"crm.example.com/card": CARD},
}
PROGRESS = {"jsonrpc": "2.0", "method": "notifications/progress", "params": {"progress": 1, "message": f"with {CARD}"}}
LOG = {"jsonrpc": "2.0", "method": "notifications/message", "params": {"level": "info", "data": {"card": PLAIN}}}


class Shop:
    """A server that tells card numbers; ``sends`` is what it does besides its answer."""

    def __init__(self) -> None:
        self.answer: dict[str, Any] = {"result": RESULT}
        self.raw: bytes | None = None
        self.before: list[dict[str, Any]] = []
        self.streams = False
        self.status = 200

    async def script(self, request: web.BaseRequest, arrived: Arrived) -> web.StreamResponse:
        if arrived.method == "tools/list":
            return document(answer(arrived, {"tools": [TOOL]}))
        if self.raw is not None and not self.streams:
            return web.Response(body=self._written(arrived), content_type="application/json")
        body = {"jsonrpc": "2.0", "id": arrived.message["id"] if arrived.body else "none", **self.answer}
        if not self.streams:
            return document(body, status=self.status)
        async with events(request) as stream:
            for message in self.before:
                await stream.send(message)
            if self.raw is not None:
                await stream.raw(self._written(arrived))
            else:
                await stream.send(body)
        return stream.response

    def _written(self, arrived: Arrived) -> bytes:
        assert self.raw is not None
        return self.raw.replace(b"ID", json.dumps(arrived.message["id"] if arrived.body else None).encode())


@pytest.fixture
def shop() -> Shop:
    return Shop()


@pytest.fixture
async def upstream(shop: Shop) -> AsyncIterator[Upstream]:
    async with serving(with_handshake(shop.script)) as upstream:
        yield upstream


@pytest.fixture(autouse=True)
async def proxy(gateway: RunningGateway, upstream: Upstream) -> None:
    await gateway.apply(gateway.entry("mock", upstream.url, [mask_policy()]))


def assert_masked(text: str) -> None:
    for hidden in HIDDEN:
        assert hidden not in text


CALL = modern("tools/call", {"name": "pay"})


@pytest.mark.parametrize("streams", [False, True])
async def test_a_result_tells_no_card_number_at_any_place(caller: McpCaller, shop: Shop, streams: bool) -> None:
    shop.streams, shop.before = streams, [PROGRESS, LOG]
    reply = await caller.post(CALL)
    assert_masked(reply.body.decode())
    assert "Card" in reply.result["content"][0]["text"]
    assert len(reply.messages) == (3 if streams else 1)


@pytest.mark.parametrize("streams", [False, True])
async def test_the_same_holds_in_a_session_of_an_earlier_revision(caller: McpCaller, shop: Shop, streams: bool) -> None:
    shop.streams, shop.before = streams, [PROGRESS, LOG]
    await caller.initialize()
    reply = await caller.post(legacy("tools/call", {"name": "pay"}))
    assert_masked(reply.body.decode())
    assert reply.result["content"][0]["text"].startswith("Card")


@pytest.mark.parametrize("streams", [False, True])
async def test_what_holds_nothing_keeps_its_bytes(caller: McpCaller, shop: Shop, streams: bool) -> None:
    text = b'{"jsonrpc": "2.0",   "result": {"content": [ ], "x": 1.50, "y": "\\u00e9"}, "id": ID}'
    shop.streams, shop.raw = streams, b"data: " + text + b"\n\n" if streams else text
    reply = await caller.post(CALL)
    assert '"result": {"content": [ ], "x": 1.50, "y": "\\u00e9"}' in reply.body.decode()


@pytest.mark.parametrize("streams", [False, True])
@pytest.mark.parametrize("status", [200, 400, 500])
async def test_an_error_of_the_server_is_masked(caller: McpCaller, shop: Shop, streams: bool, status: int) -> None:
    shop.streams, shop.status = streams and status == 200, status
    shop.answer = {"error": {"code": -32000, "message": f"No card {CARD}", "data": {"tried": [PLAIN]}}}
    reply = await caller.post(CALL)
    assert_masked(reply.body.decode())
    assert reply.error["message"].startswith("No card")


async def test_a_list_is_masked_and_the_next_one_from_the_memory_as_well(caller: McpCaller) -> None:
    for number in range(3):
        reply = await caller.post(modern("tools/list", id=number))
        assert_masked(reply.body.decode())
        assert reply.result["tools"][0]["name"] == "pay"


async def test_the_list_of_several_servers_is_masked(
    gateway: RunningGateway, upstream: Upstream, caller: McpCaller
) -> None:
    policy = mask_policy(mask_config(tools={"names": ["crm_*"]}))
    await gateway.apply(merged(gateway, {"crm": upstream.url, "web": upstream.url}, [policy]))
    reply = await caller.post(modern("tools/list"))
    described = {tool["name"]: tool["description"] for tool in reply.result["tools"]}
    assert CARD not in described["crm_pay"]
    assert CARD in described["web_pay"]


@pytest.mark.parametrize("streams", [False, True])
async def test_block_withholds_the_answer_and_says_so_to_the_model(
    gateway: RunningGateway, upstream: Upstream, caller: McpCaller, shop: Shop, streams: bool
) -> None:
    await gateway.apply(gateway.entry("mock", upstream.url, [mask_policy(mask_config(action="Block"))]))
    shop.streams = streams
    reply = await caller.post(CALL)
    assert_masked(reply.body.decode())
    assert reply.result["isError"] is True
    assert "withheld" in reply.result["content"][0]["text"]
    listed = await caller.post(modern("tools/list"))
    assert listed.result["tools"] == []


async def test_shadow_only_counts(gateway: RunningGateway, upstream: Upstream, caller: McpCaller) -> None:
    await gateway.apply(gateway.entry("mock", upstream.url, [mask_policy(mode="Shadow")]))
    assert (await caller.post(CALL)).result == RESULT


async def test_a_mask_of_another_tool_leaves_the_result_alone(
    gateway: RunningGateway, upstream: Upstream, caller: McpCaller
) -> None:
    await gateway.apply(gateway.entry("mock", upstream.url, [mask_policy(mask_config(tools={"names": ["read_*"]}))]))
    assert (await caller.post(CALL)).result == RESULT


@pytest.mark.parametrize("streams", [False, True])
@pytest.mark.parametrize(
    "text",
    [
        b'{"jsonrpc":"2.0","id":ID,"result":{"content":[],"content":[{"type":"text","text":"%s"}]}}',
        b'{"jsonrpc":"2.0","id":ID,"result":{"content":[{"type":"text","text":"\\ud800 %s"}]}}',
        b'{"jsonrpc":"2.0","id":ID,"result":{"content":[{"type":"text","text":"%s"}],"n":NaN}}',
    ],
    ids=["a key twice", "half a character", "no number"],
)
async def test_what_readers_could_disagree_about_is_refused(
    caller: McpCaller, shop: Shop, text: bytes, streams: bool
) -> None:
    text = text.replace(b"%s", CARD.encode())
    shop.streams, shop.raw = streams, b"data: " + text + b"\n\n" if streams else text
    reply = await caller.post(CALL)
    assert reply.error["code"] == -31005
    assert_masked(reply.body.decode())


async def test_escapes_hide_nothing(caller: McpCaller, shop: Shop) -> None:
    escaped = "".join(f"\\u{ord(each):04x}" for each in PLAIN)
    shop.raw = b'{"jsonrpc":"2.0","id":ID,"result":{"content":[{"type":"text","text":"%s"}]}}' % escaped.encode()
    reply = await caller.post(CALL)
    assert PLAIN not in reply.result["content"][0]["text"]


async def test_no_line_of_an_event_is_passed_on_unseen(caller: McpCaller, shop: Shop) -> None:
    body = b'{"jsonrpc":"2.0","id":ID,\r\ndata:"result":{"content":[{"type":"text","text":"%s"}]}}' % CARD.encode()
    seen = PLAIN.encode()
    shop.streams = True
    shop.raw = b': %s\n\nevent: %s\ndata: %s\n\nevent: ping\ndata: {"card":"%s"}\n\n' % (
        seen,
        seen,
        seen,
        seen,
    ) + b": %s\nretry: %s\nid: 7\nevent: message\ndata:%s\n%s: x\n\n" % (seen, seen, body, seen)
    reply = await caller.post(CALL)
    assert_masked(reply.body.decode())
    assert reply.result["content"][0]["text"]


async def test_an_event_that_broke_off_is_not_passed_on(caller: McpCaller, shop: Shop) -> None:
    shop.streams = True
    shop.raw = b'data: {"jsonrpc":"2.0","id":ID,"result":{"content":[{"type":"text","text":"%s"}]}}' % CARD.encode()
    reply = await caller.post(CALL)
    assert_masked(reply.body.decode())


async def test_a_value_that_is_split_over_two_notifications_does_not_arrive_whole(
    caller: McpCaller, shop: Shop
) -> None:
    parts = [PLAIN[:9], PLAIN[9:], "and on"]
    shop.streams = True
    for member in ("data", "logger"):
        shop.before = [
            {"jsonrpc": "2.0", "method": "notifications/message", "params": {"level": "info", "data": 1, member: part}}
            for part in parts
        ]
        reply = await caller.post(CALL)
        told = [each["params"][member] for each in reply.messages if "params" in each]
        assert told == [parts[0], parts[2]]


async def test_who_risks_nothing_gets_no_notifications(
    gateway: RunningGateway, upstream: Upstream, caller: McpCaller, shop: Shop
) -> None:
    policy = mask_policy(mask_config(notifications="Drop"))
    await gateway.apply(gateway.entry("mock", upstream.url, [policy]))
    shop.streams, shop.before = True, [PROGRESS, LOG]
    assert len((await caller.post(CALL)).messages) == 1


async def test_a_question_of_the_server_is_masked_and_a_blocked_one_ends_the_call(
    gateway: RunningGateway, upstream: Upstream, caller: McpCaller, shop: Shop
) -> None:
    await caller.initialize()
    question = {"method": "elicitation/create", "params": {"message": f"Pay with {CARD}?", "requestedSchema": {}}}
    shop.streams, shop.before = True, [{"jsonrpc": "2.0", "id": "q1", **question}]
    call = legacy("tools/call", {"name": "pay"})
    reply = await caller.post(call)
    assert_masked(reply.body.decode())
    assert reply.messages[0]["params"]["message"].startswith("Pay with")

    await gateway.apply(gateway.entry("mock", upstream.url, [mask_policy(mask_config(action="Block"))]))
    reply = await caller.post(call)
    assert_masked(reply.body.decode())
    assert [each.get("method") for each in reply.messages] == [None]
    assert reply.result["isError"] is True
    assert [each.message["id"] for each in upstream.arrived if each.body and "error" in each.message] == ["q1"]


@pytest.mark.parametrize("own", [7, "q1"])
async def test_a_server_is_told_that_its_question_is_blocked_and_the_open_stream_goes_on(
    gateway: RunningGateway, upstream: Upstream, caller: McpCaller, shop: Shop, own: int | str
) -> None:
    await gateway.apply(gateway.entry("mock", upstream.url, [mask_policy(mask_config(action="Block"))]))
    await caller.initialize()
    question = {"method": "elicitation/create", "params": {"message": f"Pay with {CARD}?", "requestedSchema": {}}}
    harmless = {"method": "notifications/message", "params": {"level": "info", "data": "goes on"}}
    shop.streams = True
    shop.before = [{"jsonrpc": "2.0", "id": own, **question}, {"jsonrpc": "2.0", **harmless}]
    async with caller.listen() as stream:
        assert (await stream.message())["params"]["data"] == "goes on"
    told = [each for each in upstream.arrived if each.body and "error" in each.message]
    assert [(each.message["id"], each.message["error"]["code"]) for each in told] == [(own, -31001)]
    assert told[0].headers["Mcp-Session-Id"] == "upstream-session"


async def test_one_of_several_servers_is_told_by_the_id_that_it_knows(
    gateway: RunningGateway, upstream: Upstream, caller: McpCaller, shop: Shop
) -> None:
    policy = mask_policy(mask_config(action="Block"))
    async with serving(with_handshake(Shop().script)) as web_server:
        await gateway.apply(merged(gateway, {"crm": upstream.url, "web": web_server.url}, [policy]))
        await caller.initialize()
        question = {"method": "elicitation/create", "params": {"message": f"Pay with {CARD}?", "requestedSchema": {}}}
        shop.streams, shop.before = True, [{"jsonrpc": "2.0", "id": 7, **question}]
        reply = await caller.post(legacy("tools/call", {"name": "crm_pay"}))
    assert_masked(reply.body.decode())
    assert [each.message["id"] for each in upstream.arrived if each.body and "error" in each.message] == [7]
    assert [each for each in web_server.arrived if each.body and "error" in each.message] == []


async def test_every_message_of_an_open_stream_is_masked(caller: McpCaller, shop: Shop) -> None:
    await caller.initialize()
    shop.streams, shop.before = True, [LOG, {"jsonrpc": "2.0", "id": 99, "result": RESULT}]
    shop.raw = b": end\n\n"
    async with caller.listen() as stream:
        first, second = await stream.message(), await stream.message()
    assert_masked(json.dumps([first, second]))
    assert second["result"]["content"][0]["text"].startswith("Card")


async def test_an_error_that_does_not_say_which_request_it_refuses_is_masked(caller: McpCaller, shop: Shop) -> None:
    error = {"code": -32000, "message": f"No card {CARD}", "data": {PLAIN: CARD}}
    shop.status, shop.answer = 400, {"id": "server-error", "error": error}
    reply = await caller.post(CALL)
    assert_masked(reply.body.decode())
    assert reply.error["message"].startswith("No card")
