"""The latest calls: in order, bounded, and no namespace displaces another's beyond its share."""

import asyncio

from ended_calls import ended_call
from hypothesis import given
from hypothesis import strategies as st

from ostiary_gateway.evidence.call_ring import CallRing, proxy_of


def everything(_proxy: str) -> bool:
    return True


def filled(*namespaces: str, most: int) -> CallRing:
    ring = CallRing(most=most)
    for namespace in namespaces:
        ring.add(namespace, ended_call(proxy=f"{namespace}/p"))
    return ring


@given(st.lists(st.sampled_from("abcd"), max_size=200), st.integers(8, 40))
def test_the_ring_is_bounded_and_tells_calls_in_their_order(namespaces: list[str], most: int) -> None:
    ring = filled(*namespaces, most=most)
    found, missed = ring.after(0, wanted=everything)
    numbers = [number for number, _ in found]
    assert numbers == sorted(numbers)
    assert len(ring) == len(found) <= most
    assert missed == len(namespaces) - len(found)
    assert all(namespaces[number - 1] == proxy_of((number, call))[0] for number, call in found)


def test_a_namespace_that_calls_much_displaces_its_own_calls_first() -> None:
    ring = filled(*"a" * 20, *"b" * 1000, most=100)
    found, _ = ring.after(0, wanted=lambda proxy: proxy == "a/p")
    assert [number for number, _ in found] == list(range(1, 21))


def test_a_namespace_with_less_than_its_share_gets_room_from_the_largest() -> None:
    ring = filled(*"b" * 100, *"a" * 10, most=100)
    found, _ = ring.after(0, wanted=lambda proxy: proxy == "a/p")
    assert len(found) == 10
    assert len(ring) <= 100


def test_a_reader_that_is_behind_is_told_how_many_calls_it_missed() -> None:
    ring = filled(*"a" * 30, most=10)
    found, missed = ring.after(5, wanted=everything)
    assert ([number for number, _ in found], missed) == (list(range(21, 31)), 15)


def test_the_calls_of_a_proxy_that_is_gone_are_forgotten() -> None:
    ring = filled("a", "b", "a", most=10)
    ring.forget({"a/p", "c/p"})
    assert [proxy_of(each) for each in ring.after(0, wanted=everything)[0]] == ["b/p"]
    assert (len(ring), ring.last) == (1, 3)


async def test_a_reader_waits_for_the_next_call() -> None:
    ring = CallRing()
    waiting = asyncio.ensure_future(ring.wait(0, seconds=3600))
    await asyncio.sleep(0)
    assert not waiting.done()
    ring.add("a", ended_call())
    await waiting
    await ring.wait(0, seconds=3600)  # there is one already
