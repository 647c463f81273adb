"""Limits in a gateway process of its own, with counters that must be awaited, and with callers that leave."""

import asyncio
import json
from collections.abc import Awaitable, Sequence
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from configs import ConfigWriter, entry, settings
from gateway_process import gateway_process
from gateways import BOUNDS, LONG_TIMEOUTS, RunningGateway, running_gateway
from limits import limit_config, limiting
from mcp.types import TextContent
from mcp_caller import McpCaller, mcp_caller, modern
from mcp_clients import ERAS, connect, eventually
from ready_gateway import readiness, upstream_at
from upstreams import Arrived, Upstream, answer, document, events, serving, with_handshake
from volumes import swap_in_config

from ostiary_core.contract.bounds import ServerShareConfig
from ostiary_core.limits.charge import Charge
from ostiary_gateway.policy_limits.local_counters import LocalCounters
from ostiary_gateway.policy_limits.store import Taken


def call(tool: str = "get_users", **more: Any) -> dict[str, Any]:
    return modern("tools/call", {"name": tool, "arguments": {}}, **more)


async def test_clients_of_both_eras_share_the_quota_of_a_gateway_process(mock: str, tmp_path: Path) -> None:
    policy = limiting(limit_config(tools={"names": ["get_users"]}, requests=3))
    operator = ConfigWriter()
    documents = operator.files(
        entry("mock", [policy], servers=[upstream_at(mock)]), policies=[policy], settings=settings()
    )
    swap_in_config(tmp_path, documents, secret=operator.secret)
    async with gateway_process(tmp_path) as gateway:

        async def ready() -> bool:
            return await readiness(gateway) == 200

        await eventually(ready)
        refused = []
        for era in ERAS:
            async with connect(f"http://127.0.0.1:{gateway.port}/mock/mcp", era=era) as client:
                refused += [(await client.call_tool("get_users", {})) for _ in range(2)]
        url = f"http://127.0.0.1:{gateway.admin_port}/limits"
        async with aiohttp.ClientSession() as http:
            page = await (await http.get(url, headers={"Authorization": "Bearer admin-for-tests"})).json()

    assert [result.is_error for result in refused] == [False, False, False, True]
    [content] = refused[-1].content
    assert isinstance(content, TextContent)
    assert content.text.startswith("Limit reached: get_users")
    [key] = page["keys"]
    assert (key["used"], key["amount"], key["remaining"]) == (3, 3, 0)


class AwaitedCounters(LocalCounters):
    """Counters that answer only after the event loop has done other things, as those of a shared store."""

    def take(self, charges: Sequence[Charge], now: float) -> Taken | Awaitable[Taken]:  # type: ignore[override]
        async def later() -> Taken:
            await asyncio.sleep(0)
            return LocalCounters.take(self, charges, now)

        return later()


async def test_counters_that_must_be_awaited_let_exactly_the_amount_through(
    gateway: RunningGateway, upstream: Upstream
) -> None:
    gateway.app.pipeline.limits.store = AwaitedCounters()
    limits = [limit_config("calls", requests=20), limit_config("flying", concurrency=1000)]
    shadow = limiting(limit_config("quiet", requests=5), name="shadow", mode="Shadow")
    await gateway.apply(gateway.entry("mock", upstream.url, [limiting(*limits), shadow]))
    async with mcp_caller(gateway.url()) as agent:
        answers = await asyncio.gather(*(agent.post(call(id=number)) for number in range(60)))
    assert sum(not each.result.get("isError") for each in answers) == upstream.count("tools/call") == 20


async def test_a_caller_that_leaves_before_its_call_is_sent_gets_its_units_back() -> None:
    gate = asyncio.Event()

    async def script(_: web.BaseRequest, arrived: Arrived) -> web.StreamResponse:
        await gate.wait()
        return document(answer(arrived, {"content": []}))

    one = BOUNDS.model_copy(update={"per_server": ServerShareConfig(connections=1)})
    async with (
        running_gateway(bounds=one) as gateway,
        serving(with_handshake(script)) as upstream,
        mcp_caller(gateway.url()) as agent,
    ):
        policy = limiting(limit_config(requests=3, concurrency=3))
        await gateway.apply(gateway.entry("mock", upstream.url, [policy], timeouts=LONG_TIMEOUTS))
        slow = asyncio.create_task(agent.post(call("slow")))
        await upstream.first("tools/call")
        waits = asyncio.create_task(agent.post(call("waits")))
        await eventually(lambda: gateway.app.pipeline.limiter.requests == 2)
        waits.cancel()
        await eventually(lambda: gateway.app.pipeline.limiter.requests == 1)
        gate.set()
        await slow
        answers = [await agent.post(call()) for _ in range(3)]

    assert [bool(each.result.get("isError")) for each in answers] == [False, False, True]


async def test_a_stream_holds_its_slot_until_it_ends(gateway: RunningGateway) -> None:
    async def script(request: web.BaseRequest, arrived: Arrived) -> web.StreamResponse:
        if arrived.method != "subscriptions/listen":
            return document(answer(arrived, {"contents": []}))
        async with events(request) as stream:
            params = {"notifications": {"resourceSubscriptions": ["a://b"]}, "_meta": {}}
            await stream.send(
                {"jsonrpc": "2.0", "method": "notifications/subscriptions/acknowledged", "params": params}
            )
            await asyncio.Event().wait()
        return stream.response

    listen = modern("subscriptions/listen", {"notifications": {"resourceSubscriptions": ["a://b"]}}, id="sub")
    async with serving(with_handshake(script)) as upstream, mcp_caller(gateway.url()) as agent:
        policy = limiting(limit_config(resources={"verbs": ["Subscribe"]}, concurrency=1))
        await gateway.apply(gateway.entry("mock", upstream.url, [policy]))
        async with agent.stream(listen) as stream:
            await stream.message()
            refused = await agent.post(listen)
            assert refused.error["data"]["unit"] == "concurrency"
        await eventually(lambda: gateway.app.pipeline.limiter.streams == 0)
        async with agent.stream(listen) as again:
            assert (await again.message())["method"].endswith("acknowledged")


@pytest.mark.parametrize("method", ["resources/unsubscribe", "tasks/cancel"])
async def test_a_request_that_ends_something_is_never_refused(
    gateway: RunningGateway, upstream: Upstream, caller: McpCaller, method: str
) -> None:
    await gateway.apply(gateway.entry("mock", upstream.url, [limiting(limit_config(requests=1))]))
    await caller.initialize()
    params = {"uri": "a://b"} if method.startswith("resources") else {"taskId": "t"}
    for number in range(3):
        body = {"jsonrpc": "2.0", "id": number, "method": method, "params": params}
        assert "error" not in (await caller.post(json.dumps(body).encode())).json
