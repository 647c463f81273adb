"""Kept lists of merged servers: who shares them, and when they are old."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from api_keys import AGENT_KEY, OTHER_KEY, api_key, bearer, keyed
from gateways import RunningGateway, policy
from limits import limit_config, limiting
from listing_servers import ListingServer, listing_server
from mcp_caller import McpCaller, legacy, modern, modern_headers
from merged_proxies import merged
from timeouts import TIMEOUT_SECONDS
from wire import connected, post

from ostiary_core.contract.access import SubjectConfig
from ostiary_core.contract.documents import PolicyDocument
from ostiary_core.contract.server_selection import ListCacheConfig
from ostiary_gateway.pipeline.lists.raw_list_cache import RAW_LISTS

CACHED: dict[str, Any] = {"list_cache": ListCacheConfig(ttl=600_000, stale_if_error=600_000)}
AGENT, OTHER = bearer(AGENT_KEY), bearer(OTHER_KEY)
KEYS = keyed(api_key(AGENT_KEY, "default/agent"), api_key(OTHER_KEY, "default/other"))
LIST = modern("tools/list")
HEADERS = {**AGENT, **modern_headers(LIST)}


@pytest.fixture
async def crm() -> AsyncIterator[ListingServer]:
    async with listing_server("get", "delete") as server:
        server.hints = {"cacheScope": "public"}
        yield server


@pytest.fixture
async def wiki() -> AsyncIterator[ListingServer]:
    async with listing_server("search") as server:
        server.hints = {"cacheScope": "public"}
        yield server


@pytest.fixture(autouse=True)
async def proxy(gateway: RunningGateway, crm: ListingServer, wiki: ListingServer) -> None:
    policies = [KEYS, governed("a", "default/agent", "*"), governed("o", "default/other", "*_get", "wiki_*")]
    await gateway.apply(merged(gateway, {"crm": crm.url, "wiki": wiki.url}, policies, **CACHED))


def governed(name: str, consumer: str, *names: str) -> PolicyDocument:
    rule = {"name": "read", "effect": "Allow", "tools": {"names": list(names)}}
    return policy(name, rule).model_copy(update={"subjects": [SubjectConfig(consumers=[consumer])]})


async def names(caller: McpCaller, credential: dict[str, str], **params: Any) -> list[str]:
    reply = await caller.post(modern("tools/list", params), credential)
    assert reply.result["cacheScope"] == "private"
    return [tool["name"] for tool in reply.result["tools"]]


async def test_callers_share_what_servers_list_and_each_sees_its_own(
    caller: McpCaller, crm: ListingServer, wiki: ListingServer
) -> None:
    for _ in range(2):
        assert await names(caller, AGENT) == ["crm_get", "crm_delete", "wiki_search"]
        assert await names(caller, OTHER) == ["crm_get", "wiki_search"]
    assert (crm.asked(), wiki.asked()) == (1, 1)


async def test_a_private_list_of_one_server_is_asked_for_each_caller(
    caller: McpCaller, crm: ListingServer, wiki: ListingServer
) -> None:
    crm.hints = {"cacheScope": "private"}
    assert await names(caller, AGENT) == ["crm_get", "crm_delete", "wiki_search"]
    crm.lists("tools/list", "get", "of_other")
    assert await names(caller, OTHER) == ["crm_get", "wiki_search"]
    for _ in range(2):
        assert await names(caller, AGENT) == ["crm_get", "crm_delete", "wiki_search"]
    assert (crm.asked(), wiki.asked()) == (2, 1)


async def test_a_list_that_changed_is_old_at_once(
    gateway: RunningGateway, caller: McpCaller, crm: ListingServer, wiki: ListingServer
) -> None:
    await names(caller, AGENT)
    crm.lists("tools/list", "new")
    assert await names(caller, AGENT) == ["crm_get", "crm_delete", "wiki_search"]
    snapshot = gateway.app.store.snapshot
    assert snapshot is not None

    RAW_LISTS.changed(snapshot.proxies["default/mock"].servers[0], "tools/list")

    assert await names(caller, AGENT) == ["crm_new", "wiki_search"]
    assert (crm.asked(), wiki.asked()) == (2, 1)


async def test_a_kept_list_has_the_id_of_its_request(caller: McpCaller) -> None:
    for identifier in (1, "1", 'with "quotes"', -5):
        reply = await caller.post(modern("tools/list", id=identifier), AGENT)
        assert reply.json["id"] == identifier


async def test_a_kept_list_is_not_for_a_session_that_has_ended(
    caller: McpCaller, crm: ListingServer, wiki: ListingServer
) -> None:
    crm.revision = wiki.revision = "2025-11-25"
    params = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}
    opened = await caller.post(legacy("initialize", params), AGENT)
    session = {**AGENT, "Mcp-Session-Id": opened.headers["Mcp-Session-Id"]}
    for _ in range(2):
        assert len((await caller.post(legacy("tools/list", {}), session)).result["tools"]) == 3
    assert (await caller.request("DELETE", session)).status < 300

    assert (await caller.post(legacy("tools/list", {}), session)).status == 404


async def test_a_cursor_of_another_caller_is_none(caller: McpCaller, crm: ListingServer) -> None:
    crm.lists("tools/list", *(f"t{i}" for i in range(1500)))
    cursor = (await caller.post(LIST, AGENT)).result["nextCursor"]

    assert (await caller.post(modern("tools/list", {"cursor": cursor}), OTHER)).error["code"] == -32602
    assert len(await names(caller, AGENT, cursor=cursor)) == 501
    assert len(await names(caller, AGENT)) == 1000
    assert crm.asked() == 1


async def test_a_server_that_comes_back_is_shown_again(
    caller: McpCaller, crm: ListingServer, wiki: ListingServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    crm.status = 503
    assert await names(caller, AGENT) == ["wiki_search"]
    crm.status = 200
    monkeypatch.setattr(RAW_LISTS, "_clock", lambda clock=RAW_LISTS._clock: clock() + 5)  # it is not asked at once
    assert await names(caller, AGENT) == ["crm_get", "crm_delete", "wiki_search"]


async def test_many_callers_at_once_ask_each_server_once(
    caller: McpCaller, crm: ListingServer, wiki: ListingServer
) -> None:
    crm.gate = asyncio.Event()
    asking = [asyncio.create_task(names(caller, each)) for each in [AGENT, OTHER] * 10]
    await crm.upstream.first("tools/list")
    crm.gate.set()
    assert await asyncio.gather(*asking) == [["crm_get", "crm_delete", "wiki_search"], ["crm_get", "wiki_search"]] * 10
    assert (crm.asked(), wiki.asked()) == (1, 1)


async def test_a_caller_that_leaves_hands_its_question_to_the_next_one(
    gateway: RunningGateway, caller: McpCaller, crm: ListingServer, wiki: ListingServer
) -> None:
    crm.gate = asyncio.Event()
    body = json.dumps(LIST).encode()
    async with connected(gateway.app.port) as leaving:
        await leaving.send(post("/mock/mcp", body, *(f"{name}: {value}" for name, value in HEADERS.items())))
        first = await crm.upstream.first("tools/list")
    asking = asyncio.create_task(names(caller, AGENT))
    async with asyncio.timeout(TIMEOUT_SECONDS):
        await first.gone.wait()
    crm.gate.set()
    assert await asking == ["crm_get", "crm_delete", "wiki_search"]
    assert wiki.asked() == 1


async def test_a_quota_hides_a_tool_of_a_kept_list_from_the_caller_that_used_it_up(
    gateway: RunningGateway, caller: McpCaller, crm: ListingServer, wiki: ListingServer
) -> None:
    once = limiting(limit_config(tools={"names": ["crm_get"]}, requests=1, window=3_600_000, whenExhausted="Hide"))
    await gateway.apply(merged(gateway, {"crm": crm.url, "wiki": wiki.url}, [KEYS, once], **CACHED))
    crm.results["tools/call"] = {"content": []}
    assert await names(caller, AGENT) == await names(caller, OTHER) == ["crm_get", "crm_delete", "wiki_search"]

    await caller.post(modern("tools/call", {"name": "crm_get", "arguments": {}}), AGENT)

    assert await names(caller, AGENT) == ["crm_delete", "wiki_search"]
    assert await names(caller, OTHER) == ["crm_get", "crm_delete", "wiki_search"]
    assert (crm.asked(), wiki.asked()) == (1, 1)
