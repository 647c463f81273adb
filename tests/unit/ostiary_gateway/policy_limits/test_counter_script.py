"""The script counts as the arithmetic of the core does, at the times that the store's clock says."""

import random
import time
from collections.abc import Iterator
from dataclasses import replace
from zoneinfo import ZoneInfo

import pytest
import redis
from limit_replicas import concurrency_of, quota_of, rate_of
from redis_servers import redis_server

from ostiary_core.limits import quota as quotas
from ostiary_core.limits import rate as rates
from ostiary_core.limits.quota import Period, Quota, QuotaCount
from ostiary_core.limits.rate import RateLevel
from ostiary_gateway.policy_limits.counter_script import FIELDS, RESULTS, SCRIPT
from ostiary_gateway.policy_limits.store_messages import MICROSECONDS, Answer, Ask, answers, store_key

Store = redis.Redis


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    with redis_server(tmp_path_factory.mktemp("script")) as server, server.client() as client:
        yield client


@pytest.fixture(autouse=True)
def empty(store: Store) -> None:
    store.flushall()


def run(store: Store, mode: str, *asks: Ask, replica: str = "one") -> tuple[float, list[Answer]]:
    fields = [field for ask in asks for field in ask.fields(time.time())]
    assert len(fields) == len(FIELDS) * len(asks)
    names = [store_key(ask.limit, ask.key) for ask in asks]
    told = store.eval(SCRIPT, len(names), *names, mode, replica, *fields)
    assert isinstance(told, list)
    at, found = answers([int(each) for each in told])
    return at / MICROSECONDS, found


