"""Counters in memory: all or nothing, exact, and bounded."""

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from limits import DAY_MS, NOW, charge, compiled_limit

from ostiary_core.limits import quota, rate
from ostiary_core.limits.charge import Charge
from ostiary_gateway.policy_limits.local_counters import LocalCounters
from ostiary_gateway.policy_limits.store import Exhaustion, KeyUsage, Unit

DAY = DAY_MS / 1000
MINUTE_MS = 60_000
NAMES = ("wide", "fast", "few", "tight", "day", "minute", "enforced", "shadow", "a", "b", "c")


def names(found: Sequence[Exhaustion]) -> list[str]:
    return [each.charge.limit.name for each in found]


async def used(store: LocalCounters, now: float = NOW, *, after: str = "", most: int = 100) -> Sequence[KeyUsage]:
    limits = {f"uid-{policy}/{name}": compiled_limit() for policy in "ps" for name in ("l", *NAMES)}
    return await store.usage(now, limits=limits, after=after, most=most)


def test_a_quota_lets_exactly_its_amount_through_and_says_when_it_is_possible_again() -> None:
    store, daily = LocalCounters(), charge(compiled_limit(requests=3))
    assert [store.take([daily], NOW) for _ in range(3)] == [(), (), ()]

    (found,) = store.take([daily], NOW + 10)
    assert found == Exhaustion(daily, Unit.REQUESTS, 3, 0, NOW + DAY, NOW + DAY)
    assert store.take([daily], NOW + DAY) == ()


def test_keys_are_counted_apart() -> None:
    store, daily = LocalCounters(), compiled_limit(requests=1)
    assert store.take([charge(daily, "a")], NOW) == ()
    assert store.take([charge(daily, "b")], NOW) == ()
    assert names(store.take([charge(daily, "a")], NOW)) == ["l"]


async def test_a_refused_call_consumes_nothing_of_any_limit() -> None:
    store = LocalCounters()
    wide = charge(compiled_limit("wide", requests=100))
    fast = charge(compiled_limit("fast", requests=100, window=MINUTE_MS))
    few = charge(compiled_limit("few", concurrency=5))
    tight = charge(compiled_limit("tight", requests=1))
    assert store.take([wide, fast, few, tight], NOW) == ()

    for _ in range(3):
        assert names(store.take([wide, fast, few, tight], NOW)) == ["tight"]

    found = {usage.limit.name: (usage.used, usage.in_flight) for usage in await used(store)}
    assert found == {"wide": (1, 0), "fast": (1, 0), "few": (0, 1), "tight": (1, 0)}


def test_every_exhausted_limit_is_named_so_that_the_tightest_can_answer() -> None:
    store = LocalCounters()
    charges = [
        charge(compiled_limit("day", requests=1)),
        charge(compiled_limit("minute", requests=1, window=MINUTE_MS)),
    ]
    store.take(charges, NOW)
    assert names(store.take(charges, NOW)) == ["day", "minute"]


async def test_a_limit_in_shadow_mode_refuses_nothing_and_counts_only_what_it_would_let_through() -> None:
    store = LocalCounters()
    enforced = charge(compiled_limit("enforced", requests=3))
    shadow = charge(compiled_limit("shadow", policy="s", shadow=True, requests=1))
    assert store.take([enforced, shadow], NOW) == ()

    assert names(store.take([enforced, shadow], NOW)) == ["shadow"]
    assert {each.limit.name: each.used for each in await used(store)} == {"enforced": 2, "shadow": 1}


def test_a_rate_lets_its_burst_through_at_once_and_then_its_pace() -> None:
    store, fast = LocalCounters(), charge(compiled_limit(requests=60, burst=5, window=MINUTE_MS))
    assert [store.take([fast], NOW) for _ in range(5)] == [()] * 5

    (found,) = store.take([fast], NOW)
    assert found.unit is Unit.REQUESTS
    assert found.retry_at == pytest.approx(NOW + 1, abs=1e-3)
    assert found.reset_at == pytest.approx(NOW + 5)
    assert store.take([fast], NOW + 1.001) == ()
    assert names(store.take([fast], NOW + 1.001)) == ["l"]


def test_a_slot_of_concurrency_is_free_again_once_its_request_is_over() -> None:
    store, few = LocalCounters(), charge(compiled_limit(concurrency=2))
    assert store.take([few], NOW) == store.take([few], NOW) == ()
    assert store.take([few], NOW) == (Exhaustion(few, Unit.CONCURRENCY, 2, 0, None, None),)

    store.release([few])
    assert store.take([few], NOW) == ()


async def test_units_of_a_call_that_never_reached_its_server_come_back_within_their_window_only() -> None:
    store, daily = LocalCounters(), charge(compiled_limit(requests=2))
    store.take([daily], NOW)
    store.take([daily], NOW + 1)
    store.give_back([daily], NOW + 1, NOW + 2)
    assert [usage.used for usage in await used(store, NOW + 2)] == [1]

    store.take([daily], NOW + DAY)
    store.give_back([daily], NOW, NOW + DAY)
    assert [usage.used for usage in await used(store, NOW + DAY)] == [1]


def test_a_result_may_cost_more_than_is_left_and_the_next_call_is_refused() -> None:
    store, budget = LocalCounters(), compiled_limit(budget=100)
    assert store.take([charge(budget)], NOW) == ()
    store.add([charge(budget, units=500)], NOW)

    (found,) = store.take([charge(budget)], NOW)
    assert (found.unit, found.remaining, found.retry_at) == (Unit.COST, 0, NOW + DAY)
    assert store.take([charge(budget, units=0)], NOW) == (), "what costs nothing is never refused"


