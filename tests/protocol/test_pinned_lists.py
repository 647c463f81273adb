"""A lock where servers answer callers and replicas differently, where lists are long or cached, and behind routes."""

from collections.abc import Mapping
from typing import Any

import pytest
from gateways import LONG_TIMEOUTS, LOOPBACK, RunningGateway, policy, running_gateway
from mcp_caller import McpCaller, legacy, mcp_caller, modern
from pinned_calculator import ADD, CYRILLIC, POISONED, Calculator, called, is_refused, lock, pinned, tools
from upstreams import serving

from ostiary_core.contract.authentication import AuthenticationConfig
from ostiary_core.contract.documents import ServerConfig
from ostiary_core.contract.server_selection import ListCacheConfig, RoutingRuleConfig

CACHED: dict[str, Any] = {"list_cache": ListCacheConfig(ttl=600_000, stale_if_error=0)}
THEIR_OWN = policy("relay").model_copy(
    update={"access": None, "authentication": AuthenticationConfig(passthrough=True)}
)
ANN, BOB = {"Authorization": "Bearer ann"}, {"Authorization": "Bearer bob"}
INVISIBLE = ADD | {"description": "Adds two\u200b numbers."}


async def listed(caller: McpCaller, era: Any, more: Mapping[str, str | None] | None = None) -> list[str]:
    reply = (await caller.post(era("tools/list", {}), more)).messages[-1]
    return [tool["name"] for tool in reply["result"]["tools"]]


@pytest.mark.parametrize("era", [legacy, modern])
@pytest.mark.parametrize("as_event", [False, True])
async def test_one_invisible_character_is_a_change(gateway: RunningGateway, era: Any, as_event: bool) -> None:
    calculator = Calculator(as_event=as_event)
    calculator.tools = [INVISIBLE, CYRILLIC]
    async with serving(calculator.script) as upstream, mcp_caller(gateway.url()) as caller:
        await gateway.apply(gateway.entry("mock", upstream.url, definitions=pinned(lock(ADD))))
        assert await listed(caller, era) == []
        reply = (await caller.post(era("tools/call", {"name": "add", "arguments": {}}))).messages[-1]
        assert is_refused(reply)
        assert calculator.calls == 0


async def test_what_a_server_shows_one_principal_does_not_vouch_for_another(gateway: RunningGateway) -> None:
    calculator = Calculator()
    calculator.by_authorization["Bearer bob"] = [POISONED]
    async with serving(calculator.script) as upstream, mcp_caller(gateway.url()) as caller:
        await gateway.apply(gateway.entry("mock", upstream.url, [THEIR_OWN], definitions=pinned(lock(ADD))))
        call = legacy("tools/call", {"name": "add", "arguments": {}})
        for _ in range(2):
            assert await listed(caller, legacy, ANN) == ["add"]
            assert await listed(caller, legacy, BOB) == []
            assert not is_refused((await caller.post(call, ANN)).messages[-1])
            assert is_refused((await caller.post(call, BOB)).messages[-1])
        assert calculator.calls == 2


async def test_each_replica_compares_what_it_was_shown_itself(gateway: RunningGateway) -> None:
    calculator = Calculator()
    async with running_gateway() as second, serving(calculator.script) as upstream:
        for each in (gateway, second):
            await each.apply(each.entry("mock", upstream.url, definitions=pinned(lock(ADD))))
        async with mcp_caller(gateway.url()) as first_caller, mcp_caller(second.url()) as second_caller:
            assert await tools(first_caller) == ["add"]
            calculator.tools = [POISONED]
            assert await tools(second_caller) == []
            assert is_refused(await called(second_caller))
            assert calculator.calls == 0
            assert await tools(first_caller) == []
            assert is_refused(await called(first_caller))
            assert calculator.calls == 0


@pytest.mark.parametrize("as_event", [False, True])
async def test_of_ten_thousand_tools_only_the_approved_ones_are_shown(gateway: RunningGateway, as_event: bool) -> None:
    small = {"description": "Adds.", "inputSchema": {"type": "object"}}
    known = [{"name": f"t{number}", **small} for number in range(10_000)]
    calculator = Calculator(as_event=as_event)
    calculator.tools = [*known[:9_998], known[9_998] | {"description": "Reads files."}, {"name": "new", **small}]
    async with serving(calculator.script) as upstream, mcp_caller(gateway.url()) as caller:
        await gateway.apply(gateway.entry("mock", upstream.url, definitions=pinned(lock(*known))))
        shown = await tools(caller)
        assert (len(shown), shown[0], shown[-1]) == (9_998, "t0", "t9997")
        assert not is_refused(await called(caller, "t9997"))
        assert is_refused(await called(caller, "t9998"))
        assert calculator.calls == 1


@pytest.mark.parametrize("era", [legacy, modern])
async def test_the_lock_of_the_server_that_a_route_chooses_holds(gateway: RunningGateway, era: Any) -> None:
    europe, america = Calculator(), Calculator()
    america.tools = [POISONED]
    async with serving(europe.script) as first, serving(america.script) as second, mcp_caller(gateway.url()) as caller:
        servers = [
            ServerConfig(name=name, url=url, timeouts=LONG_TIMEOUTS, addresses=LOOPBACK)
            for name, url in (("eu", first.url), ("us", second.url))
        ]
        routes = [
            RoutingRuleConfig(name=name, when=f'headers["x-site"] == "{name}"', servers=[name]) for name in ("eu", "us")
        ]
        definitions = pinned(lock(ADD, server="eu"), lock(ADD, server="us"))
        more: dict[str, Any] = {"server_selection": "Route", "routing": routes, "definitions": definitions}
        await gateway.apply(gateway.entry("mock", "", servers=servers, **more))
        call = era("tools/call", {"name": "add", "arguments": {}})
        for _ in range(2):
            assert await listed(caller, era, {"X-Site": "eu"}) == ["add"]
            assert await listed(caller, era, {"X-Site": "us"}) == []
            assert not is_refused((await caller.post(call, {"X-Site": "eu"})).messages[-1])
            assert is_refused((await caller.post(call, {"X-Site": "us"})).messages[-1])
        assert (europe.calls, america.calls) == (2, 0)


async def test_a_list_from_a_cache_is_compared_with_the_lock_of_now(gateway: RunningGateway) -> None:
    calculator = Calculator()
    async with serving(calculator.script) as upstream, mcp_caller(gateway.url()) as caller:
        await gateway.apply(gateway.entry("mock", upstream.url, definitions=pinned(lock(ADD)), **CACHED))
        for _ in range(2):
            assert await tools(caller) == ["add"]
        assert calculator.lists == 1
        await gateway.apply(gateway.entry("mock", upstream.url, definitions=pinned(lock(POISONED)), **CACHED))
        assert await tools(caller) == []


async def test_a_list_from_a_cache_vouches_for_no_call(gateway: RunningGateway) -> None:
    calculator = Calculator()
    async with serving(calculator.script) as upstream, mcp_caller(gateway.url()) as caller:
        await gateway.apply(gateway.entry("mock", upstream.url, definitions=pinned(lock(ADD), recheck=1), **CACHED))
        assert await tools(caller) == ["add"]
        calculator.tools = [POISONED]
        assert await tools(caller) == ["add"]
        assert calculator.lists == 1
        replies = [await called(caller)]
        while not is_refused(replies[-1]):
            replies.append(await called(caller))
        assert calculator.lists > 1
