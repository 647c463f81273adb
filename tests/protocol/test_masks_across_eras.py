"""Masks where the gateway itself makes a message: between eras, and of several servers."""

import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest
from aiohttp import web
from gateways import RunningGateway, running_gateway
from mask_policies import CARD, mask_config, mask_policy
from mcp import Client
from mcp.types import ElicitRequestParams, ElicitResult
from mcp_caller import McpCaller, modern
from mcp_clients import ERAS, Era, MockProcess, connect, mock_process
from merged_proxies import merged
from sdk_server import asking_server
from upstreams import Arrived, answer, document, serving

from ostiary_operator.demo.mock_server.scenarios.customers import CUSTOMERS
from ostiary_operator.demo.served_eras import ServedEras

NAME = {"pattern": "your name", "name": "question"}


@asynccontextmanager
async def asked(
    asked: list[str], *, server: ServedEras, client: Era, action: str = "Mask"
) -> AsyncIterator[tuple[RunningGateway, Client]]:
    """A client that answers questions of a server, whose proxy masks a part of each."""

    async def elicit(_: object, params: ElicitRequestParams) -> ElicitResult:
        asked.append(params.message)
        return ElicitResult(action="accept", content={"name": "Ada"})

    async with asking_server(eras=server) as url, running_gateway() as gateway:
        await gateway.apply(gateway.entry("mock", url, [mask_policy(mask_config(NAME, action=action))]))
        async with connect(gateway.url(), era=client, elicitation_callback=elicit) as found:
            yield gateway, found


@pytest.mark.parametrize("server", [ServedEras.MODERN, ServedEras.LEGACY])
@pytest.mark.parametrize("client", ERAS)
async def test_a_question_of_a_server_is_masked_in_every_pair_of_eras(server: ServedEras, client: Era) -> None:
    questions: list[str] = []
    async with asked(questions, server=server, client=client) as (_, caller):
        result = await caller.call_tool("greet", {})
    assert "Hello Ada" in str(result.content)
    (question,) = questions
    assert question.startswith("What is ")
    assert "your name" not in question


@pytest.mark.parametrize("server", [ServedEras.MODERN, ServedEras.LEGACY])
@pytest.mark.parametrize("client", ERAS)
async def test_a_question_that_must_not_pass_ends_the_call(server: ServedEras, client: Era) -> None:
    questions: list[str] = []
    async with asked(questions, server=server, client=client, action="Block") as (_, caller):
        result = await caller.call_tool("greet", {})
    assert result.is_error
    assert "withheld" in str(result.content)
    assert questions == []


async def instructing(_: web.BaseRequest, arrived: Arrived) -> web.StreamResponse:
    told = {"capabilities": {"tools": {}}, "serverInfo": {"name": "crm", "version": "1"}, "instructions": f"Use {CARD}"}
    if arrived.method == "server/discover":
        modern_members = {
            "resultType": "complete",
            "supportedVersions": ["2026-07-28"],
            "ttlMs": 0,
            "cacheScope": "private",
        }
        return document(answer(arrived, {**told, **modern_members}))
    if arrived.method == "initialize":
        return document(answer(arrived, {"protocolVersion": "2025-11-25", **told}), headers={"Mcp-Session-Id": "s"})
    return web.Response(status=202)


async def test_instructions_of_several_servers_are_masked(gateway: RunningGateway, caller: McpCaller) -> None:
    async with serving(instructing) as upstream:
        await gateway.apply(merged(gateway, {"crm": upstream.url, "web": upstream.url}, [mask_policy()]))
        for reply in (await caller.initialize(), await caller.post(modern("server/discover"))):
            assert "Use" in reply.result["instructions"]
            assert CARD not in json.dumps(reply.result)


@pytest.fixture(scope="module")
def leaky() -> Iterator[MockProcess]:
    with mock_process("--scenario", "leaky") as mock:
        yield mock


@pytest.mark.parametrize("era", ERAS)
async def test_clients_of_the_sdk_read_all_that_a_leaky_server_tells_without_a_card(
    gateway: RunningGateway, leaky: MockProcess, era: Era
) -> None:
    await gateway.apply(gateway.entry("mock", leaky.url, [mask_policy(mask_config(keepLast=4))]))
    logged: list[str] = []

    async def log(params: object) -> None:
        logged.append(str(params))

    async def note(progress: float, total: float | None, message: str | None) -> None:
        logged.append(f"{progress} of {total}: {message}")

    async with connect(gateway.url(), era=era, logging_callback=log) as client:
        found = [
            await client.call_tool("get_customer", {"id": 7}),
            await client.call_tool("search_notes", {"query": ""}, progress_callback=note),
            await client.call_tool("export_customers", {}),
            await client.read_resource("crm://customers/7"),
            await client.get_prompt("summarise_customer", {"id": "7"}),
        ]
    told = "".join(each.model_dump_json() for each in found) + "".join(logged)
    for customer in CUSTOMERS:
        digits = customer.card.replace(" ", "").replace("-", "")
        assert customer.card not in told
        assert digits not in told
        assert digits[-4:] in told or customer.id != 7
    assert CUSTOMERS[0].email in told
