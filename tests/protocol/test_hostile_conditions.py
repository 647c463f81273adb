"""Conditions of rules that cost much to judge: one message of one tenant must not delay the requests of others."""

from typing import Any

import pytest
from aiohttp import ClientSession
from gateways import RunningGateway, policy
from mcp_caller import McpCaller, modern
from slow_callbacks import slow_callbacks
from upstreams import Upstream

from ostiary_gateway.process import tune_collector

#: Without a limit for all conditions together, some of these messages take 2 to 4 seconds.
HELD_SECONDS = 0.3
SELECTS = {"tools": {"names": ["get_users"]}}


def rules(number: int, **condition: Any) -> list[dict[str, Any]]:
    return [{"name": f"r{each}", "effect": "Allow", **SELECTS, **condition} for each in range(number)]


EXPRESSION = " && ".join(["args == args"] * 200) + " && args.a[0] == 2"
CONSTRAINTS = [{"path": [f"b{number}"], "const": 1} for number in range(16)]
COSTLY = {
    "an expression that reads all arguments 200 times": (
        rules(7, when=EXPRESSION),
        {"a": [1] * 60_000},
    ),
    "a thousand constraints on one of very many members": (
        rules(50, arguments=CONSTRAINTS),
        {f"m{number}": 1 for number in range(40_000)},
    ),
}


@pytest.mark.parametrize("case", COSTLY)
async def test_large_arguments_for_a_policy_of_many_conditions_delay_no_other_request(
    gateway: RunningGateway, caller: McpCaller, upstream: Upstream, case: str
) -> None:
    costly, arguments = COSTLY[case]
    tune_collector()
    await gateway.apply(gateway.entry("mock", upstream.url, [policy("costly", *costly)]))

    with slow_callbacks() as slow:
        reply = await caller.post(modern("tools/call", {"name": "get_users", "arguments": arguments}))

    assert slow.longest < HELD_SECONDS, slow.callback
    assert reply.json["result"]["isError"] is True
    assert upstream.arrived == []


def many_rules(number: int) -> list[dict[str, Any]]:
    return [
        {
            "name": f"r{each}",
            "effect": "Deny",
            "resources": {"names": [f"file:///{each}/*"]},
            "tools": {"names": [f"t{each}_*"]},
        }
        for each in range(number)
    ] + [{"name": "all", "effect": "Allow"}]


URIS = [f"x://{number}" for number in range(1_000)]


async def test_a_listen_to_many_resources_is_judged_in_slices(
    gateway: RunningGateway, caller: McpCaller, upstream: Upstream
) -> None:
    policies = [policy(f"p{number}", *many_rules(250)) for number in range(4)]
    await gateway.apply(gateway.entry("mock", upstream.url, policies))
    message = modern("subscriptions/listen", {"notifications": {"resourceSubscriptions": URIS}})

    with slow_callbacks() as slow:
        reply = await caller.post(message)

    assert reply.status == 200
    assert [each.method for each in upstream.arrived] == ["subscriptions/listen"]
    assert slow.longest < HELD_SECONDS, slow.callback


async def test_a_caller_that_asks_about_many_names_delays_no_other_request(
    gateway: RunningGateway, upstream: Upstream
) -> None:
    policies = [policy(f"p{number}", *many_rules(250)) for number in range(4)]
    await gateway.apply(gateway.entry("mock", upstream.url, policies))
    names = {"tools": [f"n{number}" for number in range(800)]}

    async with ClientSession() as http:
        with slow_callbacks() as slow:
            async with http.post(f"{gateway.url()}/whoami", json=names) as response:
                found = await response.json()

    assert len(found["access"]["tools"]) == 800
    assert slow.longest < HELD_SECONDS, slow.callback
