"""A caller that limits refuse again and again on one connection is told to wait, and no other."""

from typing import Any, cast

import pytest

from ostiary_gateway.errors import Refusal
from ostiary_gateway.policy_limits.flood_guard import MOST_REFUSALS, FloodGuard

NOW = 1000.0
A, B = ("a", "192.0.2.1"), ("b", "192.0.2.1")


class Link:
    """A connection as this module sees it."""

    def __init__(self) -> None:
        self.floods: Any = None


def connection() -> Any:
    return cast("Any", Link())


def flood(guard: FloodGuard, link: Any, *, times: int = MOST_REFUSALS, retry_at: float | None = NOW + 30) -> None:
    for _ in range(times):
        guard.note(link, A, NOW, retry_at)


def test_a_flood_gets_429_until_the_wait_is_over() -> None:
    guard, link = FloodGuard(), connection()
    flood(guard, link)
    with pytest.raises(Refusal) as refused:
        guard.check(link, A, NOW + 0.5)
    assert (refused.value.status, refused.value.headers) == (429, {"Retry-After": "30"})
    assert refused.value.data == {"reason": "LimitFlood", "retryAfterMs": 29_500}
    guard.check(link, A, NOW + 30)
    assert guard.refused == 1


def test_fewer_refusals_or_slower_ones_are_no_flood() -> None:
    guard, link = FloodGuard(), connection()
    flood(guard, link, times=MOST_REFUSALS - 1)
    guard.check(link, A, NOW)
    link = connection()
    for second in range(3 * MOST_REFUSALS):
        guard.note(link, A, NOW + second, NOW + 1000)
        guard.check(link, A, NOW + second)


def test_other_callers_of_the_connection_and_other_connections_are_not_affected() -> None:
    guard, link, other = FloodGuard(), connection(), connection()
    flood(guard, link)
    guard.note(link, B, NOW, NOW + 30)
    guard.note(other, A, NOW, NOW + 30)
    guard.check(link, B, NOW)
    guard.check(other, A, NOW)


def test_a_flood_waits_a_minute_at_most_and_a_second_at_least() -> None:
    guard, link = FloodGuard(), connection()
    flood(guard, link, retry_at=NOW + 86_400)
    guard.check(link, A, NOW + 60)
    flood(guard, link, retry_at=None)
    with pytest.raises(Refusal):
        guard.check(link, A, NOW + 0.9)


def test_a_clock_that_was_set_back_locks_nothing_out() -> None:
    guard, link = FloodGuard(), connection()
    flood(guard, link)
    guard.check(link, A, NOW - 100)


def test_many_callers_of_one_connection_take_bounded_memory() -> None:
    guard, link = FloodGuard(), connection()
    for number in range(10_000):
        guard.note(link, (str(number), ""), NOW, None)
    assert len(link.floods) <= 64
