"""Requests that have ended are counted together: each once, in their order, and soon."""

import asyncio
from collections.abc import Sequence

import pytest
from ended_calls import ended_call

from ostiary_gateway.evidence import ended_requests
from ostiary_gateway.evidence.ended_requests import AT_ONCE, DELAY_SECONDS, MOST, EndedRequests, PlainEnded


class Taker:
    """Keeps what it is given."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []

    def __call__(self, ended: Sequence[PlainEnded]) -> None:
        self.batches.append([size for _, size, _, _, _ in ended])

    @property
    def sizes(self) -> list[int]:
        return [size for batch in self.batches for size in batch]


def ended(number: int) -> PlainEnded:
    return "uid", number, 0, "", ended_call()


async def test_each_taker_gets_each_request_once_and_in_order() -> None:
    one, other = Taker(), Taker()
    requests = EndedRequests(one, other)
    for number in range(10 * AT_ONCE + 3):
        requests.add(ended(number))
        await asyncio.sleep(0)
    requests.settle()
    requests.settle()
    assert one.sizes == other.sizes == list(range(10 * AT_ONCE + 3))
    assert len(one.batches) < 12
    requests.close()


async def test_a_full_batch_is_counted_after_the_turn_of_the_loop_in_which_it_became_full() -> None:
    taker = Taker()
    requests = EndedRequests(taker)
    for number in range(AT_ONCE):
        requests.add(ended(number))
    assert taker.batches == []
    await asyncio.sleep(0)
    assert taker.sizes == list(range(AT_ONCE))
    requests.close()


async def test_however_many_end_in_one_turn_a_bounded_number_waits() -> None:
    taker = Taker()
    requests = EndedRequests(taker)
    for number in range(3 * MOST):
        requests.add(ended(number))
        assert len(requests) < MOST
    requests.close()
    assert taker.sizes == list(range(3 * MOST))


@pytest.mark.parametrize("is_live", [False, True])
async def test_a_single_request_is_counted_without_another_one(is_live: bool) -> None:
    arrived = asyncio.Event()
    requests = EndedRequests(lambda _: arrived.set(), is_live=lambda: is_live)
    for _ in range(2):
        requests.add(ended(1))
        await asyncio.wait_for(arrived.wait(), 60)
        arrived.clear()
    assert len(requests) == 0
    requests.close()


def test_a_request_waits_a_quarter_of_a_second_at_most_and_less_while_a_reader_follows() -> None:
    assert ended_requests.LIVE_SECONDS < DELAY_SECONDS <= 0.25


async def test_a_taker_that_fails_harms_neither_requests_nor_other_takers(caplog: pytest.LogCaptureFixture) -> None:
    def fail(_: Sequence[PlainEnded]) -> None:
        raise ZeroDivisionError

    taker = Taker()
    requests = EndedRequests(fail, taker)
    for number in range(3):
        requests.add(ended(number))
        requests.settle()
    requests.close()
    assert taker.sizes == [0, 1, 2]
    assert caplog.messages == ["requests could not be counted: this is a bug"]


async def test_after_the_end_nothing_is_planned() -> None:
    taker = Taker()
    requests = EndedRequests(taker)
    requests.add(ended(1))
    requests.close()
    assert taker.sizes == [1]
    requests.close()
    assert taker.batches == [[1]]
