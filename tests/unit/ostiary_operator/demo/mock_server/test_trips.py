from typing import Any

import pytest
from mcp import MCPError
from mcp.types import ElicitResult
from mcp_clients import ERAS, Era, MockProcess, connect


async def by_train(_context: Any, params: Any) -> ElicitResult:
    assert params.message == "How do you want to travel to Oslo?"
    return ElicitResult(action="accept", content={"means": "train"})


async def not_now(*_: Any) -> ElicitResult:
    return ElicitResult(action="decline")


@pytest.mark.parametrize("era", ERAS)
async def test_it_asks_in_mid_call_how_to_travel(mock: MockProcess, era: Era) -> None:
    async with connect(f"{mock.origin}/trips/mcp", era=era, elicitation_callback=by_train) as client:
        trip = (await client.call_tool("plan_trip", {"city": "Oslo"})).structured_content
    assert trip == {"city": "Oslo", "means": "train", "hours": 5}


@pytest.mark.parametrize("era", ERAS)
async def test_a_user_may_refuse_to_say(mock: MockProcess, era: Era) -> None:
    async with connect(f"{mock.origin}/trips/mcp", era=era, elicitation_callback=not_now) as client:
        assert (await client.call_tool("plan_trip", {"city": "Oslo"})).is_error


@pytest.mark.parametrize("era", ERAS)
async def test_a_client_that_cannot_be_asked_gets_an_error_and_no_trip(mock: MockProcess, era: Era) -> None:
    async with connect(f"{mock.origin}/trips/mcp", era=era) as client:
        try:
            refused = (await client.call_tool("plan_trip", {"city": "Oslo"})).is_error
        except MCPError:
            refused = True
    assert refused
