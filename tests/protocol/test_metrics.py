"""Metrics of a real gateway: which figures a call leaves, and that no caller can choose a label."""

import asyncio
from collections.abc import Mapping

import aiohttp
import pytest
from aiohttp import web
from ended_calls import ended_call
from gateways import RunningGateway, policy, running_gateway
from limits import limit_config, limiting
from mcp_caller import legacy, mcp_caller, modern
from mcp_clients import connect
from otlp_sink import http_sink
from prometheus_client.openmetrics.parser import text_string_to_metric_families as open_metrics
from prometheus_client.parser import text_string_to_metric_families
from upstreams import Arrived, initialize_answer, serving

from ostiary_gateway.metrics.request_metrics import MOST_OF_PROXY
from ostiary_gateway.telemetry import Telemetry
from ostiary_gateway.telemetry.request_labels import PlainLabels

DURATION = "mcp_server_operation_duration_seconds"
UPSTREAM = "mcp_client_operation_duration_seconds"
PROXY = {"ostiary_proxy": "default/mock"}
INVENTED = 100_000
ALLOW_E = {"name": "letter-e", "effect": "Allow", "tools": {"names": ["e*"]}}


class Scrape:
    """The samples of one scrape."""

    def __init__(self, text: str) -> None:
        families = text_string_to_metric_families(text)
        self.samples = [sample for family in families for sample in family.samples]

    def value(self, name: str, **labels: str) -> float:
        """The sum of the samples with these labels, whatever others they have; "" for a label that is absent."""
        return sum(sample.value for sample in self.samples if sample.name == name and has(sample.labels, labels))

    def labels(self, name: str, label: str) -> set[str]:
        """All values of a label."""
        return {sample.labels[label] for sample in self.samples if sample.name == name and label in sample.labels}


def has(labels: Mapping[str, str], wanted: Mapping[str, str]) -> bool:
    return all(labels.get(key, "") == value for key, value in wanted.items())


async def scrape(gateway: RunningGateway) -> Scrape:
    url = f"http://127.0.0.1:{gateway.app.admin_port}/metrics"
    async with aiohttp.ClientSession() as http, http.get(url) as response:
        assert response.status == 200
        return Scrape(await response.text())


async def test_a_call_is_measured_by_its_tool_on_both_sides(gateway: RunningGateway, mock: str) -> None:
    await gateway.apply(gateway.entry("mock", mock))
    async with connect(gateway.url(), era="legacy") as client:
        await client.list_tools()
        await client.call_tool("echo", {"message": "x"})
    counted = await scrape(gateway)

    call = {**PROXY, "mcp_method_name": "tools/call", "gen_ai_tool_name": "echo", "error_type": ""}
    assert counted.value(f"{DURATION}_count", **call) == 1
    assert counted.value(f"{UPSTREAM}_count", ostiary_server="up", **call) == 1
    inside = counted.value("ostiary_gateway_overhead_seconds_sum", **PROXY)
    total, upstream = counted.value(f"{DURATION}_sum", **PROXY), counted.value(f"{UPSTREAM}_sum", **PROXY)
    assert inside == pytest.approx(total - upstream)
    assert counted.value("ostiary_http_responses_total", http_response_status_code="200", **PROXY) >= 3
    assert counted.value("http_server_request_body_size_bytes_count", **PROXY) >= 3
    assert counted.value("http_server_response_body_size_bytes_sum", **PROXY) > 1000


async def test_lifecycle_methods_have_no_name_at_all(gateway: RunningGateway, mock: str) -> None:
    await gateway.apply(gateway.entry("mock", mock))
    async with connect(gateway.url(), era="legacy") as client:
        await client.list_tools()
    counted = await scrape(gateway)

    lifecycle = [s for s in counted.samples if s.labels.get("mcp_method_name") == "initialize"]
    assert lifecycle
    assert not {"gen_ai_tool_name", "gen_ai_prompt_name", "error_type"} & {
        label for s in lifecycle for label in s.labels
    }


