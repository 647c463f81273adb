"""A proxy whose server leads back to it costs one turn, and is told so; proxies in a row are no loop."""

import itertools
from collections.abc import Mapping
from typing import Any

import pytest
from aiohttp import web
from callers import Reply, calling, legacy, modern
from gateways import Door, running
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families
from upstreams import Arrived, answer, document, serving

RESULT: dict[str, Any] = {"content": []}
LED_BACK = {
    "code": -31003,
    "message": "The MCP server behind this gateway leads back to this gateway",
    "data": {"reason": "UpstreamLoop"},
}

both_eras = pytest.mark.parametrize("era", ["legacy", "modern"])


async def call(door: Door, name: str, *, era: str = "modern", headers: Mapping[str, str] | None = None) -> Reply:
    message = (modern if era == "modern" else legacy)("tools/call", {"name": "get_users", "arguments": {}}, id=7)
    async with calling(door.url(name)) as caller:
        return await caller.post(message, headers)


async def good(request: web.BaseRequest, arrived: Arrived) -> web.StreamResponse:
    return document(answer(arrived, RESULT))


def counted(door: Door, name: str, **labels: str) -> float:
    text = generate_latest(door.gateway.metrics.registry).decode()
    samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
    return sum(s.value for s in samples if s.name == name and labels.items() <= s.labels.items())


def faults(door: Door, proxy: str) -> float:
    return counted(door, "ostiary_upstream_faults_total", ostiary_proxy=proxy, reason="UpstreamLoop")


def calls(door: Door) -> float:
    return counted(door, "mcp_server_operation_duration_seconds_count", mcp_method_name="tools/call")


@both_eras
async def test_a_request_that_comes_back_to_its_proxy_ends_there(era: str) -> None:
    async with running() as door:
        await door.apply(door.entry("mock", door.url()))
        reply = await call(door, "mock", era=era)

        assert (reply.status, reply.error) == (200, LED_BACK)
        assert calls(door) == 2
        labels = {"ostiary_proxy": "default/mock", "ostiary_server": "up", "reason": "UpstreamLoop"}
        assert counted(door, "ostiary_upstream_faults_total", **labels) == 1


async def test_a_ring_of_proxies_ends_where_it_began() -> None:
    async with running() as door:
        await door.apply(door.entry("a", door.url("b")), door.entry("b", door.url("c")), door.entry("c", door.url("a")))
        assert (await call(door, "a")).error == LED_BACK
        assert calls(door) == 4


async def test_a_loop_over_another_replica_ends_as_one_over_the_same_does() -> None:
    async with running() as one, running() as two:
        await one.apply(one.entry("mock", two.url()))
        await two.apply(two.entry("mock", one.url()))
        assert (await call(one, "mock")).error == LED_BACK
        assert (calls(one), calls(two)) == (1, 1)


async def test_a_loop_that_only_a_stream_goes_through_ends_too() -> None:
    async with running() as door, calling(door.url()) as caller:
        await door.apply(door.entry("mock", door.url()))
        reply = await caller.request("GET", {"Accept": "text/event-stream"})
    assert reply.status == 503


async def test_proxies_in_a_row_are_no_loop_and_each_adds_its_mark() -> None:
    async with running() as door, serving(good) as upstream:
        await door.apply(door.entry("front", door.url("back")), door.entry("back", upstream.url))
        assert (await call(door, "front")).result == RESULT
        assert (await call(door, "back")).result == RESULT

    both, alone = (each.headers["Via"].split(", ") for each in upstream.arrived)
    assert both[1:] == alone
    assert len({*both}) == 2
    assert all(mark.startswith("1.1 ostiary-") for mark in both)


async def test_a_row_of_proxies_without_end_is_cut() -> None:
    async with running() as door, serving(good) as upstream:
        names = [f"p{number}" for number in range(12)]
        row = [door.entry(name, door.url(after)) for name, after in itertools.pairwise(names)]
        await door.apply(*row, door.entry(names[-1], upstream.url))
        assert (await call(door, names[-8])).result == RESULT
        assert (await call(door, names[0])).error == LED_BACK


