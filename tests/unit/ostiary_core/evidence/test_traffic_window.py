"""Windows are sums: joining them loses and invents nothing, in whatever order."""

from functools import reduce
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from ostiary_core.evidence.latency import BUCKETS
from ostiary_core.evidence.traffic_window import TrafficWindow, joined_by_start, total, window_start

NOW = 1_790_000_000_000
numbers = st.integers(0, 10**9)
kinds = st.dictionaries(st.sampled_from(["tools/call", "tools/list", "", "200", "timeout"]), numbers, max_size=5)
windows = st.builds(
    TrafficWindow,
    at=st.integers(0, 5).map(lambda number: NOW + number * 10_000),
    calls=numbers,
    errors=numbers,
    denied=numbers,
    seconds=st.integers(0, 10**6).map(float),
    upstream_seconds=st.integers(0, 10**6).map(float),
    slowest=st.integers(0, 300).map(float),
    buckets=st.lists(numbers, min_size=BUCKETS, max_size=BUCKETS).map(tuple),
    methods=kinds,
    statuses=kinds,
    error_types=kinds,
    outcomes=kinds,
)


@given(st.lists(windows, max_size=6), st.randoms())
def test_a_total_does_not_depend_on_the_order(found: list[TrafficWindow], random: Random) -> None:
    shuffled = list(found)
    random.shuffle(shuffled)
    assert total(found, at=NOW) == total(shuffled, at=NOW)


@given(st.lists(windows, max_size=8))
def test_joining_by_start_keeps_every_request(found: list[TrafficWindow]) -> None:
    joined = joined_by_start(found)
    assert [each.at for each in joined] == sorted({each.at for each in found})
    assert total(joined, at=NOW) == total(found, at=NOW)
    assert sum(each.calls for each in joined) == sum(each.calls for each in found)


@given(windows, windows, windows)
def test_joining_is_associative(one: TrafficWindow, two: TrafficWindow, three: TrafficWindow) -> None:
    assert one.joined(two).joined(three) == one.joined(two.joined(three))


def test_the_mean_and_quantiles_are_those_of_all_requests() -> None:
    fast = TrafficWindow(at=NOW, calls=9, seconds=0.9, upstream_seconds=0.45, buckets=(9, *[0] * (BUCKETS - 1)))
    slow = TrafficWindow(at=NOW, calls=1, seconds=9.1, buckets=(*[0] * 12, 1, *[0] * (BUCKETS - 13)), slowest=9.1)
    both = reduce(TrafficWindow.joined, [fast, slow])
    assert both.mean == pytest.approx(1.0)
    assert both.upstream_mean == pytest.approx(0.045)
    assert both.slowest == 9.1
    assert both.quantile(0.5) == pytest.approx(0.0005 * 5 / 9)


def test_a_window_without_requests_has_no_mean() -> None:
    empty = TrafficWindow(at=NOW)
    assert (empty.mean, empty.upstream_mean, empty.quantile(0.9)) == (None, None, None)


@given(st.integers(0, 2**42), st.sampled_from([10, 900]))
def test_windows_begin_at_multiples_of_their_length(at: int, seconds: int) -> None:
    begin = window_start(at, seconds)
    assert begin % (seconds * 1000) == 0
    assert begin <= at < begin + seconds * 1000


@pytest.mark.parametrize(
    "hostile",
    [
        {"calls": -1},
        {"calls": "1"},
        {"calls": 2**60},
        {"seconds": float("nan")},
        {"seconds": float("inf")},
        {"slowest": -1.0},
        {"buckets": [1]},
        {"buckets": [True] * BUCKETS},
        {"methods": {"x" * 65: 1}},
        {"methods": {str(number): 1 for number in range(200)}},
        {"at": -1},
        {"at": 2**50},
    ],
)
def test_a_window_that_no_gateway_sends_is_refused(hostile: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        TrafficWindow.model_validate({"at": NOW, **hostile})


def test_a_member_of_a_newer_gateway_is_ignored() -> None:
    found = TrafficWindow.model_validate({"at": NOW, "calls": 1, "newer": {"x": 1}, "buckets": [0] * BUCKETS})
    assert found.calls == 1
