"""Counters that workers share: whatever worker a call comes to, the same is decided as in one process."""

import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from limits import NOW, charge, compiled_limit

from ostiary_core.limits.charge import Charge
from ostiary_core.limits.compiled_limit import CompiledLimit
from ostiary_gateway.pod_state import robust_lock
from ostiary_gateway.pod_state.shared_memory import LIMITS, attach, create_shared_state, worker_ended
from ostiary_gateway.policy_limits.key_counters import new_counter
from ostiary_gateway.policy_limits.local_counters import LocalCounters
from ostiary_gateway.policy_limits.pod_counters import PodCounters
from ostiary_gateway.policy_limits.store import CounterStore, KeyUsage

MINUTE_MS = 60_000
#: A worker that takes one unit after the other of a limit of 1000, and says how many it got.
TAKER = """
import sys
sys.path.insert(0, sys.argv[3])
from limits import NOW, charge, compiled_limit
from ostiary_gateway.pod_state.shared_memory import LIMITS, attach
from ostiary_gateway.policy_limits.pod_counters import PodCounters
store = PodCounters(attach({LIMITS: int(sys.argv[1])}, LIMITS, workers=3), worker=int(sys.argv[2]))
both = [charge(compiled_limit("wide", requests=100_000)), charge(compiled_limit("tight", requests=1000))]
print(sum(store.take(both, NOW) == () for _ in range(700)))
"""
#: A worker that stops while it has the lock.
STOPPED = """
import os, signal
from ostiary_gateway.pod_state.shared_memory import LIMITS, attach
with attach({{LIMITS: {file}}}, LIMITS, workers=2).lock:
    print("held", flush=True)
    os.kill(os.getpid(), signal.SIGSTOP)
"""


COUNTED = [
    compiled_limit(requests=9),
    compiled_limit("hour", requests=9, window=3_600_000),
    compiled_limit("fast", requests=30, burst=7, window=MINUTE_MS),
    compiled_limit("period", requests=9, period="Hour"),
]


def workers(shared: Mapping[str, int], *, most_keys: int = 100_000) -> list[PodCounters]:
    return [PodCounters(attach(shared, LIMITS, workers=2), worker=each, most_keys=most_keys) for each in range(2)]


@pytest.fixture
def shared() -> dict[str, int]:
    return create_shared_state(workers=2)


def decided(store: CounterStore, charges: Sequence[Charge], now: float) -> list[tuple[object, ...]]:
    found = store.take(charges, now)
    assert isinstance(found, tuple)
    return [(each.charge.limit.name, *each[1:]) for each in found]


async def used(store: LocalCounters, limit: CompiledLimit, now: float = NOW) -> Sequence[KeyUsage]:
    """What all workers have used of a limit."""
    return await store.usage(now, limits={f"{limit.uid}/{limit.name}": limit}, after="", most=100)


def test_workers_count_together(shared: dict[str, int]) -> None:
    first, second = workers(shared)
    daily = charge(compiled_limit(requests=3))
    assert [store.take([daily], NOW) for store in (first, second, first)] == [(), (), ()]
    for store in (first, second):
        assert decided(store, [daily], NOW) == [("l", "requests", 3, 0, NOW + 86_400, NOW + 86_400, False)]


def test_processes_that_take_at_once_get_exactly_the_amount(shared: dict[str, int]) -> None:
    shared = create_shared_state(workers=3)
    file, support = shared[LIMITS], str(Path(__file__).parents[3] / "support")
    takers = [
        subprocess.Popen(
            [sys.executable, "-c", TAKER, str(file), str(each), support], pass_fds=[file], stdout=subprocess.PIPE
        )
        for each in range(3)
    ]
    got = [int(taker.communicate()[0]) for taker in takers]
    assert sum(got) == 1000


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["take", "take", "take", "add", "give back", "end"]),
        st.integers(0, 1),
        st.integers(0, 3),
        st.sampled_from("abc"),
        st.floats(-3, 30) | st.floats(0, 4000),
    ),
    max_size=60,
)