async def test_decisions_are_counted_by_policy_and_rule(gateway: RunningGateway, mock: str) -> None:
    listed = {"name": "see-all", "effect": "Allow", "tools": {"verbs": ["List"]}}
    await gateway.apply(gateway.entry("mock", mock, [policy("p", ALLOW_E, listed)]))
    async with mcp_caller(gateway.url()) as caller:
        await caller.post(legacy("tools/call", {"name": "echo", "arguments": {"message": "x"}}))
        await caller.post(legacy("tools/call", {"name": "get_users", "arguments": {}}))
    counted = await scrape(gateway)

    decisions = "ostiary_access_decisions_total"
    assert counted.value(decisions, ostiary_policy="default/p", ostiary_rule="letter-e", decision="allow", **PROXY) == 1
    assert counted.value(decisions, decision="deny", reason="NotAllowed", **PROXY) == 1


async def test_the_series_of_a_rule_go_with_it(gateway: RunningGateway, mock: str) -> None:
    for number in range(3):
        rule = {**ALLOW_E, "name": f"rule-{number}"}
        await gateway.apply(gateway.entry("mock", mock, [policy("p", rule)]))
        async with mcp_caller(gateway.url()) as caller:
            await caller.post(legacy("tools/call", {"name": "echo", "arguments": {"message": "x"}}))
    counted = await scrape(gateway)

    assert counted.labels("ostiary_access_decisions_total", "ostiary_rule") == {"rule-2"}


@pytest.mark.timeout(900)  # a hundred thousand calls, on a machine that may be busy
async def test_a_hundred_thousand_invented_names_grow_nothing(mock: str) -> None:
    async with running_gateway() as gateway:
        costs = limiting(limit_config(budget=10**9, per=["Tool"]), name="costs")
        await gateway.apply(gateway.entry("mock", mock, [policy("p", ALLOW_E), costs]))
        async with connect(gateway.url(), era="legacy") as client:
            await client.list_tools()
        await invent(gateway, range(100))
        await invent_otherwise(gateway, range(10))
        before = await scrape(gateway)
        await invent(gateway, range(100, INVENTED))
        await invent_otherwise(gateway, range(10, 1000))
        after = await scrape(gateway)

    assert len(after.samples) == len(before.samples)
    assert after.value(f"{DURATION}_count", mcp_method_name="tools/call", gen_ai_tool_name="") == INVENTED
    assert not any("invented" in value for sample in after.samples for value in sample.labels.values())
    assert after.value("ostiary_metric_labels_dropped_total") == 0


async def invent(gateway: RunningGateway, numbers: range) -> None:
    """Call tools by names that exist nowhere; several at a time."""

    async def some(part: range) -> None:
        async with mcp_caller(gateway.url()) as caller:
            for number in part:
                reply = await caller.post(legacy("tools/call", {"name": f"invented-{number}", "arguments": {}}))
                assert reply.json["error"]["code"] == -32602

    await asyncio.gather(*(some(numbers[start::8]) for start in range(8)))


async def invent_otherwise(gateway: RunningGateway, numbers: range) -> None:
    """Invent everything else that a caller may name."""
    async with mcp_caller(gateway.url()) as caller:
        for number in numbers:
            name = f"invented-{number}"
            await caller.post(legacy("resources/read", {"uri": f"x://{name}"}))
            await caller.post(legacy("prompts/get", {"name": name}))
            await caller.post(legacy(name))
            await caller.post(legacy("ping"), {"Mcp-Session-Id": name, "MCP-Protocol-Version": name, "Origin": name})
            await caller.request(f"INVENTED-{number}")
            await caller.request("DELETE", {"Mcp-Session-Id": name})
    async with aiohttp.ClientSession() as http:
        for number in numbers:
            async with http.post(f"{gateway.url()}/invented-{number}", json={}) as response:
                assert response.status == 404


async def test_a_server_with_endless_error_codes_fills_no_memory(gateway: RunningGateway) -> None:
    call = ended_call(proxy="default/mock", seconds=0.1, upstream_seconds=0.1)
    labels = call[3]
    for number in range(3 * MOST_OF_PROXY):
        invented: PlainLabels = (*labels[:2], f"tool-{number}", *labels[3:9], f"-{number}", f"-{number}", *labels[11:])
        gateway.app.ended.add(("", 1, 1, "", (*call[:3], invented, *call[4:])))
    counted = await scrape(gateway)

    assert counted.value(f"{DURATION}_count") == 3 * MOST_OF_PROXY
    assert len(counted.labels(f"{DURATION}_count", "gen_ai_tool_name")) == MOST_OF_PROXY
    assert counted.labels(f"{UPSTREAM}_count", "error_type") <= {"_OTHER", "-32002"}
    assert counted.value("ostiary_metric_labels_dropped_total", **PROXY) == 2 * MOST_OF_PROXY