@pytest.mark.parametrize("seed", range(5))
def test_rates_are_counted_as_the_core_counts_them(store: Store, seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311  not for secrets
    limit = rate_of(chance.randint(1, 50), window=chance.choice([1.0, 60.0]), burst=chance.randint(1, 60))
    level = RateLevel()
    assert limit.rate is not None
    for _ in range(200):
        units = chance.choice([0, 1, 1, 1, 2, 5, limit.rate.burst, limit.rate.burst + 1])
        at, [answer] = run(store, "take", Ask(limit, "key", units))
        decision = rates.take(limit.rate, level, units, at)
        level = decision.level
        assert answer.fits == decision.allowed
        assert abs(answer.remaining - decision.remaining) <= 1, "rounding"
        assert abs(answer.reset / MICROSECONDS - decision.reset_at) < 1e-3
        if not decision.allowed and units <= limit.rate.burst:
            assert abs(answer.retry / MICROSECONDS - (at + decision.retry_after)) < 1e-3
        if units > limit.rate.burst:
            assert answer.retry == -1, "never"


@pytest.mark.parametrize(
    "quota",
    [
        Quota(20, 3600.0),
        Quota(7, 86_400.0),
        *(Quota(15, period=each, zone=ZoneInfo("Europe/Berlin")) for each in Period),
    ],
)
def test_quotas_are_counted_as_the_core_counts_them(store: Store, quota: Quota) -> None:
    chance = random.Random(quota.amount)  # noqa: S311  not for secrets
    limit = replace(quota_of(1), quota=quota)
    count: QuotaCount | None = None
    for units in [1, *chance.choices([0, 1, 1, 2, 3, quota.amount + 1], k=60)]:
        at, [answer] = run(store, "take", Ask(limit, "key", units))
        decision = quotas.take(quota, count, units, at)
        count = decision.counted
        assert answer.fits == decision.allowed
        assert answer.remaining == decision.remaining
        assert answer.used == decision.counted.used
        assert abs(answer.reset / MICROSECONDS - decision.reset_at) < 1e-3


def test_of_several_counters_all_change_or_none(store: Store) -> None:
    wide, narrow = quota_of(10, name="wide"), quota_of(1, name="narrow")
    run(store, "take", Ask(narrow, "narrow"), Ask(narrow, "narrow", 1))
    _, [first, second] = run(store, "take", Ask(wide, "wide", 1), Ask(narrow, "narrow", 1))
    assert (first.fits, second.fits) == (True, False)
    _, [told] = run(store, "read", Ask(wide, "wide"))
    assert told.used == 0


def test_a_limit_in_shadow_mode_refuses_nothing_and_the_others_are_counted(store: Store) -> None:
    shadow, real = quota_of(1, name="shadow", shadow=True), quota_of(5, name="real")
    told = [run(store, "take", Ask(shadow, "s", 1), Ask(real, "r", 1))[1] for _ in range(3)]
    assert [each.fits for each in told[-1]] == [False, True]
    assert [each.used for each in told[-1]] == [1, 3]


def test_every_counter_expires(store: Store) -> None:
    run(store, "take", Ask(quota_of(5), "q", 1), Ask(rate_of(5, window=60), "r", 1))
    run(store, "take", Ask(concurrency_of(5), "c", in_flight=1, sequence=1))
    lives = {name: store.pttl(name) for name in store.scan_iter()}
    assert len(lives) == 3
    assert all(0 < int(life) <= 86_402_000 for life in lives.values()), lives


def test_a_counter_that_was_only_read_is_not_made(store: Store) -> None:
    run(store, "read", Ask(quota_of(5), "q"), Ask(rate_of(5, window=60), "r"))
    assert store.keys() == []


def test_requests_in_flight_of_a_replica_that_died_stop_counting(store: Store) -> None:
    limit = concurrency_of(2)
    store.hset(store_key(limit, "c"), "f:dead", "2:1:1")
    _, [answer] = run(store, "take", Ask(limit, "c", in_flight=1, sequence=1))
    assert answer.has_slot


def test_an_older_count_of_requests_in_flight_does_not_replace_a_newer_one(store: Store) -> None:
    limit = concurrency_of(2)
    run(store, "take", Ask(limit, "c", in_flight=2, sequence=9))
    run(store, "settle", Ask(limit, "c", in_flight=1, sequence=8))
    _, [answer] = run(store, "take", Ask(limit, "c", in_flight=1, sequence=1), replica="two")
    assert not answer.has_slot


def test_units_are_leased_up_to_a_sixteenth_of_what_is_left(store: Store) -> None:
    limit = quota_of(100)
    _, [answer] = run(store, "take", Ask(limit, "q", 1, lease=1000, age=1.0))
    assert (answer.granted, answer.remaining) == (6, 93)
    _, [answer] = run(store, "take", Ask(limit, "q", 80, lease=1000, age=1.0))
    assert (answer.granted, answer.remaining) == (0, 13), "near the end none"


def test_units_of_a_rate_are_leased_only_where_the_window_stays_within_the_limit(store: Store) -> None:
    limit = rate_of(600, window=60.0)
    _, [answer] = run(store, "take", Ask(limit, "r", 1, lease=100, age=1.0))
    assert answer.granted == 0, "with nothing used, a lease would add to a whole burst a second later"
    run(store, "take", Ask(limit, "r", 20, lease=0))
    _, [answer] = run(store, "take", Ask(limit, "r", 1, lease=100, age=1.0))
    assert answer.granted > 0


def test_units_go_back_only_into_the_window_they_came_from(store: Store) -> None:
    limit = quota_of(10)
    at, _ = run(store, "take", Ask(limit, "q", 5))
    run(store, "settle", Ask(limit, "q", -2, taken=round((at - 1) * MICROSECONDS)))
    assert run(store, "read", Ask(limit, "q"))[1][0].used == 5
    run(store, "settle", Ask(limit, "q", -2, taken=round((at + 1) * MICROSECONDS)))
    assert run(store, "read", Ask(limit, "q"))[1][0].used == 3


def test_added_units_may_pass_the_amount_but_a_rate_recovers_within_a_window(store: Store) -> None:
    quota, rate = quota_of(10), rate_of(10, window=60.0)
    run(store, "settle", Ask(quota, "q", 1000), Ask(rate, "r", 1_000_000))
    _, [of_quota, of_rate] = run(store, "read", Ask(quota, "q"), Ask(rate, "r"))
    assert (of_quota.used, of_quota.remaining) == (1000, 0)
    assert of_rate.used <= 20


def test_the_answer_has_the_documented_results(store: Store) -> None:
    _, [answer] = run(store, "read", Ask(quota_of(1), "q"))
    assert Answer._fields == RESULTS
    assert answer == Answer(True, True, 0, 1, 0, 0, answer.reset)


@pytest.mark.parametrize("values", [[], [1, 2], [1] * 7])
def test_another_answer_is_no_answer(values: list[int]) -> None:
    with pytest.raises(ValueError, match="not an answer"):
        answers(values)
