"""Sessions of one client with several servers: one id, opened at once, late, and again."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from gateways import RunningGateway, policy, running_gateway
from limit_replicas import store_config, until
from mcp_caller import LEGACY, McpCaller, legacy, mcp_caller
from merged_proxies import merged
from redis_servers import redis_server
from session_scenes import SessionScene
from upstreams import Arrived, Upstream, serving

from ostiary_core.limit_store_states import StoreState

CALL = legacy("tools/call", {"name": "crm_search", "arguments": {}}, id=7)
LEVEL = legacy("logging/setLevel", {"level": "warning"})


@pytest.fixture
def crm_scene() -> SessionScene:
    return SessionScene("crm")


@pytest.fixture
def wiki_scene() -> SessionScene:
    return SessionScene("wiki")


@pytest.fixture
async def crm(crm_scene: SessionScene) -> AsyncIterator[Upstream]:
    async with serving(crm_scene.script) as upstream:
        yield upstream


@pytest.fixture
async def wiki(wiki_scene: SessionScene) -> AsyncIterator[Upstream]:
    async with serving(wiki_scene.script) as upstream:
        yield upstream


@pytest.fixture(autouse=True)
async def proxy(gateway: RunningGateway, crm: Upstream, wiki: Upstream) -> None:
    await gateway.apply(merged(gateway, {"crm": crm.url, "wiki": wiki.url}))


async def test_one_id_leads_to_the_session_with_each_server(caller: McpCaller, crm: Upstream, wiki: Upstream) -> None:
    reply = await caller.initialize()

    assert reply.result["protocolVersion"] == LEGACY
    assert reply.result["serverInfo"]["name"] == "ostiary"
    assert reply.result["capabilities"]["tools"] == {"listChanged": True}
    assert caller.session is not None
    assert caller.session.startswith("2.")
    assert "crm-session" not in caller.session
    assert (await caller.post(CALL)).result["by"] == "crm"
    assert (await caller.post(legacy("tools/call", {"name": "wiki_search"}))).result["by"] == "wiki"
    for upstream, session in ((crm, "crm-session-1"), (wiki, "wiki-session-1")):
        handshake, *later = upstream.arrived
        assert "Mcp-Session-Id" not in handshake.headers
        assert {each.headers["Mcp-Session-Id"] for each in later} == {session}
        assert {each.headers["MCP-Protocol-Version"] for each in later} == {LEGACY}
        assert [each.method for each in later] == ["notifications/initialized", "tools/call"]


async def test_a_session_from_before_the_second_server_is_initialized_again(
    gateway: RunningGateway, caller: McpCaller, crm: Upstream, wiki: Upstream
) -> None:
    await gateway.apply(gateway.entry("mock", crm.url))
    await caller.initialize()
    assert caller.session is not None
    assert caller.session.startswith("1.")
    await gateway.apply(merged(gateway, {"crm": crm.url, "wiki": wiki.url}))

    assert (await caller.post(CALL)).status == 404
    caller.session = None
    await caller.initialize()
    assert (await caller.post(CALL)).result["by"] == "crm"


async def test_a_server_that_forgot_its_session_is_initialized_again_and_gets_the_call_once_more(
    caller: McpCaller, crm: Upstream, crm_scene: SessionScene
) -> None:
    await caller.initialize()
    crm_scene.forget()
    arguments = {"text": "x" * 2000}

    reply = await caller.post(legacy("tools/call", {"name": "crm_search", "arguments": arguments}, id=7))

    assert reply.messages[-1]["id"] == 7
    assert reply.result["by"] == "crm"
    assert [each.method for each in crm.arrived[2:]] == [
        "tools/call",
        "initialize",
        "notifications/initialized",
        "tools/call",
    ]
    first, again = (each for each in crm.arrived if each.method == "tools/call")
    assert first.body == again.body
    assert again.message["params"]["arguments"] == arguments
    assert crm.arrived[-1].headers["Mcp-Session-Id"] == "crm-session-2"
    assert (await caller.post(CALL)).result["by"] == "crm"
    assert crm.count("initialize") == 2


async def test_a_server_that_is_initialized_again_gets_what_the_client_declared_and_told_its_predecessor(
    caller: McpCaller, crm: Upstream, crm_scene: SessionScene
) -> None:
    capabilities = {"elicitation": {}, "roots": {"listChanged": True}}
    params = {"protocolVersion": LEGACY, "capabilities": capabilities, "clientInfo": {"name": "agent", "version": "9"}}
    caller.session = (await caller.post(legacy("initialize", params))).headers["Mcp-Session-Id"]
    assert (await caller.post(LEVEL)).result == {}
    for uri in ("file://crm/a", "file://crm/b"):
        assert (await caller.post(legacy("resources/subscribe", {"uri": uri}))).result == {}
    assert (await caller.post(legacy("resources/unsubscribe", {"uri": "file://crm/a"}))).result == {}
    crm_scene.forget()
    before = len(crm.arrived)

    assert (await caller.post(CALL)).result["by"] == "crm"

    handshake, done, *replayed, call = crm.arrived[before + 1 :]
    assert {name: handshake.message["params"][name] for name in params} == params
    assert done.method == "notifications/initialized"
    assert {each.method: _own(each) for each in replayed} == {
        "logging/setLevel": {"level": "warning"},
        "resources/subscribe": {"uri": "file://b"},
    }
    assert {each.headers["Mcp-Session-Id"] for each in (done, *replayed, call)} == {"crm-session-2"}


def _own(arrived: Arrived) -> dict[str, Any]:
    return {name: each for name, each in arrived.message.get("params", {}).items() if name != "_meta"}


async def test_a_server_that_was_late_is_initialized_when_it_is_needed(
    caller: McpCaller, crm: Upstream, crm_scene: SessionScene
) -> None:
    crm_scene.down = True
    reply = await caller.initialize()
    assert set(reply.result["capabilities"]) >= {"tools", "resources", "prompts"}
    assert (await caller.post(CALL)).error["code"] == -31003
    crm_scene.down = False

    assert (await caller.post(CALL)).result["by"] == "crm"
    assert (await caller.post(CALL)).result["by"] == "crm"
    assert crm_scene.opened == 1


async def test_all_servers_down_is_no_failure_of_initialize(
    caller: McpCaller, crm_scene: SessionScene, wiki_scene: SessionScene
) -> None:
    crm_scene.down = wiki_scene.down = True

    reply = await caller.initialize()

    assert reply.result["serverInfo"]["name"] == "ostiary"
    assert (await caller.post(legacy("ping"))).result == {}


async def test_a_server_that_forgets_at_once_ends_in_an_error_and_not_in_a_loop(
    caller: McpCaller, crm: Upstream, crm_scene: SessionScene
) -> None:
    await caller.initialize()
    crm_scene.forgotten = {f"crm-session-{number}" for number in range(1, 9)}

    error = (await caller.post(CALL)).error

    assert error["code"] == -31003
    assert crm.count("tools/call") == 3


async def test_requests_at_the_same_time_share_one_handshake(
    caller: McpCaller, crm: Upstream, crm_scene: SessionScene
) -> None:
    await caller.initialize()
    crm_scene.forget()
    calls = [caller.post(legacy("tools/call", {"name": "crm_search"}, id=number)) for number in range(20)]

    assert {reply.result["by"] for reply in await asyncio.gather(*calls)} == {"crm"}
    assert crm_scene.opened == 2


async def test_what_a_client_tells_all_reaches_each_server_in_its_session(
    caller: McpCaller, crm: Upstream, wiki: Upstream
) -> None:
    await caller.initialize()
    assert (await caller.post(LEVEL)).result == {}
    for method, params in (
        ("notifications/roots/list_changed", {}),
        ("notifications/cancelled", {"requestId": 3, "reason": "bored"}),
    ):
        assert (await caller.post(legacy(method, params, id=None))).status == 202

    for upstream, session in ((crm, "crm-session-1"), (wiki, "wiki-session-1")):
        told = {each.method: _own(each) for each in upstream.arrived[1:]}
        assert told == {
            "notifications/initialized": {},
            "logging/setLevel": {"level": "warning"},
            "notifications/roots/list_changed": {},
            "notifications/cancelled": {"requestId": 3, "reason": "bored"},
        }
        assert {each.headers["Mcp-Session-Id"] for each in upstream.arrived[1:]} == {session}


async def test_a_level_that_the_specification_does_not_have_is_refused(caller: McpCaller, crm: Upstream) -> None:
    await caller.initialize()

    assert (await caller.post(legacy("logging/setLevel", {"level": "loud"}))).error["code"] == -32602
    assert crm.count("logging/setLevel") == 0


async def test_a_session_that_its_client_ended_is_ended_with_each_server_and_good_for_nothing(
    caller: McpCaller, crm: Upstream, wiki: Upstream, crm_scene: SessionScene
) -> None:
    await caller.initialize()

    assert (await caller.request("DELETE")).status == 200

    assert (crm.count("DELETE"), wiki.count("DELETE")) == (1, 1)
    assert (await caller.post(CALL)).status == 404
    crm_scene.forget()
    assert (await caller.post(CALL)).status == 404
    assert crm_scene.opened == 1


async def test_servers_that_keep_no_session_are_called_without_one(
    caller: McpCaller, crm: Upstream, crm_scene: SessionScene
) -> None:
    crm_scene.session = ""
    await caller.initialize()

    assert (await caller.post(CALL)).result["by"] == "crm"
    assert "Mcp-Session-Id" not in crm.arrived[-1].headers


async def test_each_server_is_spoken_to_in_the_revision_that_it_negotiated(
    caller: McpCaller, crm: Upstream, wiki: Upstream, crm_scene: SessionScene
) -> None:
    crm_scene.revision = "2025-03-26"
    reply = await caller.initialize()

    assert reply.result["protocolVersion"] == LEGACY
    assert (await caller.post(CALL)).result["by"] == "crm"
    assert crm.arrived[-1].headers["MCP-Protocol-Version"] == "2025-03-26"


async def test_absurd_session_ids_take_no_room_from_other_servers(
    caller: McpCaller, crm: Upstream, wiki: Upstream, crm_scene: SessionScene
) -> None:
    crm_scene.session = "x" * 4090 + "-{number}"
    await caller.initialize()

    assert caller.session is not None
    assert len(caller.session) < 1000
    assert (await caller.post(CALL)).result["by"] == "crm"
    assert crm.arrived[-1].headers["Mcp-Session-Id"] == "x" * 4090 + "-1"
    assert (await caller.post(legacy("tools/call", {"name": "wiki_search"}))).result["by"] == "wiki"


@pytest.mark.parametrize("session", ["x" * 4097, "é"])
async def test_an_id_that_no_client_could_send_makes_its_server_late_and_no_other(
    caller: McpCaller, crm_scene: SessionScene, session: str
) -> None:
    crm_scene.session = session

    await caller.initialize()

    assert (await caller.post(CALL)).error["code"] == -31005
    assert (await caller.post(legacy("tools/call", {"name": "wiki_search"}))).result["by"] == "wiki"


async def test_no_session_is_opened_with_a_server_of_which_the_caller_may_see_nothing(
    gateway: RunningGateway, caller: McpCaller, crm: Upstream, wiki: Upstream
) -> None:
    rules = policy("wiki", {"name": "wiki", "effect": "Allow", "tools": {"names": ["wiki_*"]}})
    await gateway.apply(merged(gateway, {"crm": crm.url, "wiki": wiki.url}, [rules]))

    await caller.initialize()

    assert (crm.count("initialize"), wiki.count("initialize")) == (0, 1)


async def test_instructions_of_a_server_pass_only_to_callers_that_see_all_of_it(
    gateway: RunningGateway,
    caller: McpCaller,
    crm: Upstream,
    wiki: Upstream,
    crm_scene: SessionScene,
    wiki_scene: SessionScene,
) -> None:
    crm_scene.instructions, wiki_scene.instructions = "Use search.", "Use delete_page."
    told = (await caller.initialize()).result["instructions"]
    assert "Use search." in told
    assert "Use delete_page." in told

    rules = policy(
        "wiki",
        {"name": "all", "effect": "Allow"},
        {"name": "wiki", "effect": "Deny", "tools": {"names": ["wiki_delete_page"]}},
    )
    await gateway.apply(merged(gateway, {"crm": crm.url, "wiki": wiki.url}, [rules]))
    assert "delete_page" not in (await caller.initialize()).result.get("instructions", "")


async def test_a_session_of_one_proxy_or_caller_opens_at_no_other(
    gateway: RunningGateway, caller: McpCaller, crm: Upstream, wiki: Upstream
) -> None:
    servers = {"crm": crm.url, "wiki": wiki.url}
    await gateway.apply(merged(gateway, servers), merged(gateway, servers, name="other"))
    await caller.initialize()
    async with mcp_caller(gateway.url("other")) as other:
        other.session = caller.session
        assert (await other.post(CALL)).status == 404


async def test_a_client_that_declares_absurdly_much_is_refused_with_the_limit(caller: McpCaller) -> None:
    params = {"protocolVersion": LEGACY, "capabilities": {"sampling": {"x": "x" * 2000}}, "clientInfo": {}}

    error = (await caller.post(legacy("initialize", params))).error

    assert error["code"] == -32602
    assert "1024 bytes" in error["message"]


async def test_a_gateway_that_keeps_no_notes_advertises_nothing_that_needs_them(
    gateway: RunningGateway, caller: McpCaller, crm: Upstream, wiki: Upstream, crm_scene: SessionScene
) -> None:
    gateway.settings = gateway.settings.model_copy(update={"session_notes": "None"})
    await gateway.apply(merged(gateway, {"crm": crm.url, "wiki": wiki.url}))

    capabilities = (await caller.initialize()).result["capabilities"]

    assert "logging" not in capabilities
    assert "subscribe" not in capabilities["resources"]
    refused = await caller.post(legacy("resources/subscribe", {"uri": "file://crm/a"}))
    assert refused.error["code"] == -32601
    assert (await caller.post(CALL)).result["by"] == "crm"
    crm_scene.forget()
    assert (await caller.post(CALL)).status == 404
    assert crm_scene.opened == 1


async def test_replicas_share_what_they_learn_of_a_session(
    tmp_path: Path, crm: Upstream, wiki: Upstream, crm_scene: SessionScene
) -> None:
    with redis_server(tmp_path) as store:
        shared = {"session_notes": "Shared", "limit_store": store_config(store.address)}
        async with running_gateway() as one, running_gateway() as two:
            two.session_key = one.session_key
            for each in (one, two):
                each.settings = each.settings.model_copy(update=shared)
                await each.apply(merged(each, {"crm": crm.url, "wiki": wiki.url}))
            await until(lambda: {each.app.limit_store.state for each in (one, two)} == {StoreState.READY})
            async with mcp_caller(one.url()) as first, mcp_caller(two.url()) as second:
                await first.initialize()
                second.session = first.session
                await first.post(LEVEL)
                await first.post(legacy("resources/subscribe", {"uri": "file://crm/a"}))
                crm_scene.forget()
                before = len(crm.arrived)

                assert (await second.post(CALL)).result["by"] == "crm"

                methods = [each.method for each in crm.arrived[before:]]
                assert sorted(methods[3:5]) == ["logging/setLevel", "resources/subscribe"]
                assert (await first.post(CALL)).result["by"] == "crm"
                assert crm_scene.opened == 2
                await second.request("DELETE")
                assert (await second.post(CALL)).status == 404
                crm_scene.forget()
                assert (await first.post(CALL)).status == 404
