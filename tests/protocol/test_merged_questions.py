"""Servers behind one endpoint ask their client in mid-call, with an official client and official servers."""

import asyncio
from typing import Any

import pytest
from gateways import RunningGateway
from mcp.types import CreateMessageResult, ElicitResult, ListRootsResult, Root, TextContent
from mcp_clients import connect
from merged_proxies import merged
from sdk_server import Gates, asking_server
from timeouts import TIMEOUT_SECONDS


async def on_elicit(context: Any, params: Any) -> ElicitResult:
    await asyncio.sleep(0)
    return ElicitResult(action="accept", content={"name": "Ada"})


async def on_sample(context: Any, params: Any) -> CreateMessageResult:
    return CreateMessageResult(role="assistant", content=TextContent(type="text", text="hello"), model="m")


async def on_roots(context: Any) -> ListRootsResult:
    return ListRootsResult(roots=[Root(uri="file:///home/ada")])


def text(result: Any) -> str:
    content = result.content[0]
    assert isinstance(content, TextContent)
    return content.text


CALLBACKS: dict[str, Any] = {
    "elicitation_callback": on_elicit,
    "sampling_callback": on_sample,
    "list_roots_callback": on_roots,
}


async def test_questions_of_two_servers_at_the_same_time_find_their_way_back(gateway: RunningGateway) -> None:
    async with asking_server() as crm, asking_server() as wiki:
        await gateway.apply(merged(gateway, {"crm": crm, "wiki": wiki}))
        async with connect(gateway.url(), era="legacy", **CALLBACKS) as client:
            names = [f"{server}_{tool}" for server in ("crm", "wiki") for tool in ("greet", "sample", "roots")]
            results = await asyncio.gather(*(client.call_tool(name, {}) for name in names * 5))

    said = ["Hello Ada", "The model says hello", "file:///home/ada"]
    assert [text(each) for each in results] == said * 10


async def test_a_stream_that_one_server_drops_is_resumed_at_that_server(gateway: RunningGateway) -> None:
    gates = Gates()
    updates: list[str | None] = []

    async def on_progress(progress: float, total: float | None, message: str | None) -> None:
        updates.append(message)

    async with asking_server() as crm, asking_server(gates) as wiki:
        await gateway.apply(merged(gateway, {"crm": crm, "wiki": wiki}))
        async with connect(gateway.url(), era="legacy") as client:
            calling = asyncio.create_task(client.call_tool("wiki_drop_stream", {}, progress_callback=on_progress))
            await asyncio.wait_for(gates.reached.wait(), TIMEOUT_SECONDS)
            gates.open.set()
            result = await asyncio.wait_for(calling, TIMEOUT_SECONDS)

    assert text(result) == "after the drop"
    assert updates == ["before the drop"]


async def test_cancelling_a_call_stops_it_at_its_server(gateway: RunningGateway) -> None:
    gates = Gates()
    async with asking_server(gates) as crm, asking_server() as wiki:
        await gateway.apply(merged(gateway, {"crm": crm, "wiki": wiki}))
        async with connect(gateway.url(), era="legacy") as client:
            calling = asyncio.create_task(client.call_tool("crm_gated", {}))
            await asyncio.wait_for(gates.reached.wait(), TIMEOUT_SECONDS)
            calling.cancel()
            await asyncio.wait_for(gates.cancelled.wait(), TIMEOUT_SECONDS)
            with pytest.raises(asyncio.CancelledError):
                await calling
