"""What an endpoint of several servers tells of itself never depends on one of them."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from gateways import RunningGateway, policy
from listing_servers import ListingServer, listing_server
from mcp_caller import McpCaller, modern
from merged_proxies import merged

from ostiary_core.contract.server_selection import InstructionsConfig, ListCacheConfig
from ostiary_core.version import __version__

CHANGES = {"listChanged": True}


@pytest.fixture
async def crm() -> AsyncIterator[ListingServer]:
    async with listing_server("get") as server:
        server.about = {"capabilities": {"tools": {}, "logging": {}}, "instructions": "Get first."}
        yield server


@pytest.fixture
async def wiki() -> AsyncIterator[ListingServer]:
    async with listing_server("search") as server:
        server.about = {"capabilities": {"resources": {"subscribe": True}}, "instructions": "Search first."}
        yield server


async def discovered(
    gateway: RunningGateway, caller: McpCaller, crm: ListingServer, wiki: ListingServer, *policies: Any, **more: Any
) -> dict[str, Any]:
    await gateway.apply(merged(gateway, {"crm": crm.url, "wiki": wiki.url}, policies, **more))
    return (await caller.post(modern("server/discover"))).result


async def test_the_gateway_tells_what_its_servers_can_do_together(
    gateway: RunningGateway, caller: McpCaller, crm: ListingServer, wiki: ListingServer
) -> None:
    assert await discovered(gateway, caller, crm, wiki) == {
        "resultType": "complete",
        "supportedVersions": ["2026-07-28"],
        "capabilities": {"tools": CHANGES, "resources": {**CHANGES, "subscribe": True}, "logging": {}},
        "instructions": (
            "# crm (its tools and prompts have the prefix crm_)\nGet first.\n\n"
            "# wiki (its tools and prompts have the prefix wiki_)\nSearch first."
        ),
        "ttlMs": 0,
        "cacheScope": "private",
        "_meta": {
            "io.modelcontextprotocol/serverInfo": {"name": "ostiary", "title": "Ostiary", "version": __version__}
        },
    }


async def test_servers_of_sessions_tell_of_themselves_in_their_handshake(
    gateway: RunningGateway, caller: McpCaller, crm: ListingServer, wiki: ListingServer
) -> None:
    crm.revision = "2025-11-25"
    result = await discovered(gateway, caller, crm, wiki)
    assert result["capabilities"].keys() == {"tools", "resources", "logging"}
    assert "Get first." in result["instructions"]


@pytest.mark.parametrize("missing", [("crm",), ("crm", "wiki")])
async def test_a_server_that_fails_may_offer_anything(
    gateway: RunningGateway, caller: McpCaller, crm: ListingServer, wiki: ListingServer, missing: tuple[str, ...]
) -> None:
    crm.status = 503
    wiki.status = 503 if "wiki" in missing else 200
    result = await discovered(gateway, caller, crm, wiki)
    assert result["capabilities"].keys() == {"tools", "resources", "prompts"}
    assert "Get first." not in result.get("instructions", "")


async def test_a_caller_hears_nothing_of_servers_that_it_must_not_see(
    gateway: RunningGateway, caller: McpCaller, crm: ListingServer, wiki: ListingServer
) -> None:
    only_crm = policy("crm", {"name": "crm", "effect": "Allow", "tools": {"names": ["crm_*"]}})
    await discovered(gateway, caller, crm, wiki, only_crm)
    await caller.post(modern("tools/list"))
    result = await discovered(gateway, caller, crm, wiki, only_crm)
    assert result["capabilities"] == {"tools": CHANGES, "logging": {}}
    assert result["instructions"].startswith("# crm ")
    assert "wiki" not in result["instructions"]
    assert wiki.upstream.arrived == []


@pytest.mark.parametrize(
    ("instructions", "told"),
    [(InstructionsConfig(mode="Replace", text="Ours."), "Ours."), (InstructionsConfig(mode="None"), None)],
)
async def test_instructions_can_be_ours_or_none(
    gateway: RunningGateway,
    caller: McpCaller,
    crm: ListingServer,
    wiki: ListingServer,
    instructions: InstructionsConfig,
    told: str | None,
) -> None:
    result = await discovered(gateway, caller, crm, wiki, instructions=instructions)
    assert result.get("instructions") == told


async def test_what_servers_tell_is_kept(
    gateway: RunningGateway, caller: McpCaller, crm: ListingServer, wiki: ListingServer
) -> None:
    crm.about |= {"ttlMs": 60_000, "cacheScope": "public"}
    wiki.about |= {"ttlMs": 600_000, "cacheScope": "public"}
    cached = ListCacheConfig(ttl=0, stale_if_error=0)
    results = [await discovered(gateway, caller, crm, wiki, list_cache=cached) for _ in range(3)]
    assert crm.asked("server/discover") == wiki.asked("server/discover") == 1
    assert 0 < results[2]["ttlMs"] <= 60_000


async def test_a_revision_that_is_not_supported_is_refused_with_those_that_are(
    gateway: RunningGateway, caller: McpCaller, crm: ListingServer, wiki: ListingServer
) -> None:
    result = await discovered(gateway, caller, crm, wiki)
    message = modern("server/discover")
    message["params"]["_meta"]["io.modelcontextprotocol/protocolVersion"] = "2099-01-01"
    error = (await caller.post(message, {"MCP-Protocol-Version": "2099-01-01"})).error
    assert (error["code"], error["data"]["supported"]) == (-32022, result["supportedVersions"])


@pytest.mark.parametrize("hidden", ["tool3", "tool900"])
async def test_instructions_of_a_server_that_a_caller_sees_in_part_are_not_told(
    gateway: RunningGateway, caller: McpCaller, crm: ListingServer, wiki: ListingServer, hidden: str
) -> None:
    crm.lists("tools/list", *(f"tool{i}" for i in range(1000 if hidden == "tool900" else 5)))
    but_one = policy("but-one", {"name": "one", "effect": "Deny", "tools": {"names": [f"crm_{hidden}"]}})
    await discovered(gateway, caller, crm, wiki, but_one)
    await caller.post(modern("tools/list"))
    assert "Get first." not in (await discovered(gateway, caller, crm, wiki, but_one))["instructions"]
