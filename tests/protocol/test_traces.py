"""A tool call is one trace from agent to server, whichever library made its spans (rows TQ-3, TA-50; SEP-414)."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

import pytest
from gateways import policy, running_gateway
from mcp_clients import ERAS, Era, connect, mock_process
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from otlp_sink import Sink, SinkSpan, grpc_sink, http_sink

from ostiary_gateway.telemetry import Telemetry

LIST_ONLY = {"name": "look", "effect": "Allow", "tools": {"verbs": ["List"]}}


@pytest.fixture(scope="module")
def agent_provider() -> Iterator[TracerProvider]:
    """The agent's own tracing; the API takes one provider a process, so its exporter changes from test to test."""
    provider = TracerProvider(resource=Resource.create({"service.name": "agent"}), shutdown_on_exit=False)
    trace.set_tracer_provider(provider)
    yield provider
    provider.shutdown()


@contextmanager
def agent_exporting_to(provider: TracerProvider, sink: Sink) -> Iterator[None]:
    processor = BatchSpanProcessor(OTLPSpanExporter(endpoint=f"{sink.endpoint}/v1/traces"), schedule_delay_millis=100)
    provider.add_span_processor(processor)
    try:
        yield
    finally:
        processor.shutdown()  # type: ignore[no-untyped-call]  # the SDK leaves it out


def gateway_telemetry(sink: Sink, protocol: str) -> Telemetry:
    env = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": sink.endpoint,
        "OTEL_EXPORTER_OTLP_PROTOCOL": protocol,
        "POD_NAME": "gateway-0",
        "POD_NAMESPACE": "ostiary-system",
    }
    return Telemetry.from_env(env)


def found(sink: Sink, name: str, *, kind: str = "SERVER", service: str | None = None) -> SinkSpan:
    def fits(span: SinkSpan) -> bool:
        right_name = name == span.name or (service is not None and name in span.name)
        return right_name and span.kind == kind and service in (None, span.service)

    return next(filter(fits, sink.wait_for(lambda spans: any(map(fits, spans)))))


SINKS: dict[str, "type[AbstractContextManager[Sink]]"] = {"http/protobuf": http_sink, "grpc": grpc_sink}  # type: ignore[dict-item]  # context manager factories


@pytest.mark.parametrize("era", ERAS)
@pytest.mark.parametrize("protocol", SINKS)
async def test_a_call_is_one_tree_of_spans_from_agent_through_gateway_to_server(
    agent_provider: TracerProvider, era: Era, protocol: str
) -> None:
    with http_sink() as sink, SINKS[protocol]() as gateway_sink:
        tracing = {"OTEL_EXPORTER_OTLP_ENDPOINT": sink.endpoint, "OTEL_BSP_SCHEDULE_DELAY": "100"}
        with mock_process(env=tracing) as mock, agent_exporting_to(agent_provider, sink):
            async with running_gateway(telemetry=gateway_telemetry(gateway_sink, protocol)) as gateway:
                await gateway.apply(gateway.entry("mock", mock.url))
                async with connect(gateway.url(), era=era) as client:
                    await client.call_tool("get_users", {})

            server = found(gateway_sink, "tools/call get_users")
            client_span = found(gateway_sink, "tools/call get_users", kind="CLIENT")
            asked = found(sink, "get_users", kind="CLIENT", service="agent")
            served = found(sink, "get_users", service="mock-mcp-server")

    assert server.parent_span_id == asked.span_id
    assert client_span.parent_span_id == server.span_id
    assert served.parent_span_id == client_span.span_id
    assert len({asked.trace_id, server.trace_id, client_span.trace_id, served.trace_id}) == 1
    assert server.attributes["gen_ai.tool.name"] == "get_users"
    assert server.attributes["gen_ai.operation.name"] == "execute_tool"
    assert server.attributes["mcp.method.name"] == "tools/call"
    assert server.attributes["ostiary.proxy.name"] == "mock"
    assert server.resource["k8s.pod.name"] == "gateway-0"
    assert "server.address" not in server.attributes
    assert client_span.attributes["server.address"] == "127.0.0.1"


async def test_lifecycle_methods_carry_no_tool(mock: str) -> None:
    with http_sink() as sink:
        async with running_gateway(telemetry=gateway_telemetry(sink, "http/protobuf")) as gateway:
            await gateway.apply(gateway.entry("mock", mock))
            async with connect(gateway.url(), era="legacy"):
                pass
        span = found(sink, "initialize")

    assert not [key for key in span.attributes if key.startswith("gen_ai.")]


async def test_a_denied_call_is_a_span_with_policy_rule_and_reason_and_without_a_client(mock: str) -> None:
    with http_sink() as sink:
        async with running_gateway(telemetry=gateway_telemetry(sink, "http/protobuf")) as gateway:
            await gateway.apply(gateway.entry("mock", mock, [policy("look", LIST_ONLY)]))
            async with connect(gateway.url(), era="modern") as client:
                assert (await client.call_tool("get_users", {})).is_error
        span = found(sink, "tools/call get_users")

    assert (span.status, span.description) == ("ERROR", "Denied by policy default/look")
    assert "rpc.response.status_code" not in span.attributes
    assert span.attributes["ostiary.access.decision"] == "deny"
    assert span.attributes["ostiary.access.policy"] == "default/look"
    assert span.attributes["ostiary.access.reason"] == "NotAllowed"
    assert span.attributes["error.type"] == "-31001"
    assert not [s for s in sink.spans if s.parent_span_id == span.span_id]


async def test_a_tool_that_fails_is_an_error_on_both_sides(mock: str) -> None:
    with http_sink() as sink:
        async with running_gateway(telemetry=gateway_telemetry(sink, "http/protobuf")) as gateway:
            await gateway.apply(gateway.entry("mock", mock))
            async with connect(gateway.url(), era="modern") as client:
                assert (await client.call_tool("get_user", {"user_id": 999_999})).is_error
        spans = [found(sink, "tools/call get_user", kind=kind) for kind in ("SERVER", "CLIENT")]

    assert [span.attributes["error.type"] for span in spans] == ["tool_error", "tool_error"]
    assert [span.status for span in spans] == ["ERROR", "ERROR"]
