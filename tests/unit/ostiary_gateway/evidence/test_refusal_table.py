"""Distinct refusals: counted, bounded whatever names callers invent, fair to every namespace."""

from hypothesis import given
from hypothesis import strategies as st

from ostiary_core.evidence.refusals import MOST_REFUSED_NAMES
from ostiary_gateway.evidence.refusal_table import RefusalKey, RefusalTable


def key(name: str = "t", *, namespace: str = "a", principal: str = "p", is_shadow: bool = False) -> RefusalKey:
    return RefusalKey(f"{namespace}/x", "tools/call", name, principal, "a/p", "r", "Denied", is_shadow)


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 30), st.booleans()), max_size=200), st.integers(4, 40))
def test_every_refusal_is_told_or_counted_as_forgotten(noted: list[tuple[str, int, bool]], most: int) -> None:
    table = RefusalTable(most=most)
    for at, (namespace, number, is_shadow) in enumerate(noted):
        table.note(key(f"t{number}", namespace=namespace, is_shadow=is_shadow), at=at)
    items = table.items()
    assert len(items) <= most
    assert sum(count for _, (count, _, _) in items) + table.forgotten == len(noted)
    assert all(first <= last for _, (_, first, last) in items)


def test_names_that_one_caller_invents_are_counted_together_after_a_while() -> None:
    table = RefusalTable()
    for number in range(1000):
        table.note(key(f"invented-{number}"), at=number)
    found = dict(table.items())
    assert len(found) == MOST_REFUSED_NAMES + 1
    assert found[key("")] == (1000 - MOST_REFUSED_NAMES, MOST_REFUSED_NAMES, 999)


def test_a_caller_that_invents_names_leaves_those_of_others_alone() -> None:
    table = RefusalTable(most=200)
    table.note(key("real", namespace="b", principal="other"), at=1)
    for number in range(5000):
        table.note(key(f"n{number}", principal=f"p{number}"), at=number)
    assert key("real", namespace="b", principal="other") in dict(table.items())
    assert len(table.items()) <= 200


def test_what_occurred_longest_ago_makes_room() -> None:
    table = RefusalTable(most=20)
    for number in range(20):
        table.note(key("t", principal=f"p{number}"), at=number)
    table.note(key("t", principal="p0"), at=100)
    table.note(key("t", principal="new"), at=101)
    principals = {each.principal for each, _ in table.items()}
    assert {"p0", "new"} <= principals
    assert "p1" not in principals


def test_refusals_of_a_proxy_that_is_gone_are_forgotten_with_their_names() -> None:
    table = RefusalTable()
    for number in range(100):
        table.note(key(f"n{number}"), at=number)
    table.forget({"a/x"})
    assert table.items() == []
    table.note(key("n1"), at=1)
    assert dict(table.items()) == {key("n1"): (1, 1, 1)}
