"""Sessions of clients go on while the proxy's server gets endpoints, as in an upgrade of the operator."""

import pytest
from counting_replicas import counting_replicas
from gateways import RunningGateway
from mcp_clients import connect


@pytest.mark.parametrize("number", [1, 3])
async def test_a_session_of_the_time_before_goes_on_where_it_was(gateway: RunningGateway, number: int) -> None:
    async with counting_replicas([gateway], number=number) as replicas:
        one = next(iter(replicas.running.values()))
        await gateway.apply(gateway.entry("mock", f"http://127.0.0.1:{one.port}/mcp"))
        async with connect(gateway.url(), era="legacy") as client:
            before = [await client.call_tool("count", {}) for _ in range(2)]
            await gateway.apply(replicas.entry(gateway))

            after = [await client.call_tool("count", {}) for _ in range(6)]

    answers = [getattr(each.content[0], "text", None) for each in [*before, *after]]
    assert answers == [f"{one.name} {count}" for count in range(1, 9)]