async def test_of_a_callers_via_only_marks_of_ours_travel_on() -> None:
    mark = "ostiary-" + "0" * 24
    via = f"1.1 proxy.example (secret words), 1.1 {mark}, HTTP/2 10.0.0.1"
    async with running() as door, serving(good) as upstream:
        await door.apply(door.entry("mock", upstream.url))
        assert (await call(door, "mock", headers={"Via": via})).result == RESULT
    sent = upstream.arrived[0].headers["Via"]
    assert sent.startswith(f"1.1 {mark}, 1.1 ostiary-")
    assert "secret" not in sent
    assert "10.0.0.1" not in sent


async def test_the_mark_of_a_proxy_ends_the_request_that_bears_it_and_no_other() -> None:
    async with running() as door, serving(good) as upstream:
        await door.apply(door.entry("mock", upstream.url), door.entry("other", upstream.url))
        assert (await call(door, "mock")).result == RESULT
        seen = upstream.arrived[0].headers["Via"]
        assert (await call(door, "mock", headers={"Via": seen})).error == LED_BACK
        assert (await call(door, "other", headers={"Via": seen})).result == RESULT
        assert (await call(door, "mock")).result == RESULT


async def test_a_loop_of_two_proxies_of_two_tenants_ends_at_its_first_turn_and_is_reported_where_it_began() -> None:
    async with running() as door, serving(good) as upstream:
        a = door.entry("a", door.url("b"), namespace="sales", uid="uid-of-sales")
        b = door.entry("b", door.url("a"), namespace="support", uid="uid-of-support")
        await door.apply(a, b, door.entry("c", upstream.url))
        assert (await call(door, "a")).error == LED_BACK
        assert calls(door) == 3
        assert faults(door, "sales/a") == 1
        assert faults(door, "support/b") == 0, "its own callers have not met the loop yet"
        assert (await call(door, "b")).error == LED_BACK
        assert faults(door, "support/b") == 1
        assert (await call(door, "c")).result == RESULT


async def test_a_proxy_that_leads_to_one_of_another_tenant_is_no_loop() -> None:
    async with running() as door, serving(good) as upstream:
        a = door.entry("a", door.url("b"), namespace="sales", uid="uid-of-sales")
        await door.apply(a, door.entry("b", upstream.url, namespace="support", uid="uid-of-support"))
        for name in ("a", "b", "a"):
            assert (await call(door, name)).result == RESULT


@both_eras
async def test_a_mark_that_a_caller_made_up_reports_nothing_of_the_proxy_nor_of_those_before_it(era: str) -> None:
    async with running() as door, serving(good) as upstream:
        await door.apply(door.entry("front", door.url("back")), door.entry("back", upstream.url))
        assert (await call(door, "front", era=era)).result == RESULT
        marks = upstream.arrived[0].headers["Via"].split(", ")
        for name, forged in (("back", marks[1]), ("front", marks[0]), ("front", marks[1])):
            assert (await call(door, name, era=era, headers={"Via": forged})).error == LED_BACK
        many = ", ".join(f"1.1 ostiary-{number:024x}" for number in range(20))
        assert (await call(door, "front", era=era, headers={"Via": many})).error == LED_BACK
        assert faults(door, "default/front") == faults(door, "default/back") == 0
        assert door.gateway.store.snapshot is not None
        assert [proxy.server.health.fault for proxy in door.gateway.store.snapshot.proxies.values()] == [None, None]


async def test_installations_whose_uids_are_alike_do_not_take_each_other_for_a_loop() -> None:
    async with running(installation="laptop") as one, running(installation="another") as two, serving(good) as upstream:
        await one.apply(one.entry("mock", two.url()))
        await two.apply(two.entry("mock", upstream.url))
        assert (await call(one, "mock")).result == RESULT
