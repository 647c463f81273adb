"""Documents of all workers are what one worker would have told."""

from typing import Any

from ostiary_core.evidence.proxy_traffic import TrafficDocument
from ostiary_core.evidence.recorded_call import CallsDocument
from ostiary_core.evidence.refusals import RefusalsDocument
from ostiary_gateway.workers import merged_evidence


def head(index: int, **more: Any) -> dict[str, Any]:
    return {"replica": f"gw-w{index}", "gateway": "ostiary/default", "since": 10 + index, "now": 1000, **more}


def traffic(proxy: str, calls: int, at: int = 0) -> dict[str, Any]:
    return {"proxy": proxy, "since": 5, "slots": [{"at": at, "calls": calls}]}


def test_nothing_earlier_than_the_last_worker_began_is_known() -> None:
    found = merged_evidence.merged_head([head(0), head(1, recording=False)], replica="gw")
    assert (found["replica"], found["since"], found["recording"]) == ("gw", 11, False)


def test_the_traffic_of_a_proxy_is_the_sum_by_window() -> None:
    pages = [head(0, proxies=[traffic("a/x", 1), traffic("b/x", 5)]), head(1, proxies=[traffic("a/x", 2, at=10_000)])]
    found = TrafficDocument.model_validate(merged_evidence.merged_traffic(pages, replica="gw"))
    assert {each.proxy: [slot.calls for slot in each.slots] for each in found.proxies} == {"a/x": [1, 2], "b/x": [5]}
    assert found.next is None


def test_a_page_of_traffic_ends_where_the_first_worker_has_more() -> None:
    pages = [
        head(0, proxies=[traffic("a/x", 1), traffic("b/x", 1)], next="b/x"),
        head(1, proxies=[traffic("b/x", 1), traffic("c/x", 1)], next="c/x"),
    ]
    found = TrafficDocument.model_validate(merged_evidence.merged_traffic(pages, replica="gw"))
    assert {each.proxy: each.slots[0].calls for each in found.proxies} == {"a/x": 1, "b/x": 2}
    assert found.next == "b/x"


def calls(*numbers: int, **more: Any) -> dict[str, Any]:
    found = [{"number": number, "at": 1, "proxy": "a/x"} for number in numbers]
    return head(0, calls=found, last=max(numbers, default=0), missed=1, **more)


def merged(*documents: dict[str, Any], until: int = 100, most: int = 10, is_first: bool = False) -> CallsDocument:
    found = merged_evidence.merged_calls(documents, replica="gw", until=until, most=most, is_first=is_first)
    return CallsDocument.model_validate(found)


def test_calls_come_in_the_order_of_their_numbers() -> None:
    found = merged(calls(1, 4), calls(2, 3))
    assert ([each.number for each in found.calls], found.last, found.missed, found.next) == ([1, 2, 3, 4], 4, 2, None)


def test_calls_after_the_request_began_are_left_for_the_next_one() -> None:
    found = merged(calls(1, 9), calls(2, 3), until=4)
    assert ([each.number for each in found.calls], found.last) == ([1, 2, 3], 3)


def test_a_page_of_calls_ends_where_the_first_worker_has_more() -> None:
    found = merged(calls(1, 2, next=2), calls(3, 4))
    assert ([each.number for each in found.calls], found.next) == ([1, 2], 2)
    found = merged(calls(1, 4), calls(2, 3), most=2)
    assert ([each.number for each in found.calls], found.next) == ([1, 2], 2)


def test_the_latest_calls_are_asked_for_without_a_number() -> None:
    found = merged(calls(1, 4), calls(2, 3), most=2, is_first=True)
    assert ([each.number for each in found.calls], found.next) == ([3, 4], None)


def test_the_same_refusal_at_two_workers_is_one() -> None:
    refusal = {"proxy": "a/x", "reason": "denied", "count": 2, "first": 1, "last": 5}
    pages = [head(0, refusals=[refusal], forgotten=1), head(1, refusals=[{**refusal, "last": 9}], forgotten=2)]
    found = RefusalsDocument.model_validate(merged_evidence.merged_refusals(pages, replica="gw"))
    assert [(each.count, each.first, each.last) for each in found.refusals] == [(4, 1, 9)]
    assert found.forgotten == 3


def test_usage_of_limits_that_workers_count_together_is_not_added_up() -> None:
    def page(**used: int) -> dict[str, Any]:
        keys = [{"key": key, "used": number} for key, number in used.items()]
        return {"counters": "Local", "keys": keys, "next": None}

    found = merged_evidence.merged_limits([page(a=3, b=1), page(a=3, c=2)])
    assert {each["key"]: each["used"] for each in found["keys"]} == {"a": 3, "b": 1, "c": 2}


def test_an_item_that_one_worker_knows_whole_is_told_whole() -> None:
    def page(**items: Any) -> dict[str, Any]:
        tools = [{"name": name, **({"definition": found} if found else {})} for name, found in items.items()]
        server = {"name": "up", "tools": tools, "resources": [], "prompts": [], "complete": []}
        return head(0, proxy="a/x", entry={"active": None, "rejected": None}, servers=[server], drift=[])

    found = merged_evidence.merged_definitions([page(a=None, b=None), page(a={"name": "a"})], replica="gw")
    assert found["servers"][0]["tools"] == [{"name": "a", "definition": {"name": "a"}}, {"name": "b"}]


def test_names_that_any_worker_has_listed_are_in_the_catalogue() -> None:
    one, other = ({"servers": [{"name": "up", "names": {"tools": [name]}}]} for name in "ab")
    assert merged_evidence.merged_catalogue([one, other]) == {
        "servers": [{"name": "up", "names": {"tools": ["a", "b"]}}]
    }