@given(STEPS)
def test_two_workers_decide_as_one_process_whichever_a_call_comes_to(
    steps: list[tuple[str, int, int, str, float]],
) -> None:
    both, one = workers(create_shared_state(workers=2)), LocalCounters()
    limits = [
        compiled_limit("fast", requests=30, burst=7, window=MINUTE_MS),
        compiled_limit("hour", requests=9, window=3_600_000),
        compiled_limit("period", requests=9, period="Hour"),
        compiled_limit("few", concurrency=2),
        compiled_limit("cost", budget=20, concurrency=3),
    ]
    now, flying = NOW, list[tuple[PodCounters, list[Charge]]]()
    for step, worker, units, who, pause in steps:
        now += pause
        store, charges = both[worker], [charge(limit, who, units) for limit in limits]
        if step == "take":
            found = decided(one, charges, now)
            assert decided(store, charges, now) == found
            flying += [(store, charges)] if not found else []
        elif step == "add":
            for each in (one, store):
                each.add(charges[:3], now)
        elif flying:  # the worker that has a call ends it
            served, ended = flying.pop()
            for each in (one, served):
                if step == "give back":
                    each.give_back(ended, now - 1, now)
                each.release(ended)
        assert [list(each[2:]) for each in store.peek(charges, now)] == [
            list(each[2:]) for each in one.peek(charges, now)
        ]


async def test_requests_in_flight_count_over_workers_and_end_with_the_worker_that_has_them(
    shared: dict[str, int],
) -> None:
    first, second = workers(shared)
    few = charge(compiled_limit("few", concurrency=2))
    assert first.take([few], NOW) == second.take([few], NOW) == ()
    assert decided(first, [few], NOW) == [("few", "concurrency", 2, 0, None, None, False)]
    assert [usage.in_flight for usage in await used(first, few.limit)] == [2]

    worker_ended(shared, index=0, workers=2)
    assert [usage.in_flight for usage in await used(second, few.limit)] == [1]
    assert second.take([few], NOW) == ()
    assert decided(second, [few], NOW) != []
    second.release([few, few])
    assert [usage.in_flight for usage in await used(second, few.limit)] == []


def test_a_changed_limit_goes_on_with_what_was_used_in_every_worker(shared: dict[str, int]) -> None:
    first, second = workers(shared)
    old, new = compiled_limit(requests=2), compiled_limit(requests=3, window=7_200_000)
    assert first.take([charge(old)], NOW) == second.take([charge(old)], NOW) == ()
    assert decided(first, [charge(new, units=2)], NOW + 1) == [("l", "requests", 3, 1, NOW + 7200, NOW + 7200, False)]
    assert first.take([charge(new)], NOW + 1) == ()
    assert decided(second, [charge(new)], NOW + 1) == [("l", "requests", 3, 0, NOW + 7200, NOW + 7200, False)]
    assert second.take([charge(new)], NOW + 7200) == first.take([charge(new)], NOW + 7200) == ()


def test_a_limit_of_another_kind_begins_again_and_keeps_its_requests_in_flight(shared: dict[str, int]) -> None:
    first, second = workers(shared)
    old = compiled_limit(requests=1, concurrency=2)
    new = compiled_limit(requests=1, window=MINUTE_MS, concurrency=2)
    assert first.take([charge(old)], NOW) == ()
    assert second.take([charge(new)], NOW) == ()
    assert decided(second, [charge(new)], NOW + 60) == [("l", "concurrency", 2, 0, None, None, False)]
    first.release([charge(old)])
    assert first.take([charge(new)], NOW + 60) == ()


async def test_a_request_that_ends_after_its_limit_has_lost_its_concurrency_is_counted_down(
    shared: dict[str, int],
) -> None:
    first, _ = workers(shared)
    old, new = compiled_limit(requests=5, concurrency=1), compiled_limit(requests=5)
    assert first.take([charge(old)], NOW) == first.take([charge(new)], NOW) == ()
    first.release([charge(old)])
    assert [(usage.used, usage.in_flight) for usage in await used(first, new)] == [(2, 0)]


