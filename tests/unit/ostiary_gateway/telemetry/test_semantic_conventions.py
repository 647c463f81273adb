"""The names are a contract with every user's dashboards."""

import warnings

import pytest

from ostiary_gateway.telemetry import semantic_conventions

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)
    from opentelemetry.semconv._incubating.attributes import (
        gen_ai_attributes,
        jsonrpc_attributes,
        k8s_attributes,
        mcp_attributes,
        rpc_attributes,
        session_attributes,
        user_attributes,
    )
    from opentelemetry.semconv._incubating.metrics import mcp_metrics
from opentelemetry.semconv.attributes import (
    client_attributes,
    error_attributes,
    http_attributes,
    network_attributes,
    server_attributes,
    service_attributes,
    telemetry_attributes,
)
from opentelemetry.semconv.schemas import Schemas

from ostiary_core.mcp.methods import METHODS

PINNED = {
    "MCP_METHOD_NAME": "mcp.method.name",
    "MCP_PROTOCOL_VERSION": "mcp.protocol.version",
    "MCP_RESOURCE_URI": "mcp.resource.uri",
    "MCP_SESSION_ID": "mcp.session.id",
    "GEN_AI_OPERATION_NAME": "gen_ai.operation.name",
    "GEN_AI_PROMPT_NAME": "gen_ai.prompt.name",
    "GEN_AI_TOOL_NAME": "gen_ai.tool.name",
    "GEN_AI_TOOL_CALL_ARGUMENTS": "gen_ai.tool.call.arguments",
    "GEN_AI_TOOL_CALL_RESULT": "gen_ai.tool.call.result",
    "SESSION_ID": "session.id",
    "OPENINFERENCE_SPAN_KIND": "openinference.span.kind",
    "JSONRPC_REQUEST_ID": "jsonrpc.request.id",
    "RPC_RESPONSE_STATUS_CODE": "rpc.response.status_code",
    "ERROR_TYPE": "error.type",
    "NETWORK_TRANSPORT": "network.transport",
    "NETWORK_PROTOCOL_NAME": "network.protocol.name",
    "NETWORK_PROTOCOL_VERSION": "network.protocol.version",
    "CLIENT_ADDRESS": "client.address",
    "CLIENT_PORT": "client.port",
    "SERVER_ADDRESS": "server.address",
    "SERVER_PORT": "server.port",
    "HTTP_REQUEST_METHOD": "http.request.method",
    "HTTP_RESPONSE_STATUS_CODE": "http.response.status_code",
    "NETWORK_PEER_ADDRESS": "network.peer.address",
    "NETWORK_PEER_PORT": "network.peer.port",
    "HTTP_REQUEST_RESEND_COUNT": "http.request.resend_count",
    "OSTIARY_GATEWAY": "ostiary.gateway",
    "OSTIARY_PROXY_NAME": "ostiary.proxy.name",
    "OSTIARY_PROXY_NAMESPACE": "ostiary.proxy.namespace",
    "OSTIARY_SERVER_NAME": "ostiary.server.name",
    "OSTIARY_ACCESS_DECISION": "ostiary.access.decision",
    "OSTIARY_ACCESS_POLICY": "ostiary.access.policy",
    "OSTIARY_ACCESS_RULE": "ostiary.access.rule",
    "OSTIARY_ACCESS_GENERATION": "ostiary.access.generation",
    "OSTIARY_ACCESS_REASON": "ostiary.access.reason",
    "OSTIARY_ACCESS_SHADOW_DECISION": "ostiary.access.shadow.decision",
    "OSTIARY_ACCESS_SHADOW_POLICY": "ostiary.access.shadow.policy",
    "OSTIARY_ACCESS_SHADOW_RULE": "ostiary.access.shadow.rule",
    "OSTIARY_ACCESS_SHADOW_GENERATION": "ostiary.access.shadow.generation",
    "OSTIARY_ACCESS_SHADOW_REASON": "ostiary.access.shadow.reason",
    "OSTIARY_LIMIT_DECISION": "ostiary.limit.decision",
    "OSTIARY_LIMIT_POLICY": "ostiary.limit.policy",
    "OSTIARY_LIMIT_NAME": "ostiary.limit.name",
    "OSTIARY_LIMIT_REASON": "ostiary.limit.reason",
    "OSTIARY_CIRCUIT_DECISION": "ostiary.circuit.decision",
    "OSTIARY_CIRCUIT_SERVER": "ostiary.circuit.server",
    "OSTIARY_CONTENT_FINDINGS": "ostiary.content.findings",
    "OSTIARY_CONTENT_DETECTORS": "ostiary.content.detectors",
    "OSTIARY_CONTENT_ACTIONS": "ostiary.content.actions",
    "OSTIARY_ROUTE_RULE": "ostiary.route.rule",
    "OSTIARY_LIST_CACHE": "ostiary.list.cache",
    "OSTIARY_LIST_DROPPED_ITEMS": "ostiary.list.dropped_items",
    "OSTIARY_LOOP_ACTION": "ostiary.loop.action",
    "OSTIARY_LOOP_POLICY": "ostiary.loop.policy",
    "OSTIARY_LOOP_REPEATS": "ostiary.loop.repeats",
    "OSTIARY_AUTHENTICATION_METHOD": "ostiary.authentication.method",
    "OSTIARY_CONFIG_REVISION": "ostiary.config.revision",
    "OSTIARY_CONFIG_PROXIES": "ostiary.config.proxies",
    "OSTIARY_CONFIG_CHANGED_ENTRIES": "ostiary.config.changed_entries",
    "OSTIARY_CONFIG_REJECTED_ENTRIES": "ostiary.config.rejected_entries",
    "CONFIG_SPAN_NAME": "config swap",
    "USER_ID": "user.id",
    "USER_HASH": "user.hash",
    "SERVICE_NAME": "service.name",
    "SERVICE_NAMESPACE": "service.namespace",
    "SERVICE_VERSION": "service.version",
    "SERVICE_INSTANCE_ID": "service.instance.id",
    "TELEMETRY_SDK_NAME": "telemetry.sdk.name",
    "TELEMETRY_SDK_LANGUAGE": "telemetry.sdk.language",
    "TELEMETRY_SDK_VERSION": "telemetry.sdk.version",
    "K8S_POD_NAME": "k8s.pod.name",
    "K8S_POD_UID": "k8s.pod.uid",
    "K8S_NAMESPACE_NAME": "k8s.namespace.name",
    "K8S_NODE_NAME": "k8s.node.name",
    "K8S_CONTAINER_NAME": "k8s.container.name",
    "K8S_DEPLOYMENT_NAME": "k8s.deployment.name",
    "MCP_SERVER_OPERATION_DURATION": "mcp.server.operation.duration",
    "MCP_CLIENT_OPERATION_DURATION": "mcp.client.operation.duration",
    "EXECUTE_TOOL": "execute_tool",
    "TOOL_ERROR": "tool_error",
}

