"""A proxy whose server leads back to it costs one round and gets an error; proxies in a row are no loop."""

import itertools
from collections.abc import Mapping
from typing import Any

import pytest
from aiohttp import web
from gateways import RunningGateway, running_gateway
from mcp_caller import Reply, legacy, mcp_caller, modern
from metric_samples import counted
from upstreams import Arrived, answer, document, serving

RESULT: dict[str, Any] = {"content": []}
LED_BACK = {
    "code": -31003,
    "message": "The MCP server behind this gateway leads back to this gateway",
    "data": {"reason": "UpstreamLoop"},
}

both_eras = pytest.mark.parametrize("era", ["legacy", "modern"])


async def call(
    gateway: RunningGateway, name: str, *, era: str = "modern", headers: Mapping[str, str] | None = None
) -> Reply:
    message = (modern if era == "modern" else legacy)("tools/call", {"name": "get_users", "arguments": {}}, id=7)
    async with mcp_caller(gateway.url(name)) as caller:
        return await caller.post(message, headers)


async def good(request: web.BaseRequest, arrived: Arrived) -> web.StreamResponse:
    return document(answer(arrived, RESULT))


def faults(gateway: RunningGateway, proxy: str) -> float:
    return counted(gateway, "ostiary_upstream_faults_total", ostiary_proxy=proxy, reason="UpstreamLoop")


def calls(gateway: RunningGateway) -> float:
    return counted(gateway, "mcp_server_operation_duration_seconds_count", mcp_method_name="tools/call")


@both_eras
async def test_a_request_that_comes_back_to_its_proxy_ends_there(era: str) -> None:
    async with running_gateway() as gateway:
        await gateway.apply(gateway.entry("mock", gateway.url()))
        reply = await call(gateway, "mock", era=era)

        assert (reply.status, reply.error) == (200, LED_BACK)
        assert calls(gateway) == 2
        labels = {"ostiary_proxy": "default/mock", "ostiary_server": "up", "reason": "UpstreamLoop"}
        assert counted(gateway, "ostiary_upstream_faults_total", **labels) == 1


async def test_a_ring_of_proxies_ends_where_it_began() -> None:
    async with running_gateway() as gateway:
        await gateway.apply(
            gateway.entry("a", gateway.url("b")),
            gateway.entry("b", gateway.url("c")),
            gateway.entry("c", gateway.url("a")),
        )
        assert (await call(gateway, "a")).error == LED_BACK
        assert calls(gateway) == 4


async def test_a_loop_over_another_replica_ends_as_one_over_the_same_does() -> None:
    async with running_gateway() as one, running_gateway() as two:
        await one.apply(one.entry("mock", two.url()))
        await two.apply(two.entry("mock", one.url()))
        assert (await call(one, "mock")).error == LED_BACK
        assert (calls(one), calls(two)) == (1, 1)


async def test_a_loop_that_only_a_stream_goes_through_ends_too() -> None:
    async with running_gateway() as gateway, mcp_caller(gateway.url()) as caller:
        await gateway.apply(gateway.entry("mock", gateway.url()))
        reply = await caller.request("GET", {"Accept": "text/event-stream"})
    assert reply.status == 503


async def test_proxies_in_a_row_are_no_loop_and_each_adds_its_mark() -> None:
    async with running_gateway() as gateway, serving(good) as upstream:
        await gateway.apply(gateway.entry("front", gateway.url("back")), gateway.entry("back", upstream.url))
        assert (await call(gateway, "front")).result == RESULT
        assert (await call(gateway, "back")).result == RESULT

    both, alone = (each.headers["Via"].split(", ") for each in upstream.arrived)
    assert both[1:] == alone
    assert len({*both}) == 2
    assert all(mark.startswith("1.1 ostiary-") for mark in both)


async def test_a_row_of_proxies_without_end_is_cut() -> None:
    async with running_gateway() as gateway, serving(good) as upstream:
        names = [f"p{number}" for number in range(12)]
        row = [gateway.entry(name, gateway.url(after)) for name, after in itertools.pairwise(names)]
        await gateway.apply(*row, gateway.entry(names[-1], upstream.url))
        assert (await call(gateway, names[-8])).result == RESULT
        assert (await call(gateway, names[0])).error == LED_BACK


