"""Bounds of a pod: its workers together never pass them, and one that is busy may use what others do not."""

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any, cast

import pytest
from gateways import BOUNDS
from hypothesis import given
from hypothesis import strategies as st
from limiter_peer import LimiterPeer

from ostiary_core.contract.bounds import ShareConfig
from ostiary_gateway.errors import Refusal
from ostiary_gateway.limits import checks
from ostiary_gateway.limits.pod_grants import Grants
from ostiary_gateway.limits.pod_limiter import PodLimiter
from ostiary_gateway.limits.reservation import Reservation
from ostiary_gateway.pipeline.refusal_responses import response_for
from ostiary_gateway.pod_state.shared_memory import BOUNDS as TABLE
from ostiary_gateway.pod_state.shared_memory import attach, create_shared_state, worker_ended

#: Bounds that no test reaches.
WIDE = BOUNDS.model_copy(update={"requests_in_flight": 1_000_000, "streams": 1_000_000})


class Worker:
    """One worker of a pod, and what is open in it."""

    def __init__(self, shared: Mapping[str, int], index: int, **bounds: Any) -> None:
        grants = Grants(attach(shared, TABLE, workers=2), worker=index)
        self.limiter = PodLimiter(lambda refusal: response_for(refusal, None), grants=grants)
        self.limiter.set_bounds(WIDE.model_copy(update=bounds), trusted_proxies=[])
        self.requests: list[tuple[Reservation, Any]] = []

    def admit(self, peer: str = "192.0.2.1", principal: str = "p", *, size: int = 0) -> bool:
        over = LimiterPeer(peer)
        if self.limiter.opened(cast("Any", over)) is not None:
            return False
        request = cast("Any", SimpleNamespace(headers={}, connection=over, complete=True))
        reservation = Reservation()
        try:
            self.limiter.admit(reservation, request, proxy="a", principal=principal, is_stream=False)
            checks.reserve_request_bytes(reservation, size)
        except Refusal:
            self.limiter.release(reservation, request)
            self.limiter.closed(cast("Any", over))
            return False
        self.requests.append((reservation, request))
        return True

    def end(self, place: int = 0) -> None:
        reservation, request = self.requests.pop(place)
        self.limiter.release(reservation, request)
        self.limiter.closed(request.connection)


@pytest.fixture
def shared() -> dict[str, int]:
    return create_shared_state(workers=2)


@pytest.mark.parametrize("most", [1, 3, 200, 1000])
def test_workers_together_never_pass_a_bound_and_reach_nearly_all_of_it(shared: dict[str, int], most: int) -> None:
    share = ShareConfig(requests_in_flight=most)
    first, second = (Worker(shared, index, per_principal=share) for index in range(2))
    admitted = sum((first, second)[each % 3 == 0].admit() for each in range(2 * most))
    assert most - most // 64 <= admitted <= most
    assert second.admit(principal="q")

    while first.requests:
        first.end()
    while second.admit():
        pass
    assert most - most // 64 <= len(second.requests) - 1 <= most  # without that of the other principal


def test_a_worker_that_is_busy_uses_what_idle_ones_do_not(shared: dict[str, int]) -> None:
    share = ShareConfig(requests_in_flight=640)
    busy, idle = (Worker(shared, index, per_source=share) for index in range(2))
    assert sum(busy.admit() for _ in range(1000)) == 630
    assert sum(idle.admit() for _ in range(1000)) == 10


def test_what_is_little_of_a_bound_asks_no_other_worker(shared: dict[str, int]) -> None:
    worker = Worker(shared, 0)
    assert worker.admit(size=1000)
    assert attach(shared, TABLE, workers=2).keys == 0


@pytest.mark.parametrize("bound", ["connections", "bytes_in_flight"])
def test_connections_and_bytes_count_over_the_pod_too(shared: dict[str, int], bound: str) -> None:
    share = ShareConfig(connections=10) if bound == "connections" else ShareConfig(bytes_in_flight=1000)
    first, second = (Worker(shared, index, per_source=share) for index in range(2))
    size = 0 if bound == "connections" else 100
    assert sum((first, second)[each % 2].admit(size=size) for each in range(30)) == 10


def test_a_refusal_at_one_bound_keeps_nothing_of_another(shared: dict[str, int]) -> None:
    bounds = {"per_source": ShareConfig(requests_in_flight=2), "per_principal": ShareConfig(requests_in_flight=1)}
    first, second = (Worker(shared, index, **bounds) for index in range(2))
    assert first.admit()
    assert not first.admit()
    assert second.admit(principal="q")


def test_what_a_worker_used_is_free_again_when_it_has_ended(shared: dict[str, int]) -> None:
    share = ShareConfig(requests_in_flight=5)
    first, second = (Worker(shared, index, per_principal=share) for index in range(2))
    assert sum(first.admit() for _ in range(9)) == 5
    assert not second.admit()
    worker_ended(shared, index=0, workers=2)
    assert sum(second.admit() for _ in range(9)) == 5


def test_new_settings_hold_for_what_is_in_use(shared: dict[str, int]) -> None:
    first, second = (Worker(shared, index, per_principal=ShareConfig(requests_in_flight=5)) for index in range(2))
    assert sum(first.admit() for _ in range(9)) == 5
    for worker in (first, second):
        worker.limiter.set_bounds(
            BOUNDS.model_copy(update={"per_principal": ShareConfig(requests_in_flight=7)}), trusted_proxies=[]
        )
    assert sum(second.admit() for _ in range(9)) == 2


def test_a_process_carries_no_more_connections_than_its_files_allow(shared: dict[str, int]) -> None:
    worker = Worker(shared, 0)
    worker.limiter.carried = 100
    worker.limiter.set_bounds(BOUNDS.model_copy(update={"connections": 16384}), trusted_proxies=[])
    assert sum(worker.admit(peer=f"192.0.2.{each % 250}") for each in range(300)) == 100
    assert worker.limiter.carried == 100


STEPS = st.lists(
    st.tuples(st.integers(0, 1), st.sampled_from(["in", "in", "out"]), st.integers(0, 300_000), st.integers(0, 9)),
    max_size=80,
)


@given(STEPS, st.sampled_from([3, 70, 300]))
def test_whatever_comes_and_goes_all_is_free_in_the_end(steps: list[tuple[int, str, int, int]], most: int) -> None:
    shared = create_shared_state(workers=2)
    bounds = {
        "requests_in_flight": most,
        "bytes_in_flight": 1_000_000,
        "per_source": ShareConfig(requests_in_flight=max(1, most // 2), connections=5, bytes_in_flight=800_000),
        "per_principal": ShareConfig(requests_in_flight=2),
    }
    both = [Worker(shared, index, **bounds) for index in range(2)]
    for index, step, size, who in steps:
        worker = both[index]
        if step == "in":
            worker.admit(f"192.0.2.{who}", str(who), size=size)
        elif worker.requests:
            worker.end(who % len(worker.requests))
        total = sum(each.limiter.total.requests for each in both)
        assert total <= most
        assert sum(each.limiter.total.bytes for each in both) <= 1_000_000 + 2 * 300_000  # one alone always finds room
    for worker in both:
        while worker.requests:
            worker.end()
    table = attach(shared, TABLE, workers=2)
    columns = table.memory[table.layout.columns_at(0) : table.layout.columns_at(2)]
    assert not any(columns)
    assert not any(len(scope.allowances) for worker in both for scope in worker.limiter.scopes)  # type: ignore[attr-defined]
