"""The parts of an audit record about a request, as models."""

from typing import Annotated, Any, Literal

from pydantic import Field, StrictBool, StrictInt, StrictStr

from ostiary_operator.api.base_model import ApiModel

RecordedCount = Annotated[StrictInt, Field(ge=0)]
"""A number of things."""


class RecordedUser(ApiModel):
    """Who sent the request, as its credential was verified."""

    auth_method: StrictStr
    """How the caller was authenticated, `none` if it was not. Example: `jwt`."""

    id: StrictStr | None = None
    """The principal id, which is stable over sessions and credentials. Example: `sales/support-agent`."""

    username: StrictStr | None = None
    """The subject of a token, else the consumer. Example: `alice`."""

    consumer: StrictStr | None = None
    """The consumer, as NAMESPACE/NAME. Example: `sales/support-agent`."""

    issuer: StrictStr | None = None
    """The issuer of the token. Example: `https://login.example.com`."""

    client_id: StrictStr | None = None
    """The OAuth client, which is the agent. Example: `support-agent`."""

    groups: list[StrictStr] | None = None
    """Groups of the caller, at most 16. Example: `[support]`."""


class RecordedClient(ApiModel):
    """What the client says that it is; nothing verifies it."""

    name: StrictStr | None = None
    """Its name. Example: `claude`."""

    version: StrictStr | None = None
    """Its version. Example: `1.0`."""

    self_reported: Literal[True]
    """Always true. Example: `true`."""


class RecordedRequest(ApiModel):
    """The MCP request."""

    method: StrictStr | None = None
    """The method; absent where the request has none that is known. Example: `tools/call`."""

    http_method: StrictStr | None = None
    """The HTTP method of a request without an MCP method. Example: `DELETE`."""

    path: StrictStr | None = None
    """The path of a request that belongs to no MCPProxy. Example: `/unknown/mcp`."""

    protocol_version: StrictStr | None = None
    """The revision of MCP. Example: `2026-07-28`."""

    request_id: StrictStr | None = None
    """The JSON-RPC id. Example: `42`."""

    session_hash: StrictStr | None = None
    """A digest of the session id, equal for all requests of a session. Example: `8f14e45fceea167a5a36dedd4bea2543`."""

    tool: StrictStr | None = None
    """The tool. Example: `get_weather`."""

    resource: StrictStr | None = None
    """The resource, as its URI. Example: `file:///report.txt`."""

    prompt: StrictStr | None = None
    """The prompt. Example: `summary`."""

    task: StrictStr | None = None
    """The task. Example: `7`."""

    name: StrictStr | None = None
    """The name that another method is about. Example: `debug`."""

    truncated: StrictBool | None = None
    """True where the name was longer than a record shows. Example: `true`."""

    round: Annotated[StrictInt, Field(ge=2)] | None = None
    """How often the call was sent to its server, where that asks its caller in between. Each time has a record with
    the stage RequestReceived. Example: `2`."""

    client_info: RecordedClient | None = None
    """What the client says that it is. Example: `{name: claude, selfReported: true}`."""


class RecordedTarget(ApiModel):
    """What the request went to."""

    gateway: StrictStr | None = None
    """The gateway, as NAMESPACE/NAME. Example: `ostiary-system/default`."""

    proxy: StrictStr | None = None
    """The MCPProxy, as NAMESPACE/NAME. Example: `sales/crm`."""

    uid: StrictStr | None = None
    """The uid of the MCPProxy. Example: `5f0c...`."""

    server: StrictStr | None = None
    """The server of the MCPProxy. Example: `crm`."""


class RecordedDecision(ApiModel):
    """Whether the request was allowed, and by what."""

    decision: Literal["allow", "deny", "error"]
    """allow: it passed. deny: a policy or a limit refused it. error: it was refused for another reason.
    Example: `deny`."""

    policy: StrictStr | None = None
    """The MCPPolicy that decided, as NAMESPACE/NAME. Example: `sales/support`."""

    generation: StrictInt | None = None
    """The generation of that policy. Example: `7`."""

    rule: StrictStr | None = None
    """The rule that decided. Example: `no-delete`."""

    reason: StrictStr | None = None
    """Why. Example: `DeniedByRule`."""


class RecordedLimit(ApiModel):
    """The limit that refused the request."""

    policy: StrictStr
    """Its MCPPolicy, as NAMESPACE/NAME. Example: `sales/support`."""

    name: StrictStr
    """Its name. Example: `weather-daily`."""


class RecordedFinding(ApiModel):
    """What a rule about content found. It never holds the value."""

    policy: StrictStr
    """The object with the rule, as NAMESPACE/NAME. Example: `sales/pii`."""

    rule: StrictStr | None = None
    """The rule. Example: `cards`."""

    detector: StrictStr | None = None
    """What found it: a kind, a guard, or the name of a pattern or signature. Example: `CardNumber`."""

    action: StrictStr
    """What was done, or would be in Shadow mode. Example: `Mask`."""

    direction: Literal["Arguments", "Results", "Definitions"]
    """Where it was found. Example: `Results`."""

    count: RecordedCount
    """The number of places. Example: `2`."""

    mode: Literal["Shadow"] | None = None
    """Shadow where nothing was changed. Example: `Shadow`."""


class RecordedArguments(ApiModel):
    """What was sent."""

    bytes: RecordedCount | None = None
    """Size of the request. Example: `512`."""

    arguments: Any = None
    """The arguments, by the level of the policy redacted or as they are; a text where they were cut.
    Example: `{city: Berlin}`."""

    arguments_digest: StrictStr | None = None
    """An HMAC of the arguments in canonical form. Example: `hmac-sha256:9f86...`."""

    arguments_truncated: StrictBool | None = None
    """True where the arguments were cut. Example: `true`."""

    arguments_omitted: StrictStr | None = None
    """Why the arguments are missing, though the level records them. Example: `QueueFull`."""


class RecordedResponse(ApiModel):
    """How the request ended, from the caller's view."""

    outcome: StrictStr
    """success, tool_error, rpc_error, error, cancelled, denied or refused. Example: `success`."""

    status: StrictInt | None = None
    """HTTP status of a refusal. Example: `401`."""

    code: StrictInt | None = None
    """JSON-RPC error code. Example: `-31001`."""

    error: StrictStr | None = None
    """Kind of the error. Example: `timeout`."""

    items: RecordedCount | None = None
    """Number of items of a list. Example: `12`."""

    dropped: RecordedCount | None = None
    """Items that the caller may not see. Example: `3`."""

    bytes: RecordedCount | None = None
    """Size of the response. Example: `9000`."""

    result: Any = None
    """The result, like `request.arguments`. Example: `{content: []}`."""

    result_digest: StrictStr | None = None
    """An HMAC of the result. Example: `hmac-sha256:9f86...`."""

    result_truncated: StrictBool | None = None
    """True where the result was cut. Example: `true`."""

    result_omitted: StrictStr | None = None
    """Why the result is missing, though the level records it. Example: `NotCanonical`."""