async def test_of_a_callers_via_only_our_marks_are_forwarded() -> None:
    mark = "ostiary-" + "0" * 24
    via = f"1.1 proxy.example (secret words), 1.1 {mark}, HTTP/2 10.0.0.1"
    async with running_gateway() as gateway, serving(good) as upstream:
        await gateway.apply(gateway.entry("mock", upstream.url))
        assert (await call(gateway, "mock", headers={"Via": via})).result == RESULT
    sent = upstream.arrived[0].headers["Via"]
    assert sent.startswith(f"1.1 {mark}, 1.1 ostiary-")
    assert "secret" not in sent
    assert "10.0.0.1" not in sent


async def test_the_mark_of_a_proxy_ends_the_request_that_has_it_and_no_other() -> None:
    async with running_gateway() as gateway, serving(good) as upstream:
        await gateway.apply(gateway.entry("mock", upstream.url), gateway.entry("other", upstream.url))
        assert (await call(gateway, "mock")).result == RESULT
        seen = upstream.arrived[0].headers["Via"]
        assert (await call(gateway, "mock", headers={"Via": seen})).error == LED_BACK
        assert (await call(gateway, "other", headers={"Via": seen})).result == RESULT
        assert (await call(gateway, "mock")).result == RESULT


async def test_a_loop_of_two_proxies_of_two_tenants_ends_at_its_first_round_and_is_reported_at_its_start() -> None:
    async with running_gateway() as gateway, serving(good) as upstream:
        a = gateway.entry("a", gateway.url("b"), namespace="sales", uid="uid-of-sales")
        b = gateway.entry("b", gateway.url("a"), namespace="support", uid="uid-of-support")
        await gateway.apply(a, b, gateway.entry("c", upstream.url))
        assert (await call(gateway, "a")).error == LED_BACK
        assert calls(gateway) == 3
        assert faults(gateway, "sales/a") == 1
        assert faults(gateway, "support/b") == 0, "its own callers have not met the loop yet"
        assert (await call(gateway, "b")).error == LED_BACK
        assert faults(gateway, "support/b") == 1
        assert (await call(gateway, "c")).result == RESULT


async def test_a_proxy_that_leads_to_one_of_another_tenant_is_no_loop() -> None:
    async with running_gateway() as gateway, serving(good) as upstream:
        a = gateway.entry("a", gateway.url("b"), namespace="sales", uid="uid-of-sales")
        await gateway.apply(a, gateway.entry("b", upstream.url, namespace="support", uid="uid-of-support"))
        for name in ("a", "b", "a"):
            assert (await call(gateway, name)).result == RESULT


@both_eras
async def test_a_mark_that_a_caller_made_up_causes_no_report_of_a_loop(era: str) -> None:
    async with running_gateway() as gateway, serving(good) as upstream:
        await gateway.apply(gateway.entry("front", gateway.url("back")), gateway.entry("back", upstream.url))
        assert (await call(gateway, "front", era=era)).result == RESULT
        marks = upstream.arrived[0].headers["Via"].split(", ")
        for name, forged in (("back", marks[1]), ("front", marks[0]), ("front", marks[1])):
            assert (await call(gateway, name, era=era, headers={"Via": forged})).error == LED_BACK
        many = ", ".join(f"1.1 ostiary-{number:024x}" for number in range(20))
        assert (await call(gateway, "front", era=era, headers={"Via": many})).error == LED_BACK
        assert faults(gateway, "default/front") == faults(gateway, "default/back") == 0
        assert gateway.app.store.snapshot is not None
        assert [proxy.server.health.fault for proxy in gateway.app.store.snapshot.proxies.values()] == [None, None]


async def test_installations_whose_uids_are_alike_do_not_take_each_other_for_a_loop() -> None:
    async with (
        running_gateway(installation="laptop") as one,
        running_gateway(installation="another") as two,
        serving(good) as upstream,
    ):
        await one.apply(one.entry("mock", two.url()))
        await two.apply(two.entry("mock", upstream.url))
        assert (await call(one, "mock")).result == RESULT
