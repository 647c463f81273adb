"""Rates: never more than stated in any window, whatever the clock does, and never a caller stopped for longer."""

import math

from hypothesis import given
from hypothesis import strategies as st

from ostiary_core.limits.rate import Rate, RateLevel, add, give_back, level_at, take

NOW = 1_790_000_000.0
RATES = st.builds(Rate, st.integers(1, 10**9), st.sampled_from([1.0, 2.5, 60.0, 3599.0]), st.integers(1, 10**9))
STEPS = st.lists(st.tuples(st.floats(0, 5000, allow_nan=False), st.integers(0, 50)), min_size=1, max_size=60)


def test_a_burst_is_admitted_at_once_and_the_next_request_is_told_when() -> None:
    rate, level = Rate(60, 60.0, 5), RateLevel()
    for left in (4, 3, 2, 1, 0):
        decision = take(rate, level, 1, NOW)
        assert (decision.allowed, decision.remaining) == (True, left)
        level = decision.level
    refused = take(rate, level, 1, NOW)
    assert not refused.allowed
    assert refused.remaining == 0
    assert math.isclose(refused.retry_after, 1.0, abs_tol=1e-5)
    assert refused.reset_at == NOW + 5
    assert refused.level == level


def test_a_caller_that_waits_as_told_is_admitted() -> None:
    rate, level = Rate(7, 60.0, 3), take(Rate(7, 60.0, 3), RateLevel(), 3, NOW).level
    refused = take(rate, level, 2, NOW + 1)
    assert not refused.allowed
    assert take(rate, refused.level, 2, NOW + 1 + refused.retry_after).allowed


def test_more_than_a_burst_is_never_possible_and_says_so() -> None:
    refused = take(Rate(10, 60.0, 5), RateLevel(), 6, NOW)
    assert not refused.allowed
    assert refused.retry_after == math.inf


@given(rate=RATES, steps=STEPS)
def test_no_window_admits_more_than_burst_and_amount(rate: Rate, steps: list[tuple[float, int]]) -> None:
    now, level = NOW, RateLevel()
    admitted: list[tuple[float, int]] = []
    for pause, units in steps:
        now += pause / 7
        decision = take(rate, level, units, now)
        level = decision.level
        assert 0 <= decision.remaining <= rate.burst
        admitted += [(now, units)] if decision.allowed else []
        within = sum(taken for at, taken in admitted if at > now - rate.window)
        assert within <= rate.burst + rate.amount
        # Even of a part of a window no more than its share.
        for start, _ in admitted:
            span = sum(taken for at, taken in admitted if at >= start)
            assert span <= rate.burst + (now - start) * rate.per_second * (1 + 1e-9) + 1e-3


@given(rate=RATES, steps=st.lists(st.tuples(st.floats(-20, 20), st.integers(1, 5)), max_size=60))
def test_a_clock_that_goes_back_by_less_than_a_window_admits_no_more(
    rate: Rate, steps: list[tuple[float, int]]
) -> None:
    now = latest = NOW
    level = RateLevel(0.0, NOW)
    total = 0
    for step, units in steps:
        now = max(now + step, latest - rate.window)
        latest = max(latest, now)
        decision = take(rate, level, units, now)
        level = decision.level
        total += units if decision.allowed else 0
        assert total <= rate.burst + (latest - NOW) * rate.per_second * (1 + 1e-9) + 1e-3


def test_a_clock_that_went_back_by_hours_stops_a_caller_for_a_window_at_most() -> None:
    rate = Rate(60, 60.0, 60)
    level = take(rate, RateLevel(), 60, NOW).level
    wait = take(rate, level, 1, NOW - 36_000)
    assert not wait.allowed
    assert wait.retry_after <= 60
    assert take(rate, wait.level, 1, NOW - 36_000 + wait.retry_after).allowed


@given(rate=RATES, units=st.integers(0, 10**9), later=st.floats(0, 10_000))
def test_a_level_only_falls_with_time(rate: Rate, units: int, later: float) -> None:
    level = RateLevel(float(units), NOW)
    assert level_at(rate, level, NOW + later).used <= level.used
    assert level_at(rate, level, NOW + later).used >= 0


@given(rate=RATES, units=st.integers(0, 10**9), pause=st.floats(0, 100))
def test_units_given_back_are_as_if_they_had_not_been_taken(rate: Rate, units: int, pause: float) -> None:
    before = RateLevel(rate.burst / 3, NOW)
    taken = take(rate, before, units, NOW)
    if not taken.allowed:
        return
    after = give_back(rate, taken.level, units, taken_at=NOW, now=NOW + pause)
    assert after.used >= level_at(rate, before, NOW + pause).used - 1e-3
    assert after.used <= level_at(rate, taken.level, NOW + pause).used


def test_a_result_that_reports_a_huge_cost_stops_callers_for_no_longer_than_two_windows() -> None:
    rate = Rate(100, 60.0, 50)
    level = add(rate, RateLevel(), 10**9, NOW)
    refused = take(rate, level, 1, NOW)
    assert not refused.allowed
    assert 60 < refused.retry_after < 120


def test_a_raised_limit_keeps_what_was_used() -> None:
    level = take(Rate(10, 60.0, 10), RateLevel(), 10, NOW).level
    assert take(Rate(20, 60.0, 20), level, 1, NOW).remaining == 9
