"""A REST service fails as any server does: its tools are sent again, cut off, probed, recorded and traced."""

import json
from pathlib import Path
from typing import Any

from aiohttp import web
from audited_gateway import audited, records
from gateways import RunningGateway, running_gateway
from mcp_caller import McpCaller, mcp_caller, modern
from mcp_clients import eventually
from otlp_sink import http_sink
from rest_services import ORDERS, RestScript, described, rest_service
from upstreams import Arrived

from ostiary_gateway.telemetry import Telemetry

HINTED = {"attempts": 1, "backoff": 1, "tools": {"hints": ["readOnlyHint"]}}
#: Opens with the third failure. The next call that is admitted is the trial.
BREAKER = {"error_percent": 50, "minimum_requests": 3, "interval": 60_000, "open_for": 1}


def call(tool: str, **arguments: Any) -> dict[str, Any]:
    return modern("tools/call", {"name": tool, "arguments": arguments})


def failing_first(status: int, times: int = 1) -> RestScript:
    """A service whose first answers are a status, and all others an order."""
    left = [status] * times

    async def script(request: web.BaseRequest, arrived: Arrived) -> web.StreamResponse:
        return web.Response(status=left.pop()) if left else web.json_response({"id": 7})

    return script


async def serve(gateway: RunningGateway, url: str, **server: Any) -> None:
    await gateway.apply(gateway.entry("orders", url, server=described(ORDERS, **server)))


async def outcome_of(caller: McpCaller, message: dict[str, Any]) -> str:
    reply = await caller.post(message)
    if "error" in reply.json:
        return str(reply.error["data"]["reason"])
    return "isError" if reply.result.get("isError") else "ok"


async def test_what_reads_is_sent_again_before_any_list_was_asked_for_and_what_writes_is_not() -> None:
    post = call("createOrder", body={"items": [{"sku": "a"}]})
    async with running_gateway() as gateway, mcp_caller(gateway.url("orders")) as caller:
        for message, outcome, lines in (
            (call("getOrder", id="7"), "ok", ["GET /orders/7"] * 2),
            (call("deleteOrder", id="7"), "UpstreamUnavailable", ["DELETE /orders/7"]),
            (post, "UpstreamUnavailable", ["POST /orders"]),
        ):
            async with rest_service(failing_first(503)) as service:
                await serve(gateway, service.url, retry=HINTED)
                assert await outcome_of(caller, message) == outcome
                assert service.lines == lines


async def test_an_answer_that_the_gateway_makes_itself_says_nothing_of_the_service() -> None:
    """A call with wrong arguments sends nothing, so it is no trial that succeeds, and nothing answers again."""
    async with (
        running_gateway() as gateway,
        mcp_caller(gateway.url("orders")) as caller,
        rest_service(failing_first(503, times=100)) as service,
    ):
        await serve(gateway, service.url, circuit_breaker=BREAKER)
        for _ in range(3):
            assert await outcome_of(caller, call("getOrder", id="7")) == "UpstreamUnavailable"

        snapshot = gateway.app.store.snapshot
        assert snapshot is not None
        server = snapshot.proxies["default/orders"].server
        assert server.breaker is not None
        assert server.breaker.is_open

        async def is_answered_here() -> bool:
            return await outcome_of(caller, call("getOrder", id=7)) == "isError"

        await eventually(is_answered_here)
        assert len((await caller.post(modern("tools/list"))).result["tools"]) == 4
        assert server.breaker.is_open
        assert not server.health.answered
        assert server.health.fault is not None
        assert len(service.lines) == 3


async def test_a_probe_is_a_get_of_the_url_that_any_answer_below_500_passes() -> None:
    async def script(request: web.BaseRequest, arrived: Arrived) -> web.StreamResponse:
        return web.Response(status=404) if request.path == "/v1" else web.json_response({"id": 7})

    async with (
        running_gateway() as gateway,
        mcp_caller(gateway.url("orders")) as caller,
        rest_service(script) as one,
        rest_service(script) as other,
    ):
        ports = [int(each.url.rpartition(":")[2]) for each in (one, other)]
        endpoints = [{"address": "127.0.0.1", "port": port} for port in ports]
        probing = {"active": {"interval": 20, "timeout": 30_000, "unhealthy_threshold": 2}}
        await serve(gateway, f"{one.url}/v1", endpoints=endpoints, health_check=probing)
        await eventually(lambda: min(each.lines.count("GET /v1") for each in (one, other)) > 3)
        assert all(not each.body for each in one.upstream.arrived)
        for _ in range(20):
            assert await outcome_of(caller, call("getOrder", id="7")) == "ok"
        assert all("GET /v1/orders/7" in each.lines for each in (one, other))


async def test_a_call_of_an_operation_has_the_record_and_the_spans_of_any_call(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    with http_sink() as sink:
        telemetry = Telemetry.from_env({"OTEL_EXPORTER_OTLP_ENDPOINT": sink.endpoint})
        async with (
            audited(path, telemetry=telemetry) as gateway,
            mcp_caller(gateway.url("orders")) as caller,
            rest_service(failing_first(502)) as service,
        ):
            await serve(gateway, service.url, retry=HINTED)
            assert await outcome_of(caller, call("getOrder", id="7")) == "ok"
        spans = sink.wait_for(lambda found: any(span.kind == "SERVER" for span in found))
    [parent] = [span for span in spans if span.kind == "SERVER"]
    attempts = sorted((span for span in spans if span.kind == "CLIENT"), key=lambda span: span.start_ns)
    assert [span.attributes.get("http.request.resend_count") for span in attempts] == [None, 1]
    assert [span.attributes.get("error.type") for span in attempts] == ["UpstreamUnavailable", None]
    assert {span.parent_span_id for span in attempts} == {parent.span_id}
    assert parent.attributes["gen_ai.tool.name"] == "getOrder"
    for span, arrived in zip(attempts, service.upstream.arrived, strict=True):
        assert span.span_id in arrived.headers["traceparent"]
    [complete] = records(path, kind="Event", stage="ResponseComplete")
    assert complete["mcp"]["tool"] == "getOrder"
    assert complete["objectRef"]["server"] == "up"
    assert complete["response"]["outcome"] == "success"
    assert "error" not in json.dumps(complete).lower()