CONVENTIONS = (
    mcp_attributes,
    mcp_metrics,
    gen_ai_attributes,
    jsonrpc_attributes,
    rpc_attributes,
    k8s_attributes,
    client_attributes,
    error_attributes,
    http_attributes,
    network_attributes,
    server_attributes,
    service_attributes,
    session_attributes,
    telemetry_attributes,
    user_attributes,
)


@pytest.mark.parametrize(("constant", "value"), PINNED.items())
def test_a_name_never_changes_unnoticed(constant: str, value: str) -> None:
    assert getattr(semantic_conventions, constant) == value


def test_every_dotted_name_is_pinned() -> None:
    dotted = {
        name: value
        for name, value in vars(semantic_conventions).items()
        if isinstance(value, str) and name.isupper() and "." in value
    }

    assert dotted.keys() - PINNED.keys() == {"SCHEMA_URL", "SCOPE_NAME"}


def test_every_name_that_is_not_ours_is_a_constant_of_the_conventions() -> None:
    known = {
        name: value
        for module in CONVENTIONS
        for name, value in vars(module).items()
        if name.isupper() and isinstance(value, str)
    }
    others = ("OSTIARY_", "OPENINFERENCE_")
    theirs = {name: value for name, value in PINNED.items() if "." in value and not name.startswith(others)}

    assert {name: known.get(name) for name in theirs} == theirs


def test_our_own_names_stay_below_our_own_prefix() -> None:
    assert all(value.startswith("ostiary.") for name, value in PINNED.items() if name.startswith("OSTIARY_"))


def test_the_well_known_values_are_those_of_the_conventions() -> None:
    assert gen_ai_attributes.GenAiOperationNameValues.EXECUTE_TOOL.value == semantic_conventions.EXECUTE_TOOL
    assert network_attributes.NetworkTransportValues.TCP.value == semantic_conventions.TCP
    assert error_attributes.ErrorTypeValues.OTHER.value == semantic_conventions.OTHER
    assert Schemas.V1_41_1.value == semantic_conventions.SCHEMA_URL


def test_every_method_of_the_conventions_may_name_a_span() -> None:
    conventional = {value.value for value in mcp_attributes.McpMethodNameValues}

    assert conventional <= METHODS.keys() | semantic_conventions.SERVER_METHODS


def test_only_methods_that_name_one_thing_have_a_target() -> None:
    assert set(semantic_conventions.TARGET_ATTRIBUTES) <= METHODS.keys() | semantic_conventions.SERVER_METHODS
    assert {
        method
        for method, key in semantic_conventions.TARGET_ATTRIBUTES.items()
        if key != semantic_conventions.MCP_RESOURCE_URI
    } == semantic_conventions.NAMED_TARGETS
