"""Three replicas behind a load balancer that takes them in turn: no request of a client reaches the one before it."""

import itertools
from collections.abc import AsyncIterator
from typing import Any

import pytest
from gateway_replicas import GatewayReplicas, gateway_replicas
from mcp.types import CreateMessageResult, ElicitResult, ListRootsResult, TextContent
from mcp_clients import ERAS, Era, connect
from sdk_server import asking_server

from ostiary_operator.demo.served_eras import ServedEras

QUESTIONS = {
    "greet": "Hello Ada",
    "sample": "The model says hello",
    "roots": "file:///home/agent",
}
"""By tool: what it answers once it was told."""


@pytest.fixture
async def replicas() -> AsyncIterator[GatewayReplicas]:
    async with (
        asking_server() as both,
        asking_server(eras=ServedEras.LEGACY) as legacy,
        asking_server(eras=ServedEras.MODERN) as modern,
        gateway_replicas() as replicas,
    ):
        urls = {"both": both, "legacy": legacy, "modern": modern}
        await replicas.apply(*(replicas.entry(name, url) for name, url in urls.items()))
        yield replicas


async def accept(*_: Any) -> ElicitResult:
    return ElicitResult(action="accept", content={"name": "Ada"})


async def say_hello(*_: Any) -> CreateMessageResult:
    return CreateMessageResult(role="assistant", content=TextContent(type="text", text="hello"), model="test")


async def list_roots(*_: Any) -> ListRootsResult:
    return ListRootsResult.model_validate({"roots": [{"uri": "file:///home/agent"}]})


ANSWERS: dict[str, Any] = {
    "elicitation_callback": accept,
    "sampling_callback": say_hello,
    "list_roots_callback": list_roots,
}


@pytest.mark.parametrize("server", ["both", "legacy", "modern"])
@pytest.mark.parametrize("era", ERAS)
async def test_questions_in_mid_call_are_answered_at_another_replica(
    replicas: GatewayReplicas, era: Era, server: str
) -> None:
    async with connect(replicas.url(server), era=era, **ANSWERS) as client:
        for tool, answer in QUESTIONS.items():
            called = await client.call_tool(tool, {})
            assert [getattr(each, "text", None) for each in called.content] == [answer]

    chosen = replicas.balancer.chosen
    assert all(one != two for one, two in itertools.pairwise(chosen))
    assert set(chosen) == {0, 1, 2}
