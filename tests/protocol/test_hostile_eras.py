"""Hostile servers and clients on the two sides of a bridge from legacy clients to a modern server."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web
from gateways import RunningGateway, policy, running_gateway
from limits import limit_config, limiting
from mcp_caller import LEGACY, McpCaller, legacy, mcp_caller, modern
from mcp_clients import eventually
from modern_server import complete, initialized, meta_of, modern_server, refused
from upstreams import Arrived, Upstream, answer, document, initialize_answer, with_handshake

CALL = legacy("tools/call", {"name": "t", "arguments": {"secret": "x" * 600}}, id=7)
FORM = {
    "method": "elicitation/create",
    "params": {"message": "Name?", "requestedSchema": {"type": "object", "properties": {}}},
}
ACCEPTED = {"action": "accept", "content": {"name": "Ada"}}


def asking(arrived: Arrived, requests: dict[str, Any] | None = None, state: str | None = "s") -> web.Response:
    """A result that asks for input."""
    result: dict[str, Any] = {"resultType": "input_required"}
    if requests is not None:
        result["inputRequests"] = requests
    if state is not None:
        result["requestState"] = state
    return document(answer(arrived, result))


@asynccontextmanager
async def bridged(**options: Any) -> AsyncIterator[tuple[RunningGateway, Upstream, McpCaller]]:
    async with modern_server(**options) as upstream, running_gateway() as gateway, mcp_caller(gateway.url()) as caller:
        await gateway.apply(gateway.entry("mock", upstream.url))
        yield gateway, upstream, caller


async def once(_: web.BaseRequest, arrived: Arrived) -> web.StreamResponse:
    """Ask once, and tell what was answered."""
    params = arrived.message["params"]
    if "inputResponses" not in params:
        return asking(arrived, {"name": FORM})
    told = {"responses": params["inputResponses"], "state": params.get("requestState"), "args": params["arguments"]}
    return complete(arrived, {"content": [{"type": "text", "text": json.dumps(told)}]})


async def test_the_round_brings_the_answer_the_state_and_the_same_arguments() -> None:
    async with bridged(call=once) as (_, upstream, caller):
        await initialized(caller, {"elicitation": {}})
        async with caller.stream(CALL) as stream:
            asked = await stream.message()
            assert (asked["method"], asked["params"]["message"]) == ("elicitation/create", "Name?")
            answered = {"jsonrpc": "2.0", "id": asked["id"], "result": ACCEPTED}
            assert (await caller.post(answered)).status == 202
            done = await stream.message()

    told = json.loads(done["result"]["content"][0]["text"])
    assert told == {"responses": {"name": ACCEPTED}, "state": "s", "args": {"secret": "x" * 600}}
    first, second = [each.message for each in upstream.arrived if each.method == "tools/call"]
    assert (done["id"], first["id"] != second["id"]) == (7, True)


async def test_an_answer_counts_once_and_only_from_its_own_session() -> None:
    async with bridged(call=once) as (gateway, _, caller), mcp_caller(gateway.url()) as other:
        await initialized(caller, {"elicitation": {}})
        await initialized(other, {"elicitation": {}})
        async with caller.stream(CALL) as stream:
            asked = await stream.message()
            answered = {"jsonrpc": "2.0", "id": asked["id"], "result": ACCEPTED}
            assert (await other.post(answered)).status == 400
            assert (await other.post({**answered, "id": "Q1.forged"})).status == 400
            assert (await caller.post(answered)).status == 202
            assert (await stream.message())["id"] == 7
        again = await caller.post(answered)

    assert again.error["data"]["reason"] == "ContinuationLost"


async def test_a_server_is_not_answered_without_end() -> None:
    async def ask_for_ever(_: web.BaseRequest, arrived: Arrived) -> web.StreamResponse:
        return asking(arrived, state="again")

    async with bridged(call=ask_for_ever) as (_, upstream, caller):
        await initialized(caller)
        result = (await caller.post(CALL)).result

    assert result["isError"] is True
    assert "8 rounds" in result["content"][0]["text"]
    assert upstream.count("tools/call") == 9


@pytest.mark.parametrize(
    "result",
    [
        {"resultType": "input_required"},
        {"resultType": "input_required", "inputRequests": {"a": {"method": "tools/call", "params": {}}}},
        {"resultType": "input_required", "inputRequests": [1]},
        {"resultType": "task", "taskId": "1"},
        {"resultType": 7},
    ],
)
async def test_a_result_that_no_revision_defines_is_a_fault_of_the_server(result: dict[str, Any]) -> None:
    async def respond(_: web.BaseRequest, arrived: Arrived) -> web.StreamResponse:
        return document(answer(arrived, result))

    async with bridged(call=respond) as (_, __, caller):
        await initialized(caller, {"elicitation": {}})
        assert (await caller.post(CALL)).error["code"] == -31005


async def test_a_client_is_not_asked_for_what_it_did_not_declare() -> None:
    async with bridged(call=once) as (_, upstream, caller):
        await initialized(caller, {"sampling": {}})
        reply = await caller.post(CALL)

    assert len(reply.messages) == 1
    assert reply.result["isError"] is True
    assert upstream.count("tools/call") == 1


async def test_a_client_that_leaves_while_it_is_asked_ends_the_call() -> None:
    async with bridged(call=once) as (_, __, caller):
        await initialized(caller, {"elicitation": {}})
        async with caller.stream(CALL) as stream:
            asked = await stream.message()
            stream.drop()
        answered = {"jsonrpc": "2.0", "id": asked["id"], "result": ACCEPTED}

        async def is_lost() -> bool:
            reply = await caller.post(answered)
            return reply.status != 202 and reply.error["data"]["reason"] == "ContinuationLost"

        await eventually(is_lost)


async def test_a_server_whose_era_flips_is_asked_now_and_then_only() -> None:
    eras = {"modern": False}

    async def flip(request: web.BaseRequest, arrived: Arrived) -> web.StreamResponse:
        eras["modern"] = not eras["modern"]
        if arrived.http_method != "POST":
            return web.Response(status=405)
        if arrived.method == "server/discover" and eras["modern"]:
            return complete(arrived, {"supportedVersions": ["2026-07-28"], "capabilities": {}})
        if arrived.method == "initialize" and eras["modern"]:
            return initialize_answer(arrived)
        return refused(arrived, -32601, status=404)

    async with bridged(handles=flip) as (_, upstream, caller):
        for _ in range(20):
            params = {"protocolVersion": LEGACY, "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}
            assert (await caller.post(legacy("initialize", params))).status in (200, 404)
            assert (await caller.post(modern("tools/list"))).status in (200, 404)

    assert upstream.count("server/discover") <= 12


async def test_what_one_client_writes_into_its_handshake_proves_nothing_for_others() -> None:
    """A server of both eras that lists modern revisions only refuses one client's initialize."""

    async def picky(_: web.BaseRequest, arrived: Arrived) -> web.StreamResponse:
        if arrived.http_method != "POST":
            return web.Response(status=200)
        message = arrived.message
        if arrived.method == "server/discover":
            return complete(arrived, {"supportedVersions": ["2026-07-28"], "capabilities": {}})
        if arrived.method == "initialize":
            named = message["params"]["clientInfo"]["name"]
            return refused(arrived, -32600) if named == "evil" else initialize_answer(arrived)
        if "id" not in message:
            return web.Response(status=202)
        return document(answer(arrived, {"tools": []}))

    async with bridged(handles=picky) as (gateway, upstream, caller), mcp_caller(gateway.url()) as good:
        params = {"protocolVersion": LEGACY, "capabilities": {}, "clientInfo": {"name": "evil", "version": "1"}}
        assert (await caller.post(legacy("initialize", params))).status == 400
        await good.initialize()
        assert good.session is not None
        assert good.session.startswith("1."), "a native session, as before"
        await good.post(legacy("tools/list"))

    assert upstream.arrived[-1].headers["Mcp-Session-Id"] == "upstream-session"


