"""The same figures over OTLP: a real gateway, the SDK's exporter and a collector that decodes what comes."""

import asyncio
import logging
from collections.abc import Mapping

import aiohttp
import pytest
from gateways import running_gateway
from mcp_clients import connect
from operator_objects import until
from otlp_sink import Answer, SinkPoint, black_hole, http_sink
from prometheus_client.parser import text_string_to_metric_families

from ostiary_gateway.errors import StartupError
from ostiary_gateway.telemetry import Telemetry
from ostiary_operator.status.replica_reports import parse_report

QUICK = {"OTEL_METRICS_EXPORTER": "otlp", "OTEL_METRIC_EXPORT_INTERVAL": "1000"}
CALLS = "mcp.server.operation.duration"


def calls(points: list[SinkPoint], **wanted: str) -> float:
    labels = {key.replace("__", "."): value for key, value in wanted.items()}
    return sum(p.value for p in points if p.name == CALLS and has(p.attributes, labels))


def has(attributes: Mapping[str, object], wanted: Mapping[str, str]) -> bool:
    return all(attributes.get(key) == value for key, value in wanted.items())


@pytest.fixture
def exporting(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """The exporter reads its variables itself, from the environment of the process."""
    for variable in ("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "OTEL_METRICS_EXPORTER", "OTEL_SDK_DISABLED"):
        monkeypatch.delenv(variable, raising=False)
    return monkeypatch


async def test_the_figures_of_a_scrape_go_out_at_the_interval(mock: str, exporting: pytest.MonkeyPatch) -> None:
    with http_sink() as sink:
        exporting.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", sink.endpoint)
        environ = {**QUICK, "OTEL_EXPORTER_OTLP_ENDPOINT": sink.endpoint, "OTEL_RESOURCE_ATTRIBUTES": "team=mcp"}
        telemetry = Telemetry.from_env(environ)
        async with running_gateway(telemetry=telemetry, environ=environ) as gateway:
            await gateway.apply(gateway.entry("mock", mock))
            async with connect(gateway.url(), era="legacy") as client:
                await client.list_tools()
                await client.call_tool("echo", {"message": "x"})
            named = {"mcp__method__name": "tools/call", "gen_ai__tool__name": "echo"}
            points = await asyncio.to_thread(sink.wait_for_points, lambda found: calls(found, **named) == 1)
            spans = await asyncio.to_thread(sink.wait_for, lambda spans: spans)

    call = next(p for p in points if p.name == CALLS and p.attributes.get("gen_ai.tool.name") == "echo")
    assert (call.unit, call.kind, call.is_cumulative) == ("s", "histogram", True)
    assert call.attributes["gen_ai.operation.name"] == "execute_tool"
    assert sum(call.message.bucket_counts) == call.message.count == 1
    assert len(call.message.bucket_counts) == len(call.message.explicit_bounds) + 1
    assert call.message.exemplars[0].trace_id.hex() in {span.trace_id for span in spans}
    assert call.resource["team"] == "mcp"
    assert call.resource["service.instance.id"] == spans[0].resource["service.instance.id"]
    names = {p.name for p in points}
    assert {
        "mcp.client.operation.duration",
        "ostiary.gateway_overhead",
        "process.cpu.time",
        "ostiary.config_info",
    } <= names
    initialize = next(p for p in points if p.name == CALLS and p.attributes["mcp.method.name"] == "initialize")
    assert "gen_ai.tool.name" not in initialize.attributes
    assert "error.type" not in initialize.attributes


async def test_the_last_figures_go_out_when_the_gateway_stops(mock: str, exporting: pytest.MonkeyPatch) -> None:
    with http_sink() as sink:
        exporting.setenv("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", f"{sink.endpoint}/v1/metrics")
        environ = {"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": f"{sink.endpoint}/v1/metrics"}
        async with running_gateway(environ=environ) as gateway:
            await gateway.apply(gateway.entry("mock", mock))
            async with connect(gateway.url(), era="legacy") as client:
                await client.list_tools()
            assert sink.attempts == 0  # the interval is a minute
        assert calls(sink.points, mcp__method__name="tools/list") == 1


async def test_without_a_choice_nothing_is_sent(mock: str) -> None:
    with http_sink() as sink:
        environ = {"OTEL_EXPORTER_OTLP_ENDPOINT": sink.endpoint}  # what those set who want traces
        async with running_gateway(environ=environ) as gateway:
            await gateway.apply(gateway.entry("mock", mock))
            assert gateway.app.metrics.export is None
        assert sink.attempts == 0


async def test_a_collector_that_refuses_or_hangs_is_counted_and_delays_nothing(
    mock: str, exporting: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    exporting.setenv("OTEL_EXPORTER_OTLP_METRICS_TIMEOUT", "1")
    with http_sink() as sink, caplog.at_level(logging.WARNING):
        sink.answer = Answer(http_status=400)
        exporting.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", sink.endpoint)
        async with running_gateway(environ={**QUICK, "OTEL_EXPORTER_OTLP_ENDPOINT": sink.endpoint}) as gateway:
            await gateway.apply(gateway.entry("mock", mock))
            export = gateway.app.metrics.export
            assert export is not None
            await until(lambda: export.stats.failures >= 2)
            url = f"http://127.0.0.1:{gateway.app.admin_port}/metrics"
            async with aiohttp.ClientSession() as http, http.get(url) as response:
                families = list(text_string_to_metric_families(await response.text()))
    failures = [s for f in families for s in f.samples if s.name == "ostiary_otlp_export_failures_total"]
    assert next(s.value for s in failures if s.labels["signal"] == "metrics") >= 1
    assert sum("metrics could not be exported" in record.message for record in caplog.records) == 1

    with black_hole() as address:
        exporting.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://{address}")
        async with running_gateway(environ={**QUICK, "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://{address}"}) as gateway:
            await gateway.apply(gateway.entry("mock", mock))
            async with connect(gateway.url(), era="legacy") as client:
                await client.call_tool("echo", {"message": "x"})


async def test_the_operator_learns_whether_spans_and_metrics_arrive(mock: str, exporting: pytest.MonkeyPatch) -> None:
    with http_sink() as sink:
        sink.answer = Answer(http_status=400)
        exporting.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", sink.endpoint)
        environ = {**QUICK, "OTEL_EXPORTER_OTLP_ENDPOINT": sink.endpoint}
        async with running_gateway(telemetry=Telemetry.from_env(environ), environ=environ) as gateway:
            await gateway.apply(gateway.entry("mock", mock))
            async with connect(gateway.url(), era="legacy") as client:
                await client.list_tools()
            url = f"http://127.0.0.1:{gateway.app.admin_port}/config"
            headers = {"Authorization": "Bearer admin-for-tests"}
            async with aiohttp.ClientSession(headers=headers) as http, http.get(url) as response:
                report = parse_report(await response.read(), gateway="ostiary/default")
            await until(lambda: gateway.app.telemetry.stats.failing)
    # No fault of half a minute yet: a collector may restart.
    assert {signal: export.failing for signal, export in report.telemetry.items()} == {
        "traces": False,
        "metrics": False,
    }


async def test_an_exporter_that_is_not_installed_is_named() -> None:
    with pytest.raises(StartupError, match="OTEL_METRICS_EXPORTER names 'pigeon', which is not installed"):
        async with running_gateway(environ={"OTEL_METRICS_EXPORTER": "pigeon"}):
            pass
