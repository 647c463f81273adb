"""Which of several endpoints gets a request."""

from collections import Counter
from types import SimpleNamespace
from typing import Any

from ostiary_gateway.upstream.load_balancing import LeastRequest, RoundRobin, load_balancer


def endpoints(*busy: int) -> Any:
    return [SimpleNamespace(open_requests=count, number=number) for number, count in enumerate(busy)]


def test_equally_busy_endpoints_get_equal_shares() -> None:
    four, got = endpoints(0, 0, 0, 0), Counter[int]()
    for _ in range(4000):
        got[LeastRequest().choose(four, open_requests=0).number] += 1  # type: ignore[attr-defined]
    assert min(got.values()) > 800


def test_of_two_the_less_busy_one_is_taken() -> None:
    two = endpoints(1, 0)
    assert all(LeastRequest().choose(two, open_requests=1) is two[1] for _ in range(50))


def test_a_much_busier_endpoint_is_not_taken_although_two_busy_ones_were_drawn() -> None:
    eight = endpoints(*[9] * 7, 0)
    assert all(LeastRequest().choose(eight, open_requests=63) is eight[7] for _ in range(200))


def test_of_a_thousand_busy_endpoints_a_few_are_compared() -> None:
    thousand = endpoints(*[9] * 1000)
    thousand[10].open_requests = 0
    got = Counter(LeastRequest().choose(thousand, open_requests=8000).number for _ in range(2000))  # type: ignore[attr-defined]
    assert 20 < got[10] < 200


def test_round_robin_takes_one_after_the_other_however_busy() -> None:
    three, robin = endpoints(5, 0, 0), RoundRobin()
    got = [robin.choose(three, open_requests=5).number for _ in range(6)]  # type: ignore[attr-defined]
    assert sorted(got[:3]) == [0, 1, 2]
    assert got[3:] == got[:3]


def test_least_request_is_the_default() -> None:
    assert isinstance(load_balancer(None), LeastRequest)
    assert isinstance(load_balancer("RoundRobin"), RoundRobin)