async def test_the_state_of_process_config_and_servers_is_exported(gateway: RunningGateway, mock: str) -> None:
    await gateway.apply(gateway.entry("mock", mock), gateway.entry("dead", "http://127.0.0.1:1/mcp"))
    async with connect(gateway.url(), era="legacy") as client:
        await client.list_tools()
    async with mcp_caller(gateway.url("dead")) as caller:
        await caller.post(legacy("tools/list"))
    first = await scrape(gateway)
    await gateway.apply(gateway.entry("mock", mock), gateway.entry("dead", "http://127.0.0.1:2/mcp"))
    second = await scrape(gateway)

    assert first.value("ostiary_upstream_up", **PROXY) == 1
    assert first.value("ostiary_upstream_known_names", primitive="tools", **PROXY) == 15
    assert "ostiary_upstream_up" in {s.name for s in first.samples if s.labels.get("ostiary_proxy") == "default/dead"}
    assert first.value("ostiary_upstream_up", ostiary_proxy="default/dead") == 0
    assert first.value("process_resident_memory_bytes") > 1e6
    assert first.value("process_cpu_seconds_total") > 0
    assert first.value("process_open_fds") > 3
    assert first.value("python_gc_collections_total") > 0
    assert first.labels("ostiary_config_info", "digest") != second.labels("ostiary_config_info", "digest")
    assert "ostiary_event_loop_lag_seconds_count" in {sample.name for sample in first.samples}


async def test_sessions_are_counted_as_they_open_and_end(gateway: RunningGateway) -> None:
    async def script(_: web.BaseRequest, arrived: Arrived) -> web.StreamResponse:
        if arrived.method == "initialize":
            return initialize_answer(arrived)
        return web.Response(status=202 if arrived.method in ("DELETE", "notifications/initialized") else 404)

    proxy = {"ostiary_proxy": "default/with-sessions"}
    async with serving(script) as upstream:
        await gateway.apply(gateway.entry("with-sessions", upstream.url))
        url = gateway.url("with-sessions")
        async with mcp_caller(url) as leaves, mcp_caller(url) as stays:
            for caller in (leaves, stays):
                await caller.initialize()
            assert (await leaves.request("DELETE")).status == 202
            assert (await stays.post(legacy("tools/list"))).status == 404
            assert (await stays.request("DELETE", {"Mcp-Session-Id": "invented"})).status == 404
        counted = await scrape(gateway)

    assert counted.value("ostiary_sessions_opened_total", **proxy) == 2
    assert counted.value("ostiary_sessions_ended_total", **proxy) == 1
    assert counted.value("ostiary_session_refusals_total", reason="forgotten", **proxy) == 1
    assert counted.value("ostiary_session_refusals_total", reason="invalid", **proxy) == 1


async def test_a_sampled_call_is_the_exemplar_of_its_bucket(mock: str) -> None:
    with http_sink() as sink:
        telemetry = Telemetry.from_env({"OTEL_EXPORTER_OTLP_ENDPOINT": sink.endpoint})
        async with running_gateway(telemetry=telemetry) as gateway:
            await gateway.apply(gateway.entry("mock", mock))
            async with mcp_caller(gateway.url()) as caller:
                await caller.post(modern("tools/call", {"name": "echo", "arguments": {"message": "x"}}))
            url = f"http://127.0.0.1:{gateway.app.admin_port}/metrics"
            accept = {"Accept": "application/openmetrics-text;version=1.0.0,text/plain;q=0.5"}
            async with aiohttp.ClientSession() as http, http.get(url, headers=accept) as response:
                assert response.content_type == "application/openmetrics-text"
                text = await response.text()
        traces = {span.trace_id for span in sink.wait_for(lambda spans: len(spans) == 2)}

    families = list(open_metrics(text))  # type: ignore[no-untyped-call]  # the client library's own reader
    exemplars = [sample.exemplar for family in families for sample in family.samples if sample.exemplar is not None]
    assert {exemplar.labels["trace_id"] for exemplar in exemplars} == traces
    assert len(exemplars) == 2  # one on each side
