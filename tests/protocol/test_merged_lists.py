"""Lists of a proxy that merges servers: one catalogue, cut to the rights of its caller, whole or honest about it."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from gateways import RunningGateway, policy
from listing_servers import KEYS, ListingServer, listing_server
from mcp_caller import McpCaller, Reply, legacy, modern
from merged_proxies import merged

from ostiary_core.contract.server_selection import ListCacheConfig
from ostiary_core.version import __version__
from ostiary_gateway.pipeline.merged import server_lists
from ostiary_gateway.telemetry.server_listings import LISTINGS

CACHED = ListCacheConfig(ttl=600_000, stale_if_error=600_000)
UNAVAILABLE = "dev.ostiary/unavailable"
EMPTY = "dev.ostiary/empty"
INITIALIZE = {
    "protocolVersion": "2025-11-25",
    "capabilities": {},
    "clientInfo": {"name": "test", "version": "1"},
}


@pytest.fixture
async def crm() -> AsyncIterator[ListingServer]:
    async with listing_server("get", "delete") as server:
        yield server


@pytest.fixture
async def wiki() -> AsyncIterator[ListingServer]:
    async with listing_server("search") as server:
        yield server


@pytest.fixture(autouse=True)
async def proxy(gateway: RunningGateway, crm: ListingServer, wiki: ListingServer) -> None:
    await gateway.apply(merged(gateway, {"crm": crm.url, "wiki": wiki.url}))


async def reply_to(caller: McpCaller, method: str = "tools/list", **params: Any) -> Reply:
    return await caller.post(modern(method, params))


async def names(caller: McpCaller, method: str = "tools/list", **params: Any) -> list[str]:
    list_key, item_key = KEYS[method]
    return [item[item_key] for item in (await reply_to(caller, method, **params)).result[list_key]]


async def test_one_list_has_the_items_of_all_servers_in_the_order_of_the_spec(caller: McpCaller) -> None:
    result = (await reply_to(caller)).result

    assert [tool["name"] for tool in result["tools"]] == ["crm_get", "crm_delete", "wiki_search"]
    assert result["resultType"] == "complete"
    assert result["_meta"] == {
        "io.modelcontextprotocol/serverInfo": {"name": "ostiary", "title": "Ostiary", "version": __version__}
    }
    assert "nextCursor" not in result


@pytest.mark.parametrize(
    ("method", "own", "exposed"),
    [
        ("prompts/list", "greet", "crm_greet"),
        ("resources/list", "ui://a", "ui://crm/a"),
        ("resources/templates/list", "file:///{path}", "file://crm//{path}"),
    ],
)
async def test_each_kind_of_list_is_merged(
    caller: McpCaller, crm: ListingServer, method: str, own: str, exposed: str
) -> None:
    crm.lists(method, own)
    assert await names(caller, method) == [exposed]  # the other server has no such method, and so no such item


async def test_a_caller_sees_what_its_policy_shows_and_no_server_is_asked_for_nothing(
    gateway: RunningGateway, caller: McpCaller, crm: ListingServer, wiki: ListingServer
) -> None:
    only_get = policy("get", {"name": "get", "effect": "Allow", "tools": {"names": ["crm_get"]}})
    await gateway.apply(merged(gateway, {"crm": crm.url, "wiki": wiki.url}, [only_get]))

    result = (await reply_to(caller)).result

    assert [tool["name"] for tool in result["tools"]] == ["crm_get"]
    assert result["cacheScope"] == "private"
    assert (crm.asked(), wiki.asked()) == (1, 0)


async def test_a_deny_of_a_servers_own_name_hides_it_at_every_server(
    gateway: RunningGateway, caller: McpCaller, crm: ListingServer, wiki: ListingServer
) -> None:
    wiki.lists("tools/list", "search", "delete")
    no_delete = policy("deny", {"name": "deny", "effect": "Deny", "tools": {"names": ["delete"]}})
    await gateway.apply(merged(gateway, {"crm": crm.url, "wiki": wiki.url}, [no_delete]))

    assert await names(caller) == ["crm_get", "wiki_search"]


async def test_items_in_the_space_of_another_server_are_dropped_and_counted(
    gateway: RunningGateway, caller: McpCaller, crm: ListingServer, wiki: ListingServer
) -> None:
    wiki.lists("tools/list", "search", "crm_get", "search", "x" * 200)
    await gateway.apply(merged(gateway, {"crm": crm.url, "wiki": wiki.url}, prefixes={"wiki": ""}))

    assert await names(caller) == ["crm_get", "crm_delete", "search"]
    snapshot = gateway.app.store.snapshot
    assert snapshot is not None
    listing = LISTINGS.of(snapshot.proxies["default/mock"].servers[1])
    assert listing is not None
    assert listing.shown == {"tools/list": 1}
    assert listing.drops == {"Foreign": 1, "Duplicate": 1, "TooLong": 1}


# Pages


async def test_all_pages_of_a_server_are_read_whatever_they_hold(caller: McpCaller, crm: ListingServer) -> None:
    crm.pages = {
        None: {"tools": [{"name": "a"}], "nextCursor": ""},
        "": {"tools": [], "nextCursor": "2"},
        "2": {"tools": [{"name": "b"}]},
    }
    assert await names(caller) == ["crm_a", "crm_b", "wiki_search"]


async def test_a_long_list_comes_in_pages_of_a_thousand(caller: McpCaller, crm: ListingServer) -> None:
    crm.lists("tools/list", *(f"t{i}" for i in range(2500)))

    first = (await reply_to(caller)).result
    second = (await reply_to(caller, cursor=first["nextCursor"])).result
    third = (await reply_to(caller, cursor=second["nextCursor"])).result

    pages = [[tool["name"] for tool in page["tools"]] for page in (first, second, third)]
    assert [len(page) for page in pages] == [1000, 1000, 501]
    assert [name for page in pages for name in page] == [*(f"crm_t{i}" for i in range(2500)), "wiki_search"]
    assert "nextCursor" not in third


async def test_a_cursor_of_a_list_that_changed_is_refused(caller: McpCaller, crm: ListingServer) -> None:
    crm.lists("tools/list", *(f"t{i}" for i in range(1500)))
    cursor = (await reply_to(caller)).result["nextCursor"]
    crm.lists("tools/list", *(f"u{i}" for i in range(1500)))

    assert (await reply_to(caller, cursor=cursor)).error["code"] == -32602


async def test_a_cursor_belongs_to_one_list_and_is_made_here(caller: McpCaller, crm: ListingServer) -> None:
    crm.lists("tools/list", *(f"t{i}" for i in range(1500)))
    crm.lists("prompts/list", *(f"t{i}" for i in range(1500)))
    cursor = (await reply_to(caller)).result["nextCursor"]

    assert (await reply_to(caller, "prompts/list", cursor=cursor)).error["code"] == -32602
    for foreign in ("", "1000", cursor[:-1], f"{cursor}A", 5):
        assert (await reply_to(caller, cursor=foreign)).error["code"] == -32602
    assert len(await names(caller, cursor=cursor)) == 501


# Servers that fail


async def test_a_server_that_fails_is_named_and_takes_no_other_with_it(
    caller: McpCaller, crm: ListingServer, wiki: ListingServer
) -> None:
    crm.status = 503
    result = (await reply_to(caller)).result

    assert [tool["name"] for tool in result["tools"]] == ["wiki_search"]
    assert result["_meta"][UNAVAILABLE] == [{"prefix": "crm_", "reason": "UpstreamUnavailable"}]
    assert result["ttlMs"] == 0


async def test_a_server_that_is_silent_is_waited_for_no_longer_than_a_fan_out_takes(
    gateway: RunningGateway, caller: McpCaller, crm: ListingServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server_lists, "SECONDS", 0.2)
    crm.gate = asyncio.Event()

    result = (await reply_to(caller)).result

    assert [tool["name"] for tool in result["tools"]] == ["wiki_search"]
    assert result["_meta"][UNAVAILABLE] == [{"prefix": "crm_", "reason": "UpstreamTimeout"}]
    health = gateway.app.store.snapshot.proxies["default/mock"].servers[0].health  # type: ignore[union-attr]
    assert health.counts["UpstreamTimeout"] == 1
    crm.gate.set()


async def test_servers_are_asked_at_the_same_time(caller: McpCaller, crm: ListingServer, wiki: ListingServer) -> None:
    crm.gate = wiki.gate = asyncio.Event()
    asking = asyncio.create_task(names(caller))
    await crm.upstream.first("tools/list")
    await wiki.upstream.first("tools/list")  # although the other one has not answered
    crm.gate.set()
    assert len(await asking) == 3


@pytest.mark.parametrize("more", [{}, {"on_server_failure": "Refuse"}])
async def test_a_list_without_any_server_is_refused_and_never_empty(
    gateway: RunningGateway, caller: McpCaller, crm: ListingServer, wiki: ListingServer, more: dict[str, Any]
) -> None:
    await gateway.apply(merged(gateway, {"crm": crm.url, "wiki": wiki.url}, **more))
    crm.status = wiki.status = 503

    error = (await reply_to(caller)).error

    assert (error["code"], error["data"]["reason"]) == (-31003, "UpstreamUnavailable")


async def test_a_list_without_one_server_is_refused_where_the_spec_says_so(
    gateway: RunningGateway, caller: McpCaller, crm: ListingServer, wiki: ListingServer
) -> None:
    await gateway.apply(merged(gateway, {"crm": crm.url, "wiki": wiki.url}, on_server_failure="Refuse"))
    crm.status = 500

    assert (await reply_to(caller)).error["code"] == -31003
    crm.status = 200
    assert len(await names(caller)) == 3


async def test_a_caller_that_sees_nothing_of_a_server_is_not_told_that_it_fails(
    gateway: RunningGateway, caller: McpCaller, crm: ListingServer, wiki: ListingServer
) -> None:
    only_wiki = policy("wiki", {"name": "wiki", "effect": "Allow", "tools": {"names": ["wiki_*"]}})
    servers = {"crm": crm.url, "wiki": wiki.url}
    await gateway.apply(merged(gateway, servers, [only_wiki], on_server_failure="Refuse"))
    crm.status = 503

    result = (await reply_to(caller)).result

    assert [tool["name"] for tool in result["tools"]] == ["wiki_search"]
    assert UNAVAILABLE not in result["_meta"]


async def test_a_server_without_the_method_has_no_items_and_is_well(
    gateway: RunningGateway, caller: McpCaller, crm: ListingServer, wiki: ListingServer
) -> None:
    await gateway.apply(merged(gateway, {"crm": crm.url, "wiki": wiki.url}, on_server_failure="Refuse"))
    crm.lists("prompts/list", "greet")
    result = (await reply_to(caller, "prompts/list")).result
    assert [prompt["name"] for prompt in result["prompts"]] == ["crm_greet"]
    assert UNAVAILABLE not in result["_meta"]


# Why a list is empty


async def test_an_empty_list_says_whether_servers_or_policies_made_it_so(
    gateway: RunningGateway, caller: McpCaller, crm: ListingServer, wiki: ListingServer
) -> None:
    assert (await reply_to(caller, "prompts/list")).result["_meta"][EMPTY] == "UpstreamEmpty"
    nothing = policy("nothing", {"name": "none", "effect": "Deny", "tools": {"names": ["*get", "*delete", "*search"]}})
    await gateway.apply(merged(gateway, {"crm": crm.url, "wiki": wiki.url}, [nothing]))
    assert (await reply_to(caller)).result["_meta"][EMPTY] == "FilteredToEmpty"
    await gateway.apply(merged(gateway, {"crm": crm.url, "wiki": wiki.url}, [policy("closed")]))
    assert (await reply_to(caller)).result["_meta"][EMPTY] == "FilteredToEmpty"


async def test_an_empty_list_of_which_one_server_is_missing_says_so(
    caller: McpCaller, crm: ListingServer, wiki: ListingServer
) -> None:
    crm.status = 503
    wiki.lists("tools/list")
    meta = (await reply_to(caller)).result["_meta"]
    assert (meta[EMPTY], meta[UNAVAILABLE][0]["prefix"]) == ("UpstreamUnreachable", "crm_")


# The cache


async def test_repeated_lists_ask_no_server(
    gateway: RunningGateway, caller: McpCaller, crm: ListingServer, wiki: ListingServer
) -> None:
    await gateway.apply(merged(gateway, {"crm": crm.url, "wiki": wiki.url}, list_cache=CACHED))
    crm.hints = wiki.hints = {"cacheScope": "public"}

    lists = [await reply_to(caller) for _ in range(3)]

    assert (crm.asked(), wiki.asked()) == (1, 1)
    assert [each.result["tools"] for each in lists] == [lists[0].result["tools"]] * 3
    assert 0 < lists[2].result["ttlMs"] <= 600_000
    assert lists[2].result["cacheScope"] == "public"


async def test_the_shortest_time_of_all_servers_is_that_of_the_list(
    gateway: RunningGateway, caller: McpCaller, crm: ListingServer, wiki: ListingServer
) -> None:
    await gateway.apply(merged(gateway, {"crm": crm.url, "wiki": wiki.url}, list_cache=CACHED))
    crm.hints, wiki.hints = {"ttlMs": 5_000, "cacheScope": "public"}, {"ttlMs": 90_000, "cacheScope": "private"}

    result = (await reply_to(caller)).result

    assert 0 < result["ttlMs"] <= 5_000
    assert result["cacheScope"] == "private"


async def test_a_server_that_fails_shows_its_last_list_for_a_while(
    gateway: RunningGateway, caller: McpCaller, crm: ListingServer, wiki: ListingServer
) -> None:
    stale = ListCacheConfig(ttl=0, stale_if_error=600_000)
    servers = {"crm": crm.url, "wiki": wiki.url}
    await gateway.apply(merged(gateway, servers, list_cache=stale, on_server_failure="Refuse"))
    assert len(await names(caller)) == 3
    crm.status = 503

    result = (await reply_to(caller)).result

    assert [tool["name"] for tool in result["tools"]] == ["crm_get", "crm_delete", "wiki_search"]
    assert result["_meta"][UNAVAILABLE] == [{"prefix": "crm_", "reason": "UpstreamUnavailable"}]
    assert result["ttlMs"] == 0


async def test_what_one_caller_sees_of_a_cached_list_is_not_what_another_sees(
    gateway: RunningGateway, caller: McpCaller, crm: ListingServer, wiki: ListingServer
) -> None:
    crm.hints = wiki.hints = {"cacheScope": "public"}
    await gateway.apply(merged(gateway, {"crm": crm.url, "wiki": wiki.url}, list_cache=CACHED))
    assert len(await names(caller)) == 3
    only_get = policy("get", {"name": "get", "effect": "Allow", "tools": {"names": ["*_get"]}})

    await gateway.apply(merged(gateway, {"crm": crm.url, "wiki": wiki.url}, [only_get], list_cache=CACHED))

    assert await names(caller) == ["crm_get"]
    assert (crm.asked(), wiki.asked()) == (1, 1)


# Hostile servers


@pytest.mark.parametrize(
    "pages",
    [
        {None: {"tools": [{"name": "a"}], "nextCursor": "x"}, "x": {"tools": [{"name": "b"}], "nextCursor": "x"}},
        {None: {"tools": [{"name": "a"}, {"name": "b"}], "nextCursor": 5}},
    ],
)
async def test_a_cursor_that_leads_nowhere_ends_the_list(
    caller: McpCaller, crm: ListingServer, pages: dict[str | None, dict[str, Any]]
) -> None:
    crm.pages = pages
    assert await names(caller) == ["crm_a", "crm_b", "wiki_search"]


async def test_pages_without_end_are_read_to_a_limit(caller: McpCaller, crm: ListingServer) -> None:
    cursors = {None: 0} | {str(i): i for i in range(1, 200)}
    crm.pages = {key: {"tools": [{"name": f"t{i}"}], "nextCursor": str(i + 1)} for key, i in cursors.items()}

    assert len(await names(caller)) == 64 + 1
    assert crm.asked() == 64


@pytest.mark.parametrize("page", [{}, {"tools": {}}, {"tools": ["x"]}, {"tools": [{"name": "a"}], "nextCursor": "bad"}])
async def test_a_server_whose_answer_is_no_list_is_missing(
    caller: McpCaller, crm: ListingServer, page: dict[str, Any]
) -> None:
    crm.pages = {None: page, "bad": {}}
    result = (await reply_to(caller)).result
    assert [tool["name"] for tool in result["tools"]] == ["wiki_search"]
    assert result["_meta"][UNAVAILABLE] == [{"prefix": "crm_", "reason": "UpstreamInvalidAnswer"}]


async def test_a_list_that_is_too_large_is_missing_alone(caller: McpCaller, crm: ListingServer) -> None:
    crm.lists("tools/list", "huge", description="x" * (5 << 20))
    result = (await reply_to(caller)).result
    assert [tool["name"] for tool in result["tools"]] == ["wiki_search"]
    assert result["_meta"][UNAVAILABLE] == [{"prefix": "crm_", "reason": "UpstreamAnswerTooLarge"}]


# Callers and servers of both eras


async def test_a_modern_caller_sees_a_server_of_sessions_and_each_ends(
    caller: McpCaller, crm: ListingServer, wiki: ListingServer
) -> None:
    crm.revision = "2025-11-25"

    assert await names(caller) == ["crm_get", "crm_delete", "wiki_search"]

    await crm.upstream.first("DELETE")  # an anonymous caller cannot be told from another: it keeps no session
    assert crm.asked("initialize") == 1
    sessions = {each.headers.get("Mcp-Session-Id") for each in crm.upstream.arrived if each.method == "tools/list"}
    assert sessions == {"session-0"}


async def test_a_server_whose_era_is_configured_is_not_asked_for_it(
    gateway: RunningGateway, caller: McpCaller, crm: ListingServer, wiki: ListingServer
) -> None:
    crm.revision = "2025-06-18"
    of_each = {"protocol_version": "2025-06-18"}
    await gateway.apply(merged(gateway, {"crm": crm.url}, of_each=of_each))

    assert await names(caller) == ["crm_get", "crm_delete"]
    assert crm.asked("server/discover") == 0


async def test_a_legacy_client_sees_servers_of_its_era_in_its_session(
    caller: McpCaller, crm: ListingServer, wiki: ListingServer
) -> None:
    crm.revision = wiki.revision = "2025-11-25"
    opened = await caller.post(legacy("initialize", INITIALIZE))
    session = {"Mcp-Session-Id": opened.headers["Mcp-Session-Id"]}

    result = (await caller.post(legacy("tools/list", {}), session)).result

    assert [tool["name"] for tool in result["tools"]] == ["crm_get", "crm_delete", "wiki_search"]
    assert result.keys() == {"tools"}
    crm.sessions.clear()  # the server has forgotten it, and the client never learns of it
    assert (await caller.post(legacy("tools/list", {}), session)).result == result
    crm.status = 503
    result = (await caller.post(legacy("tools/list", {}), session)).result
    assert [tool["name"] for tool in result["tools"]] == ["wiki_search"]
    assert result["_meta"] == {UNAVAILABLE: [{"prefix": "crm_", "reason": "UpstreamUnavailable"}]}