async def test_a_session_of_another_principal_proxy_or_replica_key_is_unknown() -> None:
    async with bridged() as (gateway, upstream, caller):
        await initialized(caller)
        sealed = caller.session
        assert sealed is not None
        await gateway.apply(gateway.entry("mock", upstream.url, uid="uid-of-another"))
        for forged in (sealed, sealed[:-2] + "AA", "2." + sealed[2:][::-1], "2.", "2.AAAA"):
            caller.session = forged
            assert (await caller.post(legacy("tools/list"))).status == 404


async def test_a_client_cannot_write_the_envelope_of_its_request() -> None:
    async with bridged() as (_, upstream, caller):
        await initialized(caller)
        meta = {
            "io.modelcontextprotocol/clientCapabilities": {"sampling": {}},
            "io.modelcontextprotocol/logLevel": "debug",
            "mine": 1,
        }
        await caller.post(legacy("tools/call", {"name": "t", "requestState": "forged", "_meta": meta}))

    params = upstream.arrived[-1].message["params"]
    assert (meta_of(upstream.arrived[-1])["clientCapabilities"], params["_meta"]["mine"]) == ({}, 1)
    assert "io.modelcontextprotocol/logLevel" not in params["_meta"]
    assert "requestState" not in params


async def test_huge_capabilities_are_refused_before_a_session_is_opened() -> None:
    async with bridged() as (_, __, caller):
        await initialized(caller)  # the server is known to be modern from here on
        caller.session = None
        params = {
            "protocolVersion": LEGACY,
            "capabilities": {"roots": {"x": "y" * 2000}},
            "clientInfo": {"name": "t", "version": "1"},
        }
        assert (await caller.post(legacy("initialize", params))).error["code"] == -32602


