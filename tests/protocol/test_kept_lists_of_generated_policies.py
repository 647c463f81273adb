"""A kept list is, byte for byte, the one that would be fetched and filtered now: for ten thousand policies."""

import asyncio
import json
import random
from contextlib import AsyncExitStack
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from gateways import LONG_TIMEOUTS, LOOPBACK, policy, running_gateway
from own_requests import exchange_of, request_with, result, span_of
from scripted_server import read_request, scripted
from visibilities import visibility_of

from ostiary_core.contract.documents import ServerConfig
from ostiary_core.contract.server_selection import ListCacheConfig
from ostiary_core.mcp.methods import METHODS
from ostiary_core.mcp.protocol_revisions import LEGACY, MODERN
from ostiary_core.policy.principal import Principal
from ostiary_gateway.pipeline.lists.page_template import template_of
from ostiary_gateway.pipeline.lists.rendered_pages import RENDERED_PAGES
from ostiary_gateway.pipeline.merged.merged_lists import list_all
from ostiary_gateway.pipeline.message import Message

#: Ten thousand policies in parts, which run at the same time.
PARTS, POLICIES_EACH = 10, 1_000
KEPT = ListCacheConfig(ttl=600_000, stale_if_error=0)
WORDS = ("get", "list", "delete", "user", "ticket", "crm", "all")
LISTED = [f"{verb}_{noun}" for verb in WORDS[:3] for noun in WORDS[3:5]] + ["crm_get_user"]
CALLER = Principal(id="token:x", method="jwt", groups=frozenset({"support"}), claims={"region": "eu"})
CONDITIONS = (None, None, '"support" in groups', 'claims.region == "us"', "claims.nothing == 1", "args.amount < 5")
PREFIXES = {"crm": "crm_", "all": ""}


def rule(chance: random.Random, number: int) -> dict[str, Any]:
    """A rule with names of either form, patterns, verbs, conditions and constraints."""
    tools: dict[str, Any] = {}
    if chance.random() < 0.8:
        names = [f"{chance.choice(('', 'crm_'))}{chance.choice(WORDS)}{chance.choice(('*', '_*', '_user'))}"]
        tools["names"] = names + (["*" + chance.choice(WORDS)] if chance.random() < 0.3 else [])
    elif chance.random() < 0.5:
        tools["patterns"] = [f"^(crm_)?{chance.choice(WORDS)}_"]
    if chance.random() < 0.3:
        tools["verbs"] = [chance.choice(("List", "Call"))]
    made: dict[str, Any] = {"name": f"r{number}", "effect": chance.choice(("Allow", "Allow", "Deny")), "tools": tools}
    condition = chance.choice(CONDITIONS)
    if condition is not None:
        made["when"] = condition
    if made["effect"] == "Allow" and "verbs" not in tools and chance.random() < 0.2:
        made["arguments"] = [{"path": ["amount"], "maximum": chance.randrange(100)}]
    return made


async def server(name: str, stack: AsyncExitStack) -> ServerConfig:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            message = json.loads((await read_request(reader))[1])
            schema = {"type": "object", "properties": {"amount": {"type": "number"}}}
            tools = [{"name": each, "inputSchema": schema, "x": name} for each in LISTED]
            writer.write(result(message, tools=tools, resultType="complete", ttlMs=600_000, cacheScope="public"))
            await writer.drain()

    port = await stack.enter_async_context(scripted(script))
    return ServerConfig(
        name=name,
        prefix=PREFIXES[name],
        url=f"http://127.0.0.1:{port}/mcp",
        timeouts=LONG_TIMEOUTS,
        addresses=LOOPBACK,
        protocol_version="2026-07-28",
    )


@pytest.mark.parametrize("part", range(PARTS))
async def test_kept_lists_are_those_that_would_be_made_now(part: int) -> None:
    chance = random.Random(part)  # noqa: S311  not security relevant
    different = []
    async with AsyncExitStack() as stack:
        servers = [await server(name, stack) for name in PREFIXES]
        gateway = await stack.enter_async_context(running_gateway())
        await gateway.apply(gateway.entry("mock", servers[0].url, servers=servers, server_selection="Merge"))
        snapshot = gateway.app.store.snapshot
        assert snapshot is not None
        proxy = snapshot.proxies["default/mock"]
        assert proxy.merge is not None

        async def listed(visibility: Any, cache: ListCacheConfig | None, *, modern: bool) -> bytes:
            of_proxy = replace(proxy, visibility=visibility, list_cache=cache)
            request = request_with()
            request.connection = SimpleNamespace(lost=False, bound=None)
            exchange = exchange_of(request, snapshot, of_proxy)
            exchange.principal, exchange.request_id = CALLER, 1
            era, revision = (MODERN, "2026-07-28") if modern else (LEGACY, "2025-11-25")
            exchange.message = Message({"params": {}}, era, revision, METHODS["tools/list"], 1)
            response = await list_all(exchange, span_of(), gateway.app.pipeline.services)
            template = template_of(response.body)
            assert template is not None
            return template.filled(b"1", 0)  # all but the time that is left

        seen, rendered = set(), 0
        for number in range(POLICIES_EACH):
            rules = [rule(chance, each) for each in range(chance.randrange(1, 5))]
            rules += [{"name": "all", "effect": "Allow"}] if chance.random() < 0.5 else []  # else most lists are empty
            once, twice = (visibility_of(policy("p", *rules), names=proxy.merge.catalogue) for _ in range(2))
            is_modern = number % 2 == 0
            fresh = await listed(once, None, modern=is_modern)
            kept = [await listed(twice, KEPT, modern=is_modern) for _ in range(2)]
            seen.add(fresh)
            rendered += len(RENDERED_PAGES.of(twice.for_principal(CALLER)).entries)
            if kept != [fresh, fresh]:
                different.append((rules, fresh, kept))
        assert different == []
        assert len(seen) > 100
        assert rendered > POLICIES_EACH // 4  # all but the empty ones
