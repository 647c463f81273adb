"""Legacy clients at modern-only servers, through a proxy with one server."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from gateway_replicas import gateway_replicas
from gateways import RunningGateway, running_gateway
from mcp import Client
from mcp.types import (
    CallToolResult,
    CreateMessageRequestParams,
    CreateMessageResult,
    ElicitRequestParams,
    ElicitResult,
    ErrorData,
    ListRootsResult,
    Root,
    TextContent,
)
from mcp_clients import connect
from pydantic import FileUrl
from sdk_server import Gates, asking_server

from ostiary_operator.demo.served_eras import ServedEras


def text(result: CallToolResult) -> str:
    """The text of a tool's result."""
    (content,) = result.content
    assert isinstance(content, TextContent)
    return content.text


@asynccontextmanager
async def bridged(gates: Gates | None = None, **options: Any) -> AsyncIterator[tuple[RunningGateway, Client]]:
    """A legacy client of the official SDK at a modern-only server of it."""
    async with asking_server(gates, eras=ServedEras.MODERN) as url, running_gateway() as gateway:
        await gateway.apply(gateway.entry("mock", url))
        async with connect(gateway.url(), era="legacy", **options) as client:
            yield gateway, client


async def test_a_legacy_client_lists_and_calls_the_tools_of_a_modern_server() -> None:
    async with bridged() as (_, client):
        assert client.protocol_version == "2025-11-25"
        tools = await client.list_tools()
        assert "cancelled" in {tool.name for tool in tools.tools}
        result = await client.call_tool("cancelled", {})
        assert text(result) == "0"


async def test_a_tool_that_asks_its_user_asks_on_the_open_call() -> None:
    asked: list[str] = []

    async def elicit(_: object, params: ElicitRequestParams) -> ElicitResult:
        asked.append(params.message)
        return ElicitResult(action="accept", content={"name": "Ada"})

    async with bridged(elicitation_callback=elicit) as (_, client):
        result = await client.call_tool("greet", {})

    assert text(result) == "Hello Ada"
    assert asked == ["What is your name?"]


async def test_a_tool_that_asks_the_model_or_for_roots_is_answered() -> None:
    async def sample(_: object, params: CreateMessageRequestParams) -> CreateMessageResult:
        content = TextContent(type="text", text=f"hello ({params.max_tokens})")
        return CreateMessageResult(role="assistant", content=content, model="m")

    async def roots(_: object) -> ListRootsResult:
        return ListRootsResult(roots=[Root(uri=FileUrl("file:///work"))])

    async with bridged(sampling_callback=sample, list_roots_callback=roots) as (_, client):
        assert text(await client.call_tool("sample", {})) == "The model says hello (10)"
        assert "file:///work" in text(await client.call_tool("roots", {}))


async def test_a_client_that_declared_nothing_gets_an_error_that_its_model_can_read() -> None:
    async with bridged() as (_, client):
        result = await client.call_tool("greet", {})

    assert result.is_error
    assert "elicitation" in text(result)


async def test_progress_reaches_the_request_that_asked_for_it() -> None:
    seen: list[tuple[float, str | None]] = []

    async def notice(progress: float, total: float | None, message: str | None) -> None:
        assert total == 2
        seen.append((progress, message))

    gates = Gates()
    gates.open.set()
    async with bridged(gates) as (_, client):
        assert text(await client.call_tool("gated", {}, progress_callback=notice)) == "passed"

    assert seen == [(1, "working"), (2, "done")]


async def test_a_refused_question_ends_the_call_with_its_reason() -> None:
    async def elicit(_: object, __: ElicitRequestParams) -> ErrorData:
        return ErrorData(code=-32603, message="no one is there")

    async with bridged(elicitation_callback=elicit) as (_, client):
        result = await client.call_tool("greet", {})

    assert result.is_error
    assert "no one is there" in text(result)


async def test_an_answer_finds_its_question_at_whichever_replica_it_arrives() -> None:
    async def elicit(_: object, __: ElicitRequestParams) -> ElicitResult:
        return ElicitResult(action="accept", content={"name": "Ada"})

    async with asking_server(eras=ServedEras.MODERN) as url, gateway_replicas() as replicas:
        await replicas.apply(replicas.entry("mock", url))
        async with connect(replicas.url(), era="legacy", elicitation_callback=elicit) as client:
            for _ in range(3):
                assert text(await client.call_tool("greet", {})) == "Hello Ada"
