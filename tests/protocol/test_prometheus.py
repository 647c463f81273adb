"""A real Prometheus scrapes a gateway and an operator, and PromQL returns their figures."""

import asyncio

from gateways import policy, running_gateway
from mcp_clients import connect
from operator_objects import SYSTEM, populated, proxy, until
from otlp_sink import http_sink
from prometheus import prometheus

from ostiary_gateway.telemetry import Telemetry
from ostiary_operator.clock import SystemClock
from ostiary_operator.controller.app import assemble
from ostiary_operator.kube.options import OperatorOptions

ALLOW = {"name": "all-but-users", "effect": "Allow", "tools": {}}
DENY = {"name": "no-users", "effect": "Deny", "tools": {"verbs": ["Call"], "names": ["get_users"]}}


async def test_promql_answers_who_called_what_and_what_was_denied(mock: str) -> None:
    with http_sink() as sink:
        telemetry = Telemetry.from_env({"OTEL_EXPORTER_OTLP_ENDPOINT": sink.endpoint})
        async with running_gateway(telemetry=telemetry) as gateway:
            await gateway.apply(gateway.entry("mock", mock, [policy("p", ALLOW, DENY)]))
            async with connect(gateway.url(), era="legacy") as client:
                await client.list_tools()
                for _ in range(3):
                    await client.call_tool("echo", {"message": "x"})
                await client.call_tool("get_users", {})
            async with prometheus({"gateway": gateway.app.admin_port}) as server:
                calls = 'mcp_server_operation_duration_seconds_count{job="gateway",mcp_method_name="tools/call"}'
                await server.until(f"sum({calls}) == 4")
                assert await server.value(f'sum({calls[:-1]},gen_ai_tool_name="echo"}})') == 3
                most_used = await server.until(f"topk(1, sum by (gen_ai_tool_name) ({calls}))")
                assert most_used[0]["metric"] == {"gen_ai_tool_name": "echo"}
                failing = await server.until(f'sum by (gen_ai_tool_name, error_type) ({calls[:-1]},error_type!=""}})')
                assert failing[0]["metric"] == {"gen_ai_tool_name": "get_users", "error_type": "-31001"}
                denied = (
                    'ostiary_access_decisions_total{decision="deny",ostiary_policy="default/p",ostiary_rule="no-users"}'
                )
                assert await server.value(denied) == 1
                buckets = "mcp_server_operation_duration_seconds_bucket"
                assert await server.value(f"histogram_quantile(0.99, sum by (le) ({buckets}))") > 0
                assert await server.value('count({mcp_method_name="initialize",gen_ai_tool_name=""}) > 0') > 0
                assert await server.query('{mcp_method_name="initialize",gen_ai_tool_name!=""}') == []
                exemplars = await server.exemplars(buckets)
        traces = {span.trace_id for span in await asyncio.to_thread(sink.wait_for, lambda spans: len(spans) >= 8)}
    assert exemplars
    assert {exemplar["labels"]["trace_id"] for exemplar in exemplars} <= traces


async def test_promql_answers_what_the_operator_does() -> None:
    options = OperatorOptions(operator_namespace=SYSTEM, admin_host="127.0.0.1", admin_port=0, gateway_replicas={})
    parts = assemble(populated(proxy("crm")), options, SystemClock())
    await parts.admin.start()
    working = asyncio.create_task(parts.queue.run())
    try:
        parts.queue.enqueue("start")
        await until(parts.queue.first_success.is_set)
        async with prometheus({"operator": parts.admin.port}) as server:
            await server.until('up{job="operator"} == 1')
            assert await server.value('ostiary_operator_passes_total{outcome="succeeded"}') >= 1
            assert await server.value('sum(ostiary_operator_resources{kind="MCPProxy"})') == 1
            assert await server.value('ostiary_operator_stage_duration_seconds_count{stage="compile"}') >= 1
            assert await server.value("process_resident_memory_bytes") > 1e6
    finally:
        working.cancel()
        await asyncio.gather(working, return_exceptions=True)
        await parts.admin.stop()