def test_a_call_that_costs_more_than_the_whole_budget_has_no_time_to_come_back() -> None:
    store, budget = LocalCounters(), compiled_limit(budget=100)
    (found,) = store.take([charge(budget, units=101)], NOW)
    assert (found.remaining, found.retry_at) == (100, None)


def test_a_changed_limit_goes_on_with_what_was_used() -> None:
    store = LocalCounters()
    before, after = compiled_limit(requests=2), compiled_limit(requests=3)
    assert [store.take([charge(before)], NOW) for _ in range(2)] == [(), ()]
    assert names(store.take([charge(before)], NOW)) == ["l"]

    assert store.take([charge(after)], NOW) == ()
    assert names(store.take([charge(after)], NOW)) == ["l"]


def test_a_limit_that_becomes_another_kind_counts_again_and_keeps_its_requests_in_flight() -> None:
    store = LocalCounters()
    store.take([charge(compiled_limit(requests=1, concurrency=1))], NOW)
    rated = charge(compiled_limit(requests=5, window=MINUTE_MS, concurrency=1))
    (found,) = store.take([rated], NOW)
    assert found.unit is Unit.CONCURRENCY
    store.release([rated])
    assert store.take([rated], NOW) == ()


def test_keys_that_hold_nothing_make_room_for_new_ones() -> None:
    store, fast = LocalCounters(most_keys=50), compiled_limit(requests=1, window=MINUTE_MS)
    for second in range(500):
        assert store.take([charge(fast, str(second))], NOW + 120 * second) == ()
    assert (store.keys <= 50, store.overflows) == (True, 0)


def test_too_many_keys_share_one_counter_of_their_limit_and_never_get_more() -> None:
    store, daily = LocalCounters(most_keys=100), compiled_limit(requests=5)
    passed = sum(not store.take([charge(daily, f"invented-{number}")], NOW) for number in range(10_000))
    assert passed == 100 + 5
    assert store.keys == 101
    assert store.overflows == 9_900
    assert store.take([charge(daily, "invented-0")], NOW) == (), "a key with its own counter keeps it"


async def test_a_slot_taken_of_a_shared_counter_is_given_back_to_it() -> None:
    store, few = LocalCounters(most_keys=1), compiled_limit(concurrency=1)
    store.take([charge(few, "a")], NOW)
    store.take([charge(few, "b")], NOW)
    assert names(store.take([charge(few, "c")], NOW)) == ["l"]

    store.release([charge(few, "b")])
    assert store.take([charge(few, "c")], NOW) == ()
    store.release([charge(few, "a")])
    store.release([charge(few, "c")])
    assert await used(store) == []


async def test_usage_is_paged_in_the_order_of_keys_and_leaves_out_what_counts_nothing() -> None:
    store, daily = LocalCounters(), compiled_limit(requests=3)
    for who in "cabd":
        store.take([charge(daily, who)], NOW)
    store.give_back([charge(daily, "d")], NOW, NOW)

    first = await used(store, most=2)
    rest = await used(store, after=first[-1].key, most=2)
    assert [usage.key[-1] for usage in (*first, *rest)] == ["a", "b", "c"]
    assert first[0] == KeyUsage(daily, "uid-p/l/a", 1, 2, NOW + DAY, 0)


TAKES = st.lists(st.tuples(st.floats(-5, 40), st.integers(0, 4)), max_size=40)


@given(TAKES)
def test_the_counter_of_a_rate_decides_as_the_pure_arithmetic(takes: list[tuple[float, int]]) -> None:
    store, fast = LocalCounters(), compiled_limit(requests=30, burst=7, window=MINUTE_MS)
    assert fast.rate is not None
    level, now = rate.RateLevel(0.0, 0.0), NOW
    for pause, units in takes:
        now += pause
        expected = rate.take(fast.rate, level, units, now)
        level = expected.level
        assert (store.take([charge(fast, units=units)], now) == ()) is expected.allowed


@given(TAKES, st.sampled_from([{"window": 3_600_000}, {"period": "Hour"}]))
def test_the_counter_of_a_quota_decides_as_the_pure_arithmetic(
    takes: list[tuple[float, int]], window: dict[str, Any]
) -> None:
    store, hourly = LocalCounters(), compiled_limit(requests=9, **window)
    assert hourly.quota is not None
    count: quota.QuotaCount | None = None
    now = NOW
    for pause, units in takes:
        now += pause * 60
        expected = quota.take(hourly.quota, count, units, now)
        count = expected.counted
        assert (store.take([charge(hourly, units=units)], now) == ()) is expected.allowed


@given(st.lists(st.tuples(st.integers(0, 3), st.booleans()), max_size=60))
def test_whatever_comes_together_nothing_is_taken_beyond_an_amount(steps: list[tuple[int, bool]]) -> None:
    store = LocalCounters(most_keys=2)
    limits = [compiled_limit("a", requests=7), compiled_limit("b", budget=20), compiled_limit("c", concurrency=2)]
    flying: list[list[Charge]] = []
    passed = []
    for units, ends in steps:
        charges = [charge(limits[0]), charge(limits[1], units=units), charge(limits[2])]
        if not store.take(charges, NOW):
            flying.append(charges)
            passed.append(units)
        if ends and flying:
            store.release(flying.pop())
        assert len(flying) <= 2
    assert len(passed) <= 7
    assert sum(passed) <= 20
