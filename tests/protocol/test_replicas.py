"""Three replicas behind a load balancer that takes them in turn: no request of a session reaches the one before it."""

import itertools
from collections.abc import AsyncIterator

import pytest
from gateway_replicas import GatewayReplicas, gateway_replicas
from mcp.types import ElicitResult
from mcp_clients import ERAS, Era, connect
from sdk_server import asking_server


@pytest.fixture
async def replicas() -> AsyncIterator[GatewayReplicas]:
    async with asking_server() as upstream, gateway_replicas() as replicas:
        await replicas.apply(replicas.entry("mock", upstream))
        yield replicas


async def accept(*_: object) -> ElicitResult:
    return ElicitResult(action="accept", content={"name": "Ada"})


@pytest.mark.parametrize("era", ERAS)
async def test_a_question_in_mid_call_is_answered_at_another_replica(replicas: GatewayReplicas, era: Era) -> None:
    async with connect(replicas.url(), era=era, elicitation_callback=accept) as client:
        for _ in range(3):
            called = await client.call_tool("greet", {})
            assert [getattr(each, "text", None) for each in called.content] == ["Hello Ada"]

    chosen = replicas.balancer.chosen
    assert all(one != two for one, two in itertools.pairwise(chosen))
    assert set(chosen) == {0, 1, 2}
