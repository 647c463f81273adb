"""Counts by proxy: exact in every window, forgotten with their proxy, and told as the query wants them."""

from typing import Any

from ended_calls import NOW, ended_call, serving_proxies, uid_of
from hypothesis import given
from hypothesis import strategies as st
from multidict import MultiDict

from ostiary_core.evidence.proxy_traffic import ProxyTraffic
from ostiary_gateway.evidence.evidence_query import AskedTraffic
from ostiary_gateway.evidence.traffic_store import TrafficStore

CRM = "tools/crm"


class Store:
    """A store of two proxies, with a clock of its own."""

    def __init__(self, *identities: str) -> None:
        self.now = NOW
        self.traffic = TrafficStore(now=lambda: self.now)
        self.traffic.on_swap(serving_proxies(*(identities or (CRM, "tools/wiki"))))

    def call(self, *, at: int, proxy: str = CRM, **more: Any) -> bool:
        seconds = more.get("seconds", 0.004)
        call = ended_call(at=at - int(seconds * 1000), proxy=proxy, **more)
        return self.traffic.add(uid_of(proxy), call) is not None

    async def told(self, **query: str) -> list[ProxyTraffic]:
        asked = AskedTraffic.of(MultiDict(query))
        copies, _ = await self.traffic.copies(asked)
        return [ProxyTraffic.model_validate(each) for each in self.traffic.document(copies, asked)]


async def test_a_call_is_in_the_slot_and_the_quarter_in_which_it_ended() -> None:
    store = Store()
    for at in (NOW, NOW + 9_999, NOW + 10_000, NOW + 899_999, NOW + 900_000):
        store.now = at
        store.call(at=at)
    (found,) = await store.told()
    assert [(each.at - NOW, each.calls) for each in found.slots] == [(0, 2), (10_000, 1), (890_000, 1), (900_000, 1)]
    assert [(each.at - NOW, each.calls) for each in found.quarters] == [(0, 4), (900_000, 1)]


@given(st.lists(st.integers(0, 200_000), max_size=60))
async def test_no_call_of_the_last_fifteen_minutes_or_of_the_last_day_is_lost(pauses: list[int]) -> None:
    store, ends = Store(), []
    for pause in pauses:
        store.now += pause
        store.call(at=store.now)
        ends.append(store.now)
    (found,) = await store.told() or [ProxyTraffic(proxy=CRM, since=NOW)]
    assert found.total(now=store.now, seconds=86_400).calls == len(ends)
    begin = (store.now - 900_000) // 10_000 * 10_000
    assert found.total(now=store.now, seconds=900).calls == sum(end >= begin for end in ends)


async def test_windows_older_than_a_day_are_forgotten_even_of_a_proxy_without_requests() -> None:
    store = Store()
    store.call(at=NOW)
    store.now += 2 * 86_400_000
    (found,) = await store.told()
    assert (found.slots, found.quarters) == ((), ())


async def test_a_clock_that_is_set_back_loses_nothing_and_keeps_memory_bounded() -> None:
    store = Store()
    for at in (NOW + 3_600_000, NOW, NOW + 5_000, NOW + 3_600_000):
        store.now = at
        store.call(at=at)
    (found,) = await store.told()
    assert sum(each.calls for each in found.quarters) == 4
    for number in range(1000):
        store.now = NOW + (number % 2) * 86_400_000
        store.call(at=store.now)
    (found,) = await store.told()
    assert len(found.slots) <= 91
    assert len(found.quarters) <= 97


async def test_a_proxy_that_is_gone_is_neither_counted_nor_told() -> None:
    store = Store()
    store.call(at=NOW)
    assert store.traffic.on_swap(serving_proxies("tools/wiki")) == {CRM}
    assert not store.call(at=NOW)  # it was in flight
    assert await store.told() == []


async def test_a_sum_is_the_sum_of_its_parts_and_has_no_request_without_a_proxy() -> None:
    store = Store("a/x", "a/y", "b/z")
    for number, proxy in enumerate(("a/x", "a/y", "b/z", "a/x")):
        store.call(at=NOW + number, proxy=proxy, tool="t")
    store.traffic.add("", ended_call(at=NOW, proxy="", status=404))
    (found,) = await store.told(sum="true")
    (of_a,) = await store.told(sum="true", namespace="a")
    assert [each.calls for each in (*found.slots, *found.quarters)] == [4, 4]
    assert found.names is not None
    assert [(each.name, each.calls) for each in found.names.names] == [("t", 4)]
    assert of_a.quarters[0].calls == 3
    assert [each.proxy for each in await store.told()] == ["", "a/x", "a/y", "b/z"]


async def test_a_total_is_the_sum_of_the_windows_of_its_range() -> None:
    store = Store()
    for at in (NOW, NOW + 97_000_000, NOW + 99_400_000, NOW + 100_000_000):
        store.now = at
        store.call(at=at)
    for seconds in (60, 900, 3_600, 86_400):
        (total,) = await store.told(parts="total", range=str(seconds))
        (whole,) = await store.told()
        found, expected = total.sum_of_range, whole.total(now=store.now, seconds=seconds)
        assert found is not None
        assert (found.at, found.calls, found.buckets) == (expected.at, expected.calls, expected.buckets)
