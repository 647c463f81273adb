"""Every attribute, span and metric name that Ostiary emits.

They follow OpenTelemetry's semantic conventions for MCP and GenAI, which have no tagged release yet:
``docs/gen-ai/mcp.md`` of ``open-telemetry/semantic-conventions-genai`` at commit
92d9edced6d7cc7167ed57666f2f3d60bafe9aa2 (with the error classes of its PR #404), on core conventions v1.44.0.
:data:`SCHEMA_URL` is the last published schema with the MCP names. Names of our own start with ``ostiary.``; we never
add keys below ``mcp.`` or ``gen_ai.``.

A test pins these strings, and compares them with the constants of ``opentelemetry-semantic-conventions`` where such
exist: changing one changes every user's dashboards.
"""

from typing import Final

SCHEMA_URL: Final = "https://opentelemetry.io/schemas/1.41.1"
SCOPE_NAME: Final = "ostiary.gateway"
SDK_NAME: Final = "ostiary"
SERVICE_DEFAULT: Final = "ostiary-gateway"

# MCP and GenAI
MCP_METHOD_NAME: Final = "mcp.method.name"
MCP_PROTOCOL_VERSION: Final = "mcp.protocol.version"
MCP_RESOURCE_URI: Final = "mcp.resource.uri"
#: A session id is a credential for the session, so we record a digest of it: see ``record.session_digest``.
MCP_SESSION_ID: Final = "mcp.session.id"
GEN_AI_OPERATION_NAME: Final = "gen_ai.operation.name"
GEN_AI_PROMPT_NAME: Final = "gen_ai.prompt.name"
GEN_AI_TOOL_NAME: Final = "gen_ai.tool.name"
#: Content, as JSON: only where an operator enables it.
GEN_AI_TOOL_CALL_ARGUMENTS: Final = "gen_ai.tool.call.arguments"
GEN_AI_TOOL_CALL_RESULT: Final = "gen_ai.tool.call.result"
JSONRPC_REQUEST_ID: Final = "jsonrpc.request.id"
RPC_RESPONSE_STATUS_CODE: Final = "rpc.response.status_code"

# Values
EXECUTE_TOOL: Final = "execute_tool"
TOOL_ERROR: Final = "tool_error"
TIMEOUT: Final = "timeout"
#: The caller disconnected before the response: neither the gateway nor the server is at fault.
CALLER_LEFT: Final = "caller_left"
#: The caller cancelled the request (``notifications/cancelled``), and it was not answered with a result.
CANCELLED: Final = "cancelled"
TCP: Final = "tcp"
HTTP: Final = "http"
OTHER: Final = "_OTHER"
#: The name of a span whose MCP and HTTP methods are both unknown (HTTP conventions, "Name").
HTTP_SPAN_NAME: Final = "HTTP"

# General
ERROR_TYPE: Final = "error.type"
NETWORK_TRANSPORT: Final = "network.transport"
NETWORK_PROTOCOL_NAME: Final = "network.protocol.name"
NETWORK_PROTOCOL_VERSION: Final = "network.protocol.version"
CLIENT_ADDRESS: Final = "client.address"
CLIENT_PORT: Final = "client.port"
SERVER_ADDRESS: Final = "server.address"
SERVER_PORT: Final = "server.port"
NETWORK_PEER_ADDRESS: Final = "network.peer.address"
NETWORK_PEER_PORT: Final = "network.peer.port"
HTTP_REQUEST_METHOD: Final = "http.request.method"
HTTP_RESPONSE_STATUS_CODE: Final = "http.response.status_code"
HTTP_REQUEST_RESEND_COUNT: Final = "http.request.resend_count"

# Who sent the request: the name of a consumer, else a hash of the identity
USER_ID: Final = "user.id"
USER_HASH: Final = "user.hash"

# OpenInference, which Phoenix and others group traces by (its semantic conventions, "Span Kinds", "Sessions")
#: The same digest as ``mcp.session.id``.
SESSION_ID: Final = "session.id"
OPENINFERENCE_SPAN_KIND: Final = "openinference.span.kind"
#: The span kind between steps. Without it the CLIENT span of a call would be a second TOOL besides the SERVER span.
CHAIN: Final = "CHAIN"

