"""Three replicas count together in one Redis: never more than a limit, leased units go back, nothing is lost."""

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import pytest
from limit_replicas import (
    charge,
    concurrency_of,
    count_taken,
    quota_of,
    rate_of,
    replicas,
    store_config,
    take,
    until,
)
from redis_servers import RedisServer, redis_cluster, redis_server

from ostiary_core.limits.compiled_limit import CompiledLimit
from ostiary_gateway.policy_limits.counter_script import SHARE
from ostiary_gateway.policy_limits.shared_counters import SharedCounters
from ostiary_gateway.policy_limits.store import Unit
from ostiary_gateway.policy_limits.store_messages import store_key

LeaseMode = Literal["Auto", "Off"]
AMOUNT = 100


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with redis_server(tmp_path_factory.mktemp("counters")) as found:
        yield found


@pytest.fixture(autouse=True)
def empty(server: RedisServer) -> None:
    with server.client() as client:
        client.flushall()


def used(server: RedisServer, limit: CompiledLimit) -> float:
    """What the store counts as used of a limit by one agent."""
    with server.client() as client:
        return float(client.hget(store_key(limit, charge(limit).key), "u") or 0)


async def test_without_leases_exactly_the_amount_is_let_through(server: RedisServer) -> None:
    limit = quota_of(AMOUNT)
    async with replicas(store_config(server.address)) as counters:
        assert await count_taken(counters, charge(limit), calls=150) == AMOUNT
        assert sum(each.takes.messages for each in counters) == 150, "one message for each call"