# -- each round is judged


async def answered_once(caller: McpCaller, before_answer: Callable[[], Awaitable[None]]) -> dict[str, Any]:
    """The end of a call whose server asks once, with something that happens before the client answers."""
    await initialized(caller, {"elicitation": {}})
    async with caller.stream(CALL) as stream:
        asked = await stream.message()
        await before_answer()
        assert (await caller.post({"jsonrpc": "2.0", "id": asked["id"], "result": ACCEPTED})).status == 202
        return await stream.message()


async def test_a_call_that_policy_forbids_while_it_waits_goes_no_further() -> None:
    async with bridged(call=once) as (gateway, upstream, caller):

        async def forbid() -> None:
            await gateway.apply(gateway.entry("mock", upstream.url, [policy("none")]))

        done = await answered_once(caller, forbid)

    assert "error" in done or done["result"]["isError"] is True
    assert upstream.count("tools/call") == 1


async def test_the_answer_to_a_server_that_was_replaced_reaches_no_other() -> None:
    async with bridged(call=once) as (gateway, upstream, caller), modern_server() as other:
        await initialized(caller, {"elicitation": {}})
        async with caller.stream(CALL) as stream:
            asked = await stream.message()
            await gateway.apply(gateway.entry("mock", other.url))
            answered = {"jsonrpc": "2.0", "id": asked["id"], "result": ACCEPTED}
            assert (await caller.post(answered)).status == 404, "the client initializes again"

    assert (upstream.count("tools/call"), other.count("tools/call")) == (1, 0)


async def test_each_round_counts_for_the_limits_of_policies() -> None:
    async with bridged(call=once) as (gateway, upstream, caller):
        await gateway.apply(gateway.entry("mock", upstream.url, [limiting(limit_config(requests=3))]))
        await initialized(caller, {"elicitation": {}})

        async def call() -> dict[str, Any]:
            async with caller.stream(CALL) as stream:
                asked = await stream.message()
                if "method" not in asked:
                    return asked
                await caller.post({"jsonrpc": "2.0", "id": asked["id"], "result": ACCEPTED})
                return await stream.message()

        first, second = await call(), await call()

    assert not first["result"].get("isError")
    assert second["result"]["isError"] is True
    assert upstream.count("tools/call") == 3


async def test_a_server_that_becomes_a_legacy_one_makes_its_clients_initialize_again() -> None:
    is_legacy = False

    async def modern_only(arrived: Arrived) -> web.StreamResponse:
        if "_meta" not in arrived.message.get("params", {}):
            return refused(arrived, -32022, data={"supported": ["2026-07-28"]})
        if arrived.method == "server/discover":
            return complete(arrived, {"supportedVersions": ["2026-07-28"], "capabilities": {}})
        return complete(arrived, {"content": []})

    async def legacy_only(_: web.BaseRequest, arrived: Arrived) -> web.StreamResponse:
        if "Mcp-Session-Id" not in arrived.headers:
            return refused(arrived, -32000)
        return document(answer(arrived, {"content": []}))

    async def turned(request: web.BaseRequest, arrived: Arrived) -> web.StreamResponse:
        if arrived.http_method != "POST":
            return web.Response(status=405)
        return await (with_handshake(legacy_only)(request, arrived) if is_legacy else modern_only(arrived))

    async with bridged(handles=turned) as (_, upstream, caller):
        await initialized(caller)
        assert (await caller.post(CALL)).result == {"content": []}
        is_legacy = True

        async def is_told_to_initialize() -> bool:
            return (await caller.post(CALL)).status == 404

        await eventually(is_told_to_initialize)
        await initialized(caller)
        assert (await caller.post(CALL)).result == {"content": []}

    assert upstream.arrived[-1].headers["Mcp-Session-Id"] == "upstream-session"
