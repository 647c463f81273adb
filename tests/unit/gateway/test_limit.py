"""The bounds of one process: a clear refusal at the edge, and nothing leaks (issue 4 §3)."""

import asyncio
from contextlib import AbstractContextManager

import pytest
from gateways import BOUNDS

from ostiary_gateway.errors import Refusal
from ostiary_gateway.line.limit import Occupancy

TWO = BOUNDS.model_copy(update={"requests_in_flight": 2, "streams": 2})


@pytest.mark.parametrize("kind", ["request", "stream"])
def test_at_the_bound_the_next_is_told_to_come_again(kind: str) -> None:
    occupancy = Occupancy()

    def one() -> AbstractContextManager[None]:
        made: AbstractContextManager[None] = getattr(occupancy, kind)(TWO)
        return made

    with one(), one():
        with pytest.raises(Refusal) as refused, one():
            pass
        assert (refused.value.status, refused.value.code, refused.value.headers) == (503, -31002, {"Retry-After": "1"})
        assert refused.value.data == {"reason": "GatewayFull", "retryAfterMs": 1000}
    with one():
        pass


def test_requests_and_streams_are_counted_apart() -> None:
    occupancy = Occupancy()

    with occupancy.request(TWO), occupancy.request(TWO), occupancy.stream(TWO):
        assert (occupancy.requests, occupancy.streams) == (2, 1)
    assert (occupancy.requests, occupancy.streams) == (0, 0)


def test_what_fails_is_not_counted_any_more() -> None:
    occupancy = Occupancy()

    for _ in range(5):
        with pytest.raises(ZeroDivisionError), occupancy.request(TWO):
            raise ZeroDivisionError
    assert occupancy.requests == 0


async def test_empty_waits_for_the_last_one() -> None:
    occupancy = Occupancy()
    leave = asyncio.Event()

    async def occupy() -> None:
        with occupancy.request(TWO), occupancy.stream(TWO):
            await leave.wait()

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(occupy())
        await asyncio.sleep(0)
        waiting = tasks.create_task(occupancy.empty())
        await asyncio.sleep(0)
        assert not waiting.done()
        leave.set()
    assert waiting.done()