# Our own
OSTIARY_GATEWAY: Final = "ostiary.gateway"
OSTIARY_PROXY_NAME: Final = "ostiary.proxy.name"
OSTIARY_PROXY_NAMESPACE: Final = "ostiary.proxy.namespace"
OSTIARY_SERVER_NAME: Final = "ostiary.server.name"
OSTIARY_ACCESS_DECISION: Final = "ostiary.access.decision"
OSTIARY_ACCESS_POLICY: Final = "ostiary.access.policy"
OSTIARY_ACCESS_RULE: Final = "ostiary.access.rule"
#: ``metadata.generation`` of the version of the policy that decided.
OSTIARY_ACCESS_GENERATION: Final = "ostiary.access.generation"
OSTIARY_ACCESS_REASON: Final = "ostiary.access.reason"
#: The refusal that policies in Shadow mode would cause. The decision above is the one in force.
OSTIARY_ACCESS_SHADOW_DECISION: Final = "ostiary.access.shadow.decision"
OSTIARY_ACCESS_SHADOW_POLICY: Final = "ostiary.access.shadow.policy"
OSTIARY_ACCESS_SHADOW_RULE: Final = "ostiary.access.shadow.rule"
OSTIARY_ACCESS_SHADOW_GENERATION: Final = "ostiary.access.shadow.generation"
OSTIARY_ACCESS_SHADOW_REASON: Final = "ostiary.access.shadow.reason"
#: What a limit of a policy decided: ``limited``, or ``shadow`` where it would have refused the request.
OSTIARY_LIMIT_DECISION: Final = "ostiary.limit.decision"
OSTIARY_LIMIT_POLICY: Final = "ostiary.limit.policy"
OSTIARY_LIMIT_NAME: Final = "ostiary.limit.name"
OSTIARY_LIMIT_REASON: Final = "ostiary.limit.reason"
#: A call that repeats others: the policy that watches it, what was done, and the number of equal calls in a row.
OSTIARY_LOOP_POLICY: Final = "ostiary.loop.policy"
OSTIARY_LOOP_ACTION: Final = "ostiary.loop.action"
OSTIARY_LOOP_REPEATS: Final = "ostiary.loop.repeats"
#: What rules about content found, each as a text, and the detectors and actions of those that are in force.
OSTIARY_CONTENT_FINDINGS: Final = "ostiary.content.findings"
OSTIARY_CONTENT_DETECTORS: Final = "ostiary.content.detectors"
OSTIARY_CONTENT_ACTIONS: Final = "ostiary.content.actions"
#: The routing rule that chose the server, or that could not be evaluated.
OSTIARY_ROUTE_RULE: Final = "ostiary.route.rule"
#: What a circuit breaker decided: ``refused``, or ``trial`` for a request that finds out whether a server works again.
OSTIARY_CIRCUIT_DECISION: Final = "ostiary.circuit.decision"
#: The server whose circuit that is, or a tool's of it.
OSTIARY_CIRCUIT_SERVER: Final = "ostiary.circuit.server"
#: Whether a list came from the cache: ``hit``, ``miss``, or ``stale`` where its server failed.
OSTIARY_LIST_CACHE: Final = "ostiary.list.cache"
#: The number of list items that were dropped because they cannot be judged.
OSTIARY_LIST_DROPPED_ITEMS: Final = "ostiary.list.dropped_items"
OSTIARY_AUTHENTICATION_METHOD: Final = "ostiary.authentication.method"
OSTIARY_CONFIG_REVISION: Final = "ostiary.config.revision"
#: Of the span of a config's load: its proxies, the entries that are new, changed or gone, and those that are refused.
OSTIARY_CONFIG_PROXIES: Final = "ostiary.config.proxies"
OSTIARY_CONFIG_CHANGED_ENTRIES: Final = "ostiary.config.changed_entries"
OSTIARY_CONFIG_REJECTED_ENTRIES: Final = "ostiary.config.rejected_entries"
#: The name of that span.
CONFIG_SPAN_NAME: Final = "config swap"

ALLOW: Final = "allow"
DENY: Final = "deny"
LIMITED: Final = "limited"
SHADOW: Final = "shadow"
REFUSED: Final = "refused"
TRIAL: Final = "trial"

# Resource
SERVICE_NAME: Final = "service.name"
SERVICE_NAMESPACE: Final = "service.namespace"
SERVICE_VERSION: Final = "service.version"
SERVICE_INSTANCE_ID: Final = "service.instance.id"
TELEMETRY_SDK_NAME: Final = "telemetry.sdk.name"
TELEMETRY_SDK_LANGUAGE: Final = "telemetry.sdk.language"
TELEMETRY_SDK_VERSION: Final = "telemetry.sdk.version"
K8S_POD_NAME: Final = "k8s.pod.name"
K8S_POD_UID: Final = "k8s.pod.uid"
K8S_NAMESPACE_NAME: Final = "k8s.namespace.name"
K8S_NODE_NAME: Final = "k8s.node.name"
K8S_CONTAINER_NAME: Final = "k8s.container.name"
K8S_DEPLOYMENT_NAME: Final = "k8s.deployment.name"

# Metrics (histograms in seconds, with the boundaries of ostiary_core.evidence.latency), for those who record them
MCP_SERVER_OPERATION_DURATION: Final = "mcp.server.operation.duration"
MCP_CLIENT_OPERATION_DURATION: Final = "mcp.client.operation.duration"

#: HTTP methods that may name a span; otherwise a caller could invent span names.
HTTP_METHODS: Final = frozenset(
    ("GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS", "CONNECT", "TRACE", "QUERY")
)

#: Where the target of a method is recorded. A method that is not here has none: lifecycle methods name no tool.
TARGET_ATTRIBUTES: Final = {
    "tools/call": GEN_AI_TOOL_NAME,
    "prompts/get": GEN_AI_PROMPT_NAME,
    "resources/read": MCP_RESOURCE_URI,
    "resources/subscribe": MCP_RESOURCE_URI,
    "resources/unsubscribe": MCP_RESOURCE_URI,
    "notifications/resources/updated": MCP_RESOURCE_URI,
}

#: The methods with few different targets, which therefore go into the span's name; URIs do not.
NAMED_TARGETS: Final = frozenset(("tools/call", "prompts/get"))

#: The methods that servers send; with the core's table of client methods, the methods that may name a span.
SERVER_METHODS: Final = frozenset(
    (
        "ping",
        "roots/list",
        "sampling/createMessage",
        "elicitation/create",
        "notifications/cancelled",
        "notifications/elicitation/complete",
        "notifications/message",
        "notifications/progress",
        "notifications/prompts/list_changed",
        "notifications/resources/list_changed",
        "notifications/resources/updated",
        "notifications/subscriptions/acknowledged",
        "notifications/tasks/status",
        "notifications/tools/list_changed",
    )
)


def http_span_name(method: str) -> str:
    """Return the name of a span without an MCP method: the HTTP method, if it is a known one."""
    return method if method in HTTP_METHODS else HTTP_SPAN_NAME