async def test_with_leases_it_is_never_more_and_at_most_a_sixteenth_for_each_other_replica_less(
    server: RedisServer,
) -> None:
    limit = quota_of(AMOUNT)
    async with replicas(store_config(server.address, leases="Auto")) as counters:
        let_through = await count_taken(counters, charge(limit), calls=150)
        assert AMOUNT - 2 * (AMOUNT // SHARE) <= let_through <= AMOUNT
        held = sum(key.leased for each in counters for key in each.keys.every())
        assert let_through + held == used(server, limit) <= AMOUNT, "each unit is counted once"


async def test_what_other_replicas_hold_goes_back_and_can_then_be_used(server: RedisServer) -> None:
    limit = quota_of(AMOUNT)
    async with replicas(store_config(server.address, leases="Auto")) as counters:
        let_through = await count_taken(counters, charge(limit), calls=150)
        later = time.time() + 2
        for each in counters:
            each.sweep(later)
        await until(lambda: used(server, limit) == let_through)
        await until(lambda: all(key.refused_until < time.time() for each in counters for key in each.keys.every()))
        rest = 0
        for number in range(AMOUNT):
            rest += not await take(counters[number % 3], charge(limit))
        assert let_through + rest == AMOUNT


async def test_a_key_in_frequent_use_needs_far_less_than_one_message_a_call(server: RedisServer) -> None:
    limit = quota_of(100_000)
    async with replicas(store_config(server.address, leases="Auto"), number=1) as [one]:
        for _ in range(1000):
            assert await take(one, charge(limit)) == ()
        assert one.takes.messages < 100
        assert one.takes.messages + one.leased_calls == 1000


async def test_a_key_in_rare_use_is_not_held_back_from_others(server: RedisServer) -> None:
    limit = quota_of(AMOUNT)
    async with replicas(store_config(server.address, leases="Auto"), number=1) as [one]:
        await take(one, charge(limit))
        assert used(server, limit) == 1


@pytest.mark.parametrize("leases", ["Auto", "Off"])
async def test_a_rate_admits_at_most_burst_and_amount_in_a_window(server: RedisServer, leases: LeaseMode) -> None:
    limit = rate_of(200, window=1.0, burst=50)
    async with replicas(store_config(server.address, leases=leases)) as counters:
        admitted: list[float] = []

        async def call_again_and_again(one: SharedCounters) -> None:
            while not admitted or time.time() - admitted[0] < 2.5:
                if not await take(one, charge(limit)):
                    admitted.append(time.time())
                await asyncio.sleep(0)

        await asyncio.gather(*(call_again_and_again(one) for one in counters for _ in range(3)))
    admitted.sort()
    within = max(sum(start <= each < start + 1.0 for each in admitted) for start in admitted[:: len(admitted) // 50])
    # An answer is noted a moment after the store counted, so a window seen from here may have a few more.
    assert within <= 250 * 1.1


@pytest.mark.parametrize("leases", ["Auto", "Off"])
async def test_a_refused_call_takes_nothing_of_its_other_limits(server: RedisServer, leases: LeaseMode) -> None:
    wide, narrow = quota_of(1000, name="wide"), quota_of(2, name="narrow")
    async with replicas(store_config(server.address, leases=leases)) as counters:
        for number in range(30):
            await take(counters[number % 3], charge(wide), charge(narrow))
        for each in counters:
            each.sweep(time.time() + 2)
        await until(lambda: used(server, wide) == 2)


async def test_a_refusal_says_what_is_left_and_when_to_come_back(server: RedisServer) -> None:
    limit = quota_of(3)
    async with replicas(store_config(server.address)) as [one, *_]:
        began = time.time()
        for _ in range(3):
            await take(one, charge(limit))
        [found] = await take(one, charge(limit))
        assert (found.unit, found.limit, found.remaining) == (Unit.REQUESTS, 3, 0)
        assert found.retry_at == found.reset_at
        assert found.reset_at is not None
        assert abs(found.reset_at - began - 86_400) < 60
        [again] = await take(one, charge(limit))
        assert again.reset_at == found.reset_at, "it stays the same"


async def test_more_units_than_a_limit_has_never_fit(server: RedisServer) -> None:
    async with replicas(store_config(server.address)) as [one, *_]:
        [found] = await take(one, charge(quota_of(3), units=4))
        assert found.retry_at is None


async def test_a_limit_in_shadow_mode_is_reported_and_the_call_goes_on(server: RedisServer) -> None:
    shadow, real = quota_of(1, name="shadow", shadow=True), quota_of(10, name="real")
    async with replicas(store_config(server.address, leases="Auto"), number=1) as [one]:
        found = [await take(one, charge(shadow), charge(real)) for _ in range(5)]
        assert [len(each) for each in found] == [0, 1, 1, 1, 1]
        one.sweep(time.time() + 2)
        await until(lambda: used(server, real) == 5)
        assert used(server, shadow) == 1


async def test_units_of_a_call_that_failed_go_back(server: RedisServer) -> None:
    limit = quota_of(1)
    async with replicas(store_config(server.address)) as [one, two, _]:
        now = time.time()
        assert await take(one, charge(limit), at=now) == ()
        one.give_back([charge(limit)], now, time.time())
        await until(lambda: used(server, limit) == 0)
        assert await take(two, charge(limit)) == ()


async def test_the_cost_of_a_result_is_added_even_beyond_the_budget(server: RedisServer) -> None:
    limit = quota_of(10, counts_cost=True)
    async with replicas(store_config(server.address)) as [one, two, _]:
        assert await take(one, charge(limit)) == ()
        one.add([charge(limit, 30)], time.time())
        await until(lambda: used(server, limit) == 31)
        [found] = await take(two, charge(limit))
        assert (found.unit, found.remaining) == (Unit.COST, 0)


async def test_requests_in_flight_are_counted_across_replicas(server: RedisServer) -> None:
    limit = concurrency_of(2)
    async with replicas(store_config(server.address)) as [one, two, three]:
        assert await take(one, charge(limit)) == ()
        assert await take(two, charge(limit)) == ()
        [found] = await take(three, charge(limit))
        assert (found.unit, found.limit) == (Unit.CONCURRENCY, 2)
        one.release([charge(limit)])
        await until(lambda: not one.settlements.busy)
        assert await take(three, charge(limit)) == ()


@pytest.mark.parametrize("leases", ["Auto", "Off"])
async def test_of_many_requests_at_once_no_more_than_the_slots_are_in_flight(
    server: RedisServer, leases: LeaseMode
) -> None:
    limit = concurrency_of(5)
    in_flight, most = 0, 0
    async with replicas(store_config(server.address, leases=leases)) as counters:

        async def call(one: SharedCounters) -> None:
            nonlocal in_flight, most
            if not await take(one, charge(limit)):
                in_flight += 1
                most = max(most, in_flight)
                await asyncio.sleep(0.001)
                in_flight -= 1
                one.release([charge(limit)])

        for _ in range(5):
            await asyncio.gather(*(call(counters[number % 3]) for number in range(60)))
        assert 0 < most <= 5
        for each in counters:
            assert all(key.in_flight == 0 for key in each.keys.every())


async def test_a_replica_that_ends_gives_everything_back(server: RedisServer) -> None:
    limit, slots = quota_of(1000), concurrency_of(1, name="slots")
    async with replicas(store_config(server.address, leases="Auto"), number=1) as [one]:
        for _ in range(10):
            await take(one, charge(limit))
        await take(one, charge(slots))
        assert used(server, limit) > 10
    assert used(server, limit) == 10
    async with replicas(store_config(server.address), number=1) as [two]:
        assert await take(two, charge(slots)) == ()


async def test_a_caller_that_leaves_while_it_waits_takes_nothing(server: RedisServer) -> None:
    limit = quota_of(10)
    async with replicas(store_config(server.address), number=1) as [one]:
        await take(one, charge(limit))
        server.pause()
        leaving = asyncio.ensure_future(take(one, charge(limit)))
        await until(lambda: one.takes.messages == 2)
        leaving.cancel()
        await asyncio.gather(leaving, return_exceptions=True)
        server.resume()
        await until(lambda: not one.settlements.busy and used(server, limit) == 1)


async def test_an_agent_that_floods_an_exhausted_key_does_not_flood_the_store(server: RedisServer) -> None:
    limit = quota_of(1)
    async with replicas(store_config(server.address, leases="Auto"), number=1) as [one]:
        for _ in range(500):
            await take(one, charge(limit))
        assert one.takes.messages < 100


async def test_keys_that_are_remembered_are_bounded_and_the_store_counts_on(server: RedisServer) -> None:
    limit = quota_of(2)
    async with replicas(store_config(server.address), number=1) as [one]:
        one.keys._most_keys = 50  # the real bound would take long
        for _ in range(2):
            assert not any([await take(one, charge(limit, who=f"agent-{number}")) for number in range(100)])
        assert all([await take(one, charge(limit, who=f"agent-{number}")) for number in range(100)]), "each had two"
        assert len(one.keys) <= 51


async def test_consumption_is_that_of_all_replicas(server: RedisServer) -> None:
    limit = quota_of(100)
    async with replicas(store_config(server.address, leases="Auto")) as counters:
        for number in range(9):
            await take(counters[number % 3], charge(limit))
        limits = {f"{limit.uid}/{limit.name}": limit}
        found = counters[0].usage(time.time(), limits=limits, after="", most=10)
        assert not isinstance(found, list)
        [usage] = await found  # type: ignore[misc]
        held = sum(key.leased for each in counters[1:] for key in each.keys.every())
        assert usage.used == 9 + held
        other = counters[0].usage(time.time(), limits={"another/limit": limit}, after="", most=10)
        assert await other == []  # type: ignore[misc]


async def test_what_is_exhausted_is_known_without_asking(server: RedisServer) -> None:
    limit = quota_of(1)
    async with replicas(store_config(server.address)) as [one, *_]:
        assert one.peek([charge(limit)], time.time()) == ()
        await take(one, charge(limit))
        [found] = one.peek([charge(limit)], time.time())
        assert found.remaining == 0
        assert one.peek([charge(limit)], time.time() + 86_401) == (), "it is whole again"


async def test_in_a_cluster_counters_of_several_namespaces_are_taken_in_turn(tmp_path: Path) -> None:
    wide = quota_of(1000, policy="ostiary-system/platform")
    narrow = quota_of(AMOUNT, policy="tools/limits")
    with redis_cluster(tmp_path) as nodes:
        config = store_config(*(node.address for node in nodes), mode="Cluster")
        async with replicas(config) as counters:
            taken = await asyncio.gather(*(take(counters[n % 3], charge(wide), charge(narrow)) for n in range(150)))
            assert sum(not refused for refused in taken) == AMOUNT

            async def used_of(limit: CompiledLimit) -> int:
                limits = {f"{limit.uid}/{limit.name}": limit}
                [usage] = await counters[0].usage(time.time(), limits=limits, after="", most=9)  # type: ignore[misc]
                return int(usage.used)

            assert await used_of(narrow) == AMOUNT
            async with asyncio.timeout(60):
                while await used_of(wide) != AMOUNT:  # noqa: ASYNC110  what was taken for refused calls goes back
                    await asyncio.sleep(0.01)
