"""A modern client at a server that speaks legacy revisions only: sessions are the gateway's, questions are asked."""

from collections.abc import AsyncIterator
from typing import Any, Final

import pytest
from api_keys import AGENT_KEY, api_key, bearer, keyed
from gateway_replicas import gateway_replicas
from gateways import RunningGateway, running_gateway
from mcp.types import ElicitResult
from mcp_caller import mcp_caller, modern, modern_headers
from mcp_clients import connect
from otlp_sink import http_sink
from servers_by_era import everything

from ostiary_gateway.telemetry import Telemetry
from ostiary_operator.demo.served_eras import ServedEras

LEGACY_ONLY: Final[dict[str, Any]] = {"protocol_version": "2025-11-25"}


@pytest.fixture
async def old() -> AsyncIterator[str]:
    """A server on the official Python SDK that speaks legacy revisions only."""
    async with everything(sdk="python", eras=ServedEras.LEGACY) as url:
        yield url


async def test_an_official_client_discovers_lists_and_calls(gateway: RunningGateway, old: str) -> None:
    await gateway.apply(gateway.entry("old", old, server=LEGACY_ONLY))
    async with connect(gateway.url("old"), era="modern") as client:
        tools = (await client.list_tools()).tools
        assert "test_simple_text" in {tool.name for tool in tools}
        result = await client.call_tool("test_simple_text", {})
        assert not result.is_error
        assert result.content


async def test_what_the_server_refused_before_it_was_bridged_is_no_failure_of_the_request(
    old: str,
) -> None:
    with http_sink() as sink:
        telemetry = Telemetry.from_env({"OTEL_EXPORTER_OTLP_ENDPOINT": sink.endpoint})
        async with running_gateway(telemetry=telemetry) as gateway, mcp_caller(gateway.url("old")) as caller:
            await gateway.apply(gateway.entry("old", old))
            discovered = await caller.post(modern("server/discover"))
        spans = sink.wait_for(lambda found: any(each.kind == "SERVER" for each in found))
    assert discovered.result["supportedVersions"]
    [span] = [each for each in spans if each.kind == "SERVER"]
    assert "rpc.response.status_code" not in span.attributes
    assert "error.type" not in span.attributes


async def elicited(context: Any, params: Any) -> ElicitResult:
    """Answer the server as a user would."""
    return ElicitResult(action="accept", content={"username": "ada", "email": "ada@example.com"})


async def test_a_question_in_mid_call_is_asked_and_the_call_goes_on(gateway: RunningGateway, old: str) -> None:
    await gateway.apply(gateway.entry("old", old, server=LEGACY_ONLY))
    async with connect(gateway.url("old"), era="modern", elicitation_callback=elicited) as client:
        result = await client.call_tool("test_elicitation", {"message": "Who?"})
    assert "ada@example.com" in str(result.content)
    assert gateway.app.pipeline.services.continuations.parked == 0


async def test_the_answer_may_arrive_at_any_replica(old: str) -> None:
    async with gateway_replicas() as replicas:
        await replicas.apply(replicas.entry("old", old, server=LEGACY_ONLY))
        async with connect(replicas.url("old"), era="modern", elicitation_callback=elicited) as client:
            for _ in range(4):
                result = await client.call_tool("test_elicitation", {"message": "Who?"})
                assert "ada@example.com" in str(result.content)
        assert len(set(replicas.balancer.chosen)) == 3


async def test_a_change_in_the_session_of_a_callers_calls_is_told_to_its_listener(
    gateway: RunningGateway, old: str
) -> None:
    await gateway.apply(gateway.entry("old", old, [keyed(api_key(AGENT_KEY))], server=LEGACY_ONLY))
    listen = modern("subscriptions/listen", {"notifications": {"toolsListChanged": True}}, id="listen-1")
    change = modern("tools/call", {"name": "test_trigger_tool_change", "arguments": {}})
    headers = {**modern_headers(listen), **bearer(AGENT_KEY)}
    async with mcp_caller(gateway.url("old")) as caller, caller.stream(listen, headers) as stream:
        acknowledged = await stream.message()
        assert acknowledged["params"]["notifications"] == {"toolsListChanged": True}
        for _ in range(2):  # there and back
            await caller.post(change, {**modern_headers(change), **bearer(AGENT_KEY)})
        told = await stream.message()
    assert told["method"] == "notifications/tools/list_changed"
    assert told["params"]["_meta"] == {"io.modelcontextprotocol/subscriptionId": "listen-1"}
