"""What a config leaves is freed without the garbage collector: frozen objects are never collected."""

import gc
from collections.abc import Iterator

import pytest
from gateways import RunningGateway, policy
from mcp_clients import connect

from ostiary_gateway.config.runtime import ProxyRuntime
from ostiary_gateway.config.snapshot import Snapshot

E_ONLY = {"name": "letter-e", "effect": "Allow", "tools": {"names": ["e*"]}}


@pytest.fixture
def no_collection() -> Iterator[None]:
    """The collector does nothing from now on, as if all that follows were frozen."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def alive(kind: type[object]) -> int:
    return sum(type(each) is kind for each in gc.get_objects())


@pytest.mark.usefixtures("no_collection")
async def test_configs_that_were_replaced_are_freed_without_the_collector(gateway: RunningGateway, mock: str) -> None:
    before = alive(ProxyRuntime), alive(Snapshot)
    for number in range(5):
        await gateway.apply(gateway.entry("mock", mock, [policy(f"p-{number}", E_ONLY)]))
        async with connect(gateway.url(), era="legacy") as client:
            await client.list_tools()
            await client.call_tool("echo", {"message": "x"})
    assert alive(ProxyRuntime) - before[0] == 1
    assert alive(Snapshot) - before[1] == 1
