"""Attempts at one request: their spans, and the one record, count and time that they share."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from audited_gateway import audited, records
from faulty_endpoints import Fault, FaultyServer, faulty_endpoints
from gateways import LONG_TIMEOUTS, LOOPBACK, SHORT_TIMEOUTS, RunningGateway, running_gateway
from mcp_caller import MODERN, McpCaller, mcp_caller, modern
from mcp_clients import eventually
from merged_proxies import merged
from metric_samples import counted
from otlp_sink import http_sink

from ostiary_core.contract.documents import ServerConfig, TimeoutsConfig
from ostiary_core.contract.server_selection import RoutingRuleConfig
from ostiary_gateway.telemetry import Telemetry

CALL = {"name": "get_users", "arguments": {"a": "b"}}
READ = modern("resources/read", {"uri": "file:///a"})
VERY_LONG = TimeoutsConfig(connect=60_000, request=3_600_000, idle=60_000)


async def serve(
    gateway: RunningGateway, server: FaultyServer, *, timeouts: TimeoutsConfig = LONG_TIMEOUTS, **retry: Any
) -> None:
    described = server.document(**retry) | {"protocol_version": MODERN}
    await gateway.apply(gateway.entry("mock", server.url, server=described, timeouts=timeouts))


def retries(gateway: RunningGateway, outcome: str, *, server: str = "up") -> float:
    labels = {"ostiary_proxy": "default/mock", "ostiary_server": server}
    return counted(gateway, "ostiary_upstream_retries_total", outcome=outcome, **labels)


async def test_each_attempt_has_a_span_in_whose_context_it_is_sent() -> None:
    with http_sink() as sink:
        telemetry = Telemetry.from_env({"OTEL_EXPORTER_OTLP_ENDPOINT": sink.endpoint})
        async with (
            running_gateway(telemetry=telemetry) as gateway,
            faulty_endpoints(2) as server,
            mcp_caller(gateway.url()) as caller,
        ):
            await serve(gateway, server, attempts=3, tools={"names": ["*"]})
            server.plan(Fault.RESET, Fault.BAD_GATEWAY)
            assert (await caller.post(modern("tools/call", CALL))).result
        spans = sink.wait_for(lambda found: any(span.kind == "SERVER" for span in found))
        [parent] = [span for span in spans if span.kind == "SERVER"]
        attempts = sorted((span for span in spans if span.kind == "CLIENT"), key=lambda span: span.start_ns)
        assert [span.attributes.get("http.request.resend_count") for span in attempts] == [None, 1, 2]
        assert [span.attributes.get("error.type") for span in attempts] == [
            "UpstreamReset",
            "UpstreamUnavailable",
            None,
        ]
        peers = [(span.attributes["network.peer.address"], span.attributes["network.peer.port"]) for span in attempts]
        assert {address for address, _ in peers} == {"127.0.0.1"}
        assert peers[0] != peers[1]
        assert {port for _, port in peers} == set(server.ports)
        assert {span.parent_span_id for span in attempts} == {parent.span_id}
        assert parent.attributes.get("error.type") is None
        for span, (_, message), head in zip(attempts, server.received, server.heads, strict=True):
            assert span.span_id in message["params"]["_meta"]["traceparent"]
            assert span.span_id.encode() in head


async def test_all_attempts_at_a_call_have_one_record(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    async with audited(path) as gateway, faulty_endpoints(2) as server, mcp_caller(gateway.url()) as caller:
        await serve(gateway, server, attempts=3, tools={"names": ["*"]})
        server.plan(Fault.RESET, Fault.BAD_GATEWAY)
        assert (await caller.post(modern("tools/call", CALL))).result
        assert server.count("tools/call") == 3
    assert len(records(path, kind="Event", stage="RequestReceived")) == 1
    [complete] = records(path, kind="Event", stage="ResponseComplete")
    assert "error" not in json.dumps(complete).lower()


async def test_what_was_absorbed_is_counted_and_leaves_the_server_in_good_health() -> None:
    async with running_gateway() as gateway, faulty_endpoints(2) as server, mcp_caller(gateway.url()) as caller:
        await serve(gateway, server)
        server.plan(Fault.RESET)
        assert (await caller.post(READ)).result
        labels = {"ostiary_proxy": "default/mock", "ostiary_server": "up"}
        assert counted(gateway, "ostiary_upstream_faults_total", reason="UpstreamReset", **labels) == 1
        assert counted(gateway, "ostiary_upstream_up", **labels) == 1
        assert retries(gateway, "Repeated") == 1
        assert counted(gateway, "mcp_server_operation_duration_seconds_count", mcp_method_name="resources/read") == 1
        server.plan(Fault.BAD_GATEWAY, Fault.BAD_GATEWAY)
        assert (await caller.post(READ)).error["code"] == -31003
        assert retries(gateway, "AttemptsUsedUp") == 1


async def test_an_endpoint_is_not_asked_again_before_the_time_that_it_asks_for() -> None:
    async with running_gateway() as gateway, faulty_endpoints(1) as server, mcp_caller(gateway.url()) as caller:
        server.retry_after = 1
        await serve(gateway, server)
        server.plan(Fault.UNAVAILABLE)
        begun = asyncio.get_running_loop().time()
        assert (await caller.post(READ)).result
        assert asyncio.get_running_loop().time() - begun >= 1
        assert server.count("resources/read") == 2


async def test_nothing_waits_longer_than_a_request_may_take() -> None:
    async with running_gateway() as gateway, faulty_endpoints(1) as server, mcp_caller(gateway.url()) as caller:
        server.retry_after = 3600
        await serve(gateway, server)
        server.plan(Fault.UNAVAILABLE)
        error = (await caller.post(READ)).error
        assert error["data"] == {"reason": "UpstreamUnavailable", "retryAfterMs": 3_600_000}
        assert server.count("resources/read") == 1
        assert retries(gateway, "NoTimeLeft") == 1


async def test_what_one_endpoint_asks_for_does_not_concern_another_one() -> None:
    async with running_gateway() as gateway, faulty_endpoints(2) as server, mcp_caller(gateway.url()) as caller:
        server.retry_after = 3600
        await serve(gateway, server)
        server.plan(Fault.UNAVAILABLE)
        assert (await caller.post(READ)).result


async def test_a_caller_that_leaves_ends_the_pause_between_two_attempts() -> None:
    async with running_gateway() as gateway, faulty_endpoints(1) as server:
        await serve(gateway, server, timeouts=VERY_LONG, backoff=600_000)
        server.plan(Fault.RESET)

        async def ask(caller: McpCaller) -> None:
            await caller.post(READ)

        async with mcp_caller(gateway.url()) as caller:
            asking = asyncio.create_task(ask(caller))
            await eventually(lambda: retries(gateway, "Repeated") == 1)
            asking.cancel()
            await asyncio.gather(asking, return_exceptions=True)
        await eventually(lambda: gateway.app.pipeline.limiter.requests == 0)
        assert server.count("resources/read") == 1


async def test_a_hung_endpoint_takes_all_the_time_that_a_request_has() -> None:
    async with running_gateway() as gateway, faulty_endpoints(2) as server, mcp_caller(gateway.url()) as caller:
        await serve(gateway, server, timeouts=SHORT_TIMEOUTS, attempts=3)
        server.plan(Fault.HANG)
        assert (await caller.post(READ)).error["data"]["reason"] == "UpstreamTimeout"
        assert server.count("resources/read") == 1


async def test_the_pages_of_a_merged_list_are_asked_for_again() -> None:
    async with running_gateway() as gateway, faulty_endpoints(2) as server, mcp_caller(gateway.url()) as caller:
        server.result["tools"] = [{"name": "get", "inputSchema": {"type": "object"}}]
        described = server.document() | {"protocol_version": MODERN}
        await gateway.apply(merged(gateway, {"a": server.url, "b": server.url}, of_each=described))
        server.plan(Fault.RESET, Fault.BAD_GATEWAY)
        result = (await caller.post(modern("tools/list"))).result
        assert [tool["name"] for tool in result["tools"]] == ["a_get", "b_get"]
        assert server.count("tools/list") == 4


async def test_a_stream_of_changes_is_opened_at_an_endpoint_that_is_there() -> None:
    async with (
        running_gateway() as gateway,
        faulty_endpoints(1, dead=12) as server,
        mcp_caller(gateway.url()) as caller,
    ):
        described = server.document() | {"protocol_version": MODERN}
        await gateway.apply(merged(gateway, {"a": server.url, "b": server.url}, of_each=described))
        listen = modern("subscriptions/listen", {"notifications": {"toolsListChanged": True}})
        for _ in range(4):  # of thirteen endpoints, some stream begins with one that is not there
            server.plan()
            async with caller.stream(listen):
                await eventually(lambda: server.count("subscriptions/listen") >= 2)
        assert retries(gateway, "NextEndpoint", server="a") + retries(gateway, "NextEndpoint", server="b") > 0


@pytest.mark.parametrize("fault", [Fault.NONE, Fault.RESET])
async def test_a_call_goes_to_the_next_server_of_its_rule_only_if_no_endpoint_was_sent_it(fault: Fault) -> None:
    async with (
        running_gateway() as gateway,
        faulty_endpoints(int(fault is not Fault.NONE), dead=3) as first,
        faulty_endpoints(1) as second,
        mcp_caller(gateway.url()) as caller,
    ):
        servers = [
            ServerConfig.model_validate(
                {"name": name, "url": each.url, "timeouts": LONG_TIMEOUTS, "addresses": LOOPBACK}
                | each.document(tools={"names": ["*"]})
                | {"protocol_version": MODERN},
                strict=False,
            )
            for name, each in (("a", first), ("b", second))
        ]
        routing = [RoutingRuleConfig(name="all", servers=["a", "b"])]
        await gateway.apply(gateway.entry("mock", "", servers=servers, server_selection="Route", routing=routing))
        first.plan(fault, fault)
        reply = await caller.post(modern("tools/call", CALL))
        if fault is Fault.NONE:
            assert reply.result
            assert second.count("tools/call") == 1
        else:
            assert reply.error["data"]["reason"] == "UpstreamReset"
            assert 1 <= first.count("tools/call") <= 2
            assert second.count("tools/call") == 0
