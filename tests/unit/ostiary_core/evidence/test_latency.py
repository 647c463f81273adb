"""Quantiles are those of Prometheus: the same number on a page and on a board."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ostiary_core.evidence.latency import BOUNDARIES, BUCKETS, bucket_of, quantile

counts = st.lists(st.integers(0, 10**6), min_size=BUCKETS, max_size=BUCKETS)


def in_bucket(**numbers: int) -> list[int]:
    """Counts that are 0 except in some buckets, by their index."""
    found = [0] * BUCKETS
    for name, number in numbers.items():
        found[int(name.removeprefix("b"))] = number
    return found


@pytest.mark.parametrize(
    ("rank", "found", "seconds"),
    [
        (0.5, in_bucket(b0=10), 0.00025),
        (0.9, in_bucket(b4=10), 0.0095),
        (0.5, in_bucket(b3=5, b4=5), 0.005),
        (0.99, in_bucket(b0=1, b18=99), 300),
        (0.25, in_bucket(b0=50, b17=50), 0.00025),
    ],
)
def test_a_quantile_is_interpolated_within_its_bucket(rank: float, found: list[int], seconds: float) -> None:
    assert quantile(rank, found) == pytest.approx(seconds)


def test_without_observations_there_is_no_quantile() -> None:
    assert quantile(0.5, [0] * BUCKETS) is None


@pytest.mark.parametrize("rank", [0, 1, -0.5, 2, float("nan")])
def test_a_rank_outside_of_0_to_1_is_an_error(rank: float) -> None:
    with pytest.raises(ValueError, match="rank"):
        quantile(rank, [1] * BUCKETS)


def test_counts_of_other_buckets_are_an_error() -> None:
    with pytest.raises(ValueError, match="counts"):
        quantile(0.5, [1, 2])


def test_an_upper_bound_is_inclusive() -> None:
    assert [bucket_of(bound) for bound in BOUNDARIES] == list(range(len(BOUNDARIES)))
    assert bucket_of(BOUNDARIES[-1] + 1) == BUCKETS - 1


@given(counts, st.floats(0.001, 0.999), st.floats(0.001, 0.999))
def test_quantiles_grow_with_their_rank_and_stay_within_the_boundaries(
    found: list[int], one: float, other: float
) -> None:
    low, high = quantile(min(one, other), found), quantile(max(one, other), found)
    if low is None or high is None:
        assert not any(found)
    else:
        assert 0 <= low <= high <= BOUNDARIES[-1]
