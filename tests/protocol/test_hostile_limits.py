"""Hostile callers under limits: floods, invented names, many principals; other callers are not affected."""

import asyncio
import json
from typing import Any

import pytest
from api_keys import AGENT_KEY, OTHER_KEY, api_key, bearer, keyed
from gateways import RunningGateway
from limits import NOW, limit_config, limiting
from mcp_caller import McpCaller, legacy, mcp_caller, modern, modern_headers
from upstreams import Upstream
from wire import Wire, connected, post

from ostiary_core.contract.documents import PolicyDocument
from ostiary_core.limits.charge import CountedRequest
from ostiary_core.mcp.methods import Primitive, Verb
from ostiary_core.policy.principal import ANONYMOUS
from ostiary_gateway.policy_limits.flood_guard import MOST_REFUSALS
from ostiary_gateway.policy_limits.local_counters import LocalCounters

KEYS = keyed(api_key(AGENT_KEY, "default/a"), api_key(OTHER_KEY, "default/b"))


def call(tool: str = "get_users", **more: Any) -> dict[str, Any]:
    return modern("tools/call", {"name": tool, "arguments": {}}, **more)


def wired(key: str, *, length: int | None = None) -> bytes:
    """One call as bytes; with a ``length`` only its head, which announces so many bytes."""
    message = call()
    lines = [f"{name}: {value}" for name, value in {**modern_headers(message), **bearer(key)}.items()]
    return post("/mock/mcp", json.dumps(message).encode() if length is None else b"", *lines, length=length)


async def flood(wire: Wire) -> list[int]:
    """Send calls on one connection until it is told to wait; return the statuses."""
    statuses = []
    for _ in range(MOST_REFUSALS + 2):
        await wire.send(wired(AGENT_KEY))
        statuses.append((await wire.reply()).status)
    return statuses


@pytest.fixture
async def limited(gateway: RunningGateway, upstream: Upstream) -> PolicyDocument:
    """One call an agent."""
    policy = limiting(limit_config(per=["Consumer"], requests=1))
    await gateway.apply(gateway.entry("mock", upstream.url, [KEYS, policy]))
    return policy


@pytest.mark.usefixtures("limited")
async def test_a_flood_gets_429_before_its_body_is_read_and_other_connections_go_on(
    gateway: RunningGateway, upstream: Upstream
) -> None:
    async with connected(gateway.app.port) as wire:
        assert await flood(wire) == [200] * (MOST_REFUSALS + 1) + [429]
        await wire.send(wired(AGENT_KEY, length=500_000))
        reply = await wire.reply()
        assert (reply.status, reply.json["error"]["data"]["reason"]) == (429, "LimitFlood")
        assert 0 < int(reply.headers["retry-after"]) <= 60

    async with mcp_caller(gateway.url(), credential=bearer(AGENT_KEY)) as same:
        assert (await same.post(call())).result["isError"], "another connection of the same caller is told why"
    async with mcp_caller(gateway.url(), credential=bearer(OTHER_KEY)) as other:
        assert not (await other.post(call())).result.get("isError")
    assert upstream.count("tools/call") == 2


async def test_the_settings_say_how_many_refusals_are_a_flood(
    gateway: RunningGateway, upstream: Upstream, caller: McpCaller
) -> None:
    bounds = gateway.settings.bounds.model_copy(update={"limit_refusals": 3})
    gateway.settings = gateway.settings.model_copy(update={"bounds": bounds})
    await gateway.apply(gateway.entry("mock", upstream.url, [limiting(limit_config(requests=1))]))
    assert [(await caller.post(call(id=number))).status for number in range(5)] == [200] * 4 + [429]


@pytest.mark.usefixtures("limited")
async def test_another_caller_on_the_same_connection_goes_on(gateway: RunningGateway) -> None:
    async with connected(gateway.app.port) as wire:
        await flood(wire)
        await wire.send(wired(OTHER_KEY))
        reply = await wire.reply()
        assert (reply.status, reply.json["result"]["content"]) == (200, [])


async def test_invented_names_share_one_key_and_name_no_metric(gateway: RunningGateway, upstream: Upstream) -> None:
    limits = [limit_config("each", per=["Principal", "Tool"], requests=10), limit_config("all", requests=10**9)]
    await gateway.apply(gateway.entry("mock", upstream.url, [limiting(*limits)]))
    names = [f"{'x' * (number % 7 * 40)}-{number}" for number in range(1000)]

    async def some(part: int) -> None:
        async with mcp_caller(gateway.url()) as agent:
            for number, name in enumerate(names[part::20]):
                assert (await agent.post(call(name, id=number))).status == 200

    await asyncio.gather(*map(some, range(20)))
    assert upstream.count("tools/call") == 10
    assert gateway.app.pipeline.local_counters.keys == 2


async def test_a_hundred_thousand_invented_names_grow_nothing(gateway: RunningGateway, upstream: Upstream) -> None:
    limits = [limit_config("each", per=["Principal", "Tool"], requests=10), limit_config("claims", per=["Group"])]
    await gateway.apply(gateway.entry("mock", upstream.url, [limiting(*limits)]))
    assert gateway.app.store.snapshot is not None
    evaluator = gateway.app.store.snapshot.proxies["default/mock"].limits
    assert evaluator is not None
    store = LocalCounters()
    for number in range(100_000):
        request = CountedRequest(ANONYMOUS, Primitive.TOOLS, Verb.CALL, f"invented-{number}")
        store.take(evaluator.matched(request).charges, NOW)
    assert store.keys == 2


async def test_more_principals_than_keys_are_limited_together_and_lock_no_known_one_out(
    gateway: RunningGateway, upstream: Upstream
) -> None:
    keys = keyed(*(api_key(f"key-of-agent-number-{number}", f"default/agent-{number}") for number in range(60)))
    gateway.app.pipeline.limits.store = LocalCounters(most_keys=30)
    policy = limiting(limit_config(per=["Consumer"], requests=2))
    await gateway.apply(gateway.entry("mock", upstream.url, [keys, policy]))

    passed = []
    for number in range(60):
        async with mcp_caller(gateway.url(), credential=bearer(f"key-of-agent-number-{number}")) as agent:
            answers = [await agent.post(call()) for _ in range(3)]
            passed.append(sum(not each.result.get("isError") for each in answers))
    assert passed == [2] * 30 + [2] + [0] * 29


@pytest.mark.parametrize(
    "message",
    [
        legacy("tools/call", {"name": "x" * 100_000}),
        legacy("tools/call", {"name": "\ud800 / % ~ *"}),
        legacy("resources/read", {"uri": "a://b/../" + "%2e" * 5000}),
        legacy("completion/complete", {"ref": {"type": "ref/prompt", "name": "~other"}, "argument": {}}),
        legacy("tasks/get", {"taskId": "x"}),
        legacy("resources/unsubscribe", {"uri": "x://y"}),
    ],
)
async def test_odd_names_are_counted_or_refused_and_break_nothing(
    gateway: RunningGateway, upstream: Upstream, caller: McpCaller, message: Any
) -> None:
    limits = [limit_config("each", per=["Principal", "Tool"], requests=3), limit_config("size", requestBytes=1 << 20)]
    await gateway.apply(gateway.entry("mock", upstream.url, [limiting(*limits)]))
    await caller.initialize()
    for _ in range(5):
        reply = await caller.post(json.dumps(message).encode())
        assert reply.status in (200, 400)
    assert gateway.app.pipeline.local_counters.keys <= 2
