"""Refusals of several replicas: equal ones are one, with their sum."""

from random import Random

from hypothesis import given
from hypothesis import strategies as st

from ostiary_core.evidence.refusals import DistinctRefusal, joined_refusals

NOW = 1_790_000_000_000
refusals = st.builds(
    DistinctRefusal,
    proxy=st.sampled_from(["a/b", "c/d"]),
    method=st.just("tools/call"),
    name=st.sampled_from(["x", "y"]),
    is_shadow=st.booleans(),
    count=st.integers(1, 100),
    first=st.integers(NOW, NOW + 10),
    last=st.integers(NOW + 10, NOW + 20),
)


@given(st.lists(refusals, max_size=20), st.randoms())
def test_the_same_refusal_is_one_with_the_sum_of_its_counts(found: list[DistinctRefusal], random: Random) -> None:
    shuffled = list(found)
    random.shuffle(shuffled)
    joined = joined_refusals(found)
    assert joined == joined_refusals(shuffled)
    assert len({each.key for each in joined}) == len(joined)
    assert sum(each.count for each in joined) == sum(each.count for each in found)
    assert [each.last for each in joined] == sorted((each.last for each in joined), reverse=True)


def test_a_denial_and_what_would_be_one_are_two() -> None:
    real = DistinctRefusal(proxy="a/b", name="x", count=1, first=NOW, last=NOW)
    assert len(joined_refusals([real, real.model_copy(update={"is_shadow": True})])) == 2