def test_keys_that_count_nothing_any_more_make_room(shared: dict[str, int]) -> None:
    first, second = workers(shared, most_keys=50)
    fast = compiled_limit("fast", requests=1, window=MINUTE_MS)
    for each in range(20_000):
        store, who = (first, second)[each % 2], f"caller-{each}"
        assert store.take([charge(fast, who)], NOW + each * 60) == ()
    assert first.keys <= 50
    assert first.overflows == second.overflows == 0
    assert len(first._cells) + len(second._cells) < 200  # what is remembered of swept keys is bounded, too


def test_without_room_further_keys_share_one_counter_in_all_workers(shared: dict[str, int]) -> None:
    first, second = workers(shared, most_keys=2)
    daily = compiled_limit(requests=2)
    assert [first.take([charge(daily, who)], NOW) for who in "ab"] == [(), ()]
    assert first.take([charge(daily, "c")], NOW) == second.take([charge(daily, "d")], NOW) == ()
    assert decided(first, [charge(daily, "e")], NOW) != []
    assert (first.overflows, second.overflows) == (2, 1)
    assert second.take([charge(daily, "a")], NOW) == ()


def test_a_key_of_the_call_itself_is_not_swept_for_another_one(shared: dict[str, int]) -> None:
    first, _ = workers(shared, most_keys=1)
    daily, other = charge(compiled_limit(requests=1)), charge(compiled_limit("fast", requests=1))
    assert first.take([daily, other], NOW) == ()
    assert [each[0] for each in decided(first, [daily, other], NOW)] == ["l", "fast"]


async def test_each_worker_tells_what_all_have_used_of_all_keys(shared: dict[str, int]) -> None:
    first, second = workers(shared)
    daily = compiled_limit(requests=9)
    for store in (first, second, second):
        store.take([charge(daily)], NOW)
    second.take([charge(daily, "b")], NOW)
    for store in (first, second):
        assert [(usage.key[-1], usage.used) for usage in await used(store, daily)] == [("a", 3), ("b", 1)]
    assert await used(first, compiled_limit("fast", requests=1)) == []


async def test_a_worker_tells_of_keys_that_only_workers_used_that_have_ended(shared: dict[str, int]) -> None:
    ended, _ = workers(shared)
    daily = compiled_limit(requests=9)
    for who in ("käse", "b%2Fc", "x" * 300):
        ended.take([charge(daily, who)], NOW)
    worker_ended(shared, index=0, workers=2)
    fresh, _ = workers(shared)
    keys = [usage.key.rsplit("/", 1)[1] for usage in await used(fresh, daily)]
    assert keys == ["b%2Fc", "käse", "x" * 300]
    assert await used(fresh, daily, NOW + 90_000) == [], "the day is over"


@given(st.sampled_from(COUNTED), st.lists(st.tuples(st.integers(0, 4), st.floats(NOW, NOW + 200_000.0))))
def test_a_state_in_the_table_is_taken_of_as_one_in_memory(
    limit: CompiledLimit, takes: list[tuple[int, float]]
) -> None:
    stored, kept = new_counter(limit), new_counter(limit)
    state = (0.0, 0.0, 0.0)
    for units, now in takes:
        found = stored.taken_of(*state, units, now)
        is_taken = kept.take(units, now)
        assert (found is not None) is is_taken
        if found is not None:
            state = found[:3]
            assert state == kept.state
            assert found[3] == kept.counts_until


def test_limits_count_on_while_another_worker_is_stopped_and_a_warning_says_so(
    shared: dict[str, int], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(robust_lock, "WAIT_SECONDS", 0.01)
    _, second = workers(shared)
    code = STOPPED.format(file=shared[LIMITS])
    stopped = subprocess.Popen([sys.executable, "-c", code], pass_fds=[shared[LIMITS]], stdout=subprocess.PIPE)
    assert stopped.stdout is not None
    assert stopped.stdout.readline() == b"held\n"
    daily = charge(compiled_limit(requests=3))
    assert [second.take([daily], NOW) for _ in range(3)] == [(), (), ()]
    assert decided(second, [daily], NOW) != []
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    stopped.kill()
    stopped.communicate()
    assert decided(second, [daily], NOW) != []
    assert second.overdue == 4
