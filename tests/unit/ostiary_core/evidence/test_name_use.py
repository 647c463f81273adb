"""The most used names: bounded, exact in sum, independent of the order."""

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ostiary_core.evidence.name_use import MOST_NAMES, NameUse, joined_uses, most_used

NOW = 1_790_000_000_000
uses = st.builds(
    NameUse,
    method=st.sampled_from(["tools/call", "prompts/get"]),
    name=st.integers(0, 90).map("tool-{}".format),
    calls=st.integers(0, 1000),
    errors=st.integers(0, 1000),
    seconds=st.integers(0, 1000).map(float),
    slowest=st.integers(0, 300).map(float),
)


@given(st.lists(uses, max_size=200), st.randoms())
def test_what_is_not_named_is_counted_among_the_others(found: list[NameUse], random: Random) -> None:
    shuffled = list(found)
    random.shuffle(shuffled)
    ranked = most_used(NOW, found)
    assert ranked == most_used(NOW, shuffled)
    assert len(ranked.names) <= MOST_NAMES
    for member in ("calls", "errors", "seconds"):
        told = sum(getattr(each, member) for each in (*ranked.names, ranked.others))
        assert told == sum(getattr(each, member) for each in found)


def test_the_most_used_are_named_first_and_ties_by_name() -> None:
    names = [NameUse(method="tools/call", name=name, calls=calls) for name, calls in [("b", 2), ("a", 2), ("c", 3)]]
    assert [each.name for each in most_used(NOW, names).names] == ["c", "a", "b"]


def test_uses_of_replicas_are_joined_by_method_and_name() -> None:
    one = most_used(NOW, [NameUse(method="tools/call", name="a", calls=1, slowest=2.0)])
    two = most_used(NOW - 5, [NameUse(method="tools/call", name="a", calls=2), NameUse(method="prompts/get", name="a")])
    joined = joined_uses([one, two])
    assert joined.since == NOW - 5
    assert [(each.method, each.calls, each.slowest) for each in joined.names] == [
        ("tools/call", 3, 2.0),
        ("prompts/get", 0, 0.0),
    ]


def test_there_must_be_something_to_join() -> None:
    with pytest.raises(ValueError, match="at least one"):
        joined_uses([])
