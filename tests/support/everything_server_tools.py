"""The tools of the conformance suite: content, logging, progress, and questions to the client.

In a session they ask on the stream of the call, at 2026-07-28 by their result. `everything_input` holds those that the
suite has for 2026-07-28 alone.
"""

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import anyio
from everything_server_content import WATCHED, audio, embedded, image, text
from everything_server_state import State
from mcp.server.context import ServerRequestContext
from mcp.shared.exceptions import MCPError
from mcp.shared.message import ServerMessageMetadata
from mcp.types import (
    INVALID_PARAMS,
    MISSING_REQUIRED_CLIENT_CAPABILITY,
    CallToolRequestParams,
    CallToolResult,
    ClientCapabilities,
    CreateMessageRequest,
    CreateMessageRequestParams,
    ElicitRequest,
    ElicitRequestFormParams,
    InputRequest,
    InputRequiredResult,
    ListRootsRequest,
    ListRootsResult,
    LoggingLevel,
    SamplingCapability,
    SamplingMessage,
)
from mcp.types.version import MODERN_PROTOCOL_VERSIONS

Request = ServerRequestContext[Any, Any]
Handler = Callable[[State, Request, CallToolRequestParams], Awaitable[CallToolResult | InputRequiredResult]]

STEP_SECONDS: Final = 0.05
"""Between two notifications, so that they come in reads of their own."""


@dataclass(frozen=True, slots=True)
class Fixture:
    """A tool: what is listed, and what a call of it does."""

    name: str
    description: str
    handler: Handler
    schema: Mapping[str, Any] = field(default_factory=lambda: {"type": "object"})


def answer(*content: Any) -> CallToolResult:
    """A result of these blocks."""
    return CallToolResult(content=list(content))


def _fixed(*content: Any) -> Handler:
    async def handler(_state: State, _ctx: Request, _params: CallToolRequestParams) -> CallToolResult:
        return answer(*content)

    return handler


async def _fails(_state: State, _ctx: Request, _params: CallToolRequestParams) -> CallToolResult:
    message = "This tool intentionally returns an error for testing"
    return CallToolResult(content=[text(message)], is_error=True)


async def _log(ctx: Request, level: LoggingLevel, message: str) -> None:
    await ctx.session.send_log_message(level, message, related_request_id=ctx.request_id)


async def _logs(_state: State, ctx: Request, _params: CallToolRequestParams) -> CallToolResult:
    await _log(ctx, "info", "Tool execution started")
    await anyio.sleep(STEP_SECONDS)
    await _log(ctx, "info", "Tool processing data")
    await anyio.sleep(STEP_SECONDS)
    await _log(ctx, "info", "Tool execution completed")
    return answer(text("Tool with logging executed successfully"))


async def _progresses(_state: State, ctx: Request, _params: CallToolRequestParams) -> CallToolResult:
    for done in (0, 50, 100):
        await ctx.session.report_progress(done, 100, f"Completed step {done} of 100")
        await anyio.sleep(STEP_SECONDS)
    return answer(text("Tool with progress executed successfully"))


def _asking(request: InputRequest) -> InputRequiredResult:
    return InputRequiredResult(input_requests={"answer": request})


def _is_stateless(ctx: Request) -> bool:
    return ctx.protocol_version in MODERN_PROTOCOL_VERSIONS


def _response(params: CallToolRequestParams) -> Any:
    """What the client said to the question of the round before; None in the first one."""
    return (params.input_responses or {}).get("answer")


async def _samples(_state: State, ctx: Request, params: CallToolRequestParams) -> CallToolResult | InputRequiredResult:
    message = SamplingMessage(role="user", content=text(str((params.arguments or {}).get("prompt", ""))))
    if _is_stateless(ctx):
        result = _response(params)
        if result is None:
            asked = CreateMessageRequestParams(messages=[message], max_tokens=100)
            return _asking(CreateMessageRequest(params=asked))
    else:
        result = await ctx.session.create_message([message], max_tokens=100, related_request_id=ctx.request_id)
    content = result.content
    return answer(text(f"LLM response: {content.text if content.type == 'text' else content.type}"))


async def _lists_roots(
    _state: State, ctx: Request, params: CallToolRequestParams
) -> CallToolResult | InputRequiredResult:
    if _is_stateless(ctx):
        result = _response(params)
        if result is None:
            return _asking(ListRootsRequest())
    else:
        related = ServerMessageMetadata(related_request_id=ctx.request_id)
        result = await ctx.session.send_request(ListRootsRequest(), ListRootsResult, metadata=related)
    return answer(text("Roots: " + ", ".join(str(root.uri) for root in result.roots)))


def _elicits(said: str, message: str, properties: Mapping[str, Any], required: tuple[str, ...] = ()) -> Handler:
    async def handler(
        _state: State, ctx: Request, params: CallToolRequestParams
    ) -> CallToolResult | InputRequiredResult:
        question = str((params.arguments or {}).get("message", message))
        schema = {"type": "object", "properties": dict(properties), "required": list(required)}
        if _is_stateless(ctx):
            result = _response(params)
            if result is None:
                return _asking(ElicitRequest(params=ElicitRequestFormParams(message=question, requested_schema=schema)))
        else:
            result = await ctx.session.elicit_form(question, schema, related_request_id=ctx.request_id)
        return answer(text(f"{said}: action={result.action}, content={json.dumps(result.content or {})}"))

    return handler


async def _reconnects(_state: State, ctx: Request, _params: CallToolRequestParams) -> CallToolResult:
    if ctx.close_sse_stream is not None:
        await ctx.close_sse_stream()
    await anyio.sleep(2 * STEP_SECONDS)
    return answer(text("Reconnection test completed"))


async def _changes_tools(state: State, _ctx: Request, _params: CallToolRequestParams) -> CallToolResult:
    await state.change_tools()
    return answer(text("The tools changed"))


async def _changes_prompts(state: State, _ctx: Request, _params: CallToolRequestParams) -> CallToolResult:
    await state.change_prompts()
    return answer(text("The prompts changed"))


async def _touches(state: State, _ctx: Request, _params: CallToolRequestParams) -> CallToolResult:
    await state.touch(WATCHED)
    return answer(text("The watched resource changed"))


async def _waits(state: State, ctx: Request, _params: CallToolRequestParams) -> CallToolResult:
    await ctx.session.report_progress(0, 1, "Waiting")
    try:
        await anyio.sleep_forever()
    finally:
        state.cancelled += 1
    raise AssertionError("unreachable")


async def _counts_cancelled(state: State, _ctx: Request, _params: CallToolRequestParams) -> CallToolResult:
    return answer(text(str(state.cancelled)))


async def _needs_sampling(_state: State, ctx: Request, _params: CallToolRequestParams) -> CallToolResult:
    if not ctx.session.check_client_capability(ClientCapabilities(sampling=SamplingCapability())):
        needed: dict[str, Any] = {"requiredCapabilities": {"sampling": {}}}
        raise MCPError(MISSING_REQUIRED_CLIENT_CAPABILITY, "This tool needs sampling", needed)
    return answer(text("The client can sample"))


async def _echoes_region(_state: State, _ctx: Request, params: CallToolRequestParams) -> CallToolResult:
    region = (params.arguments or {}).get("region")
    if not isinstance(region, str):
        raise MCPError(INVALID_PARAMS, "region must be a string")
    return answer(text(f"Region: {region}"))


def _object(properties: Mapping[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": dict(properties), "required": list(properties)}


_DEFAULTS: Final = {
    "name": {"type": "string", "description": "User name", "default": "John Doe"},
    "age": {"type": "integer", "description": "User age", "default": 30},
    "score": {"type": "number", "description": "User score", "default": 95.5},
    "status": {"type": "string", "enum": ["active", "inactive", "pending"], "default": "active"},
    "verified": {"type": "boolean", "description": "Whether verified", "default": True},
}
_TITLED: Final = [{"const": f"value{n}", "title": f"{name} Option"} for n, name in enumerate(("First", "Second"), 1)]
_OPTIONS: Final = ["option1", "option2", "option3"]
_ENUMS: Final = {
    "untitledSingle": {"type": "string", "enum": _OPTIONS},
    "titledSingle": {"type": "string", "oneOf": _TITLED},
    "legacyEnum": {
        "type": "string",
        "enum": ["opt1", "opt2", "opt3"],
        "enumNames": ["Option One", "Option Two", "Option Three"],
    },
    "untitledMulti": {"type": "array", "items": {"type": "string", "enum": _OPTIONS}},
    "titledMulti": {"type": "array", "items": {"anyOf": _TITLED}},
}
_JSON_SCHEMA: Final = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "$defs": {
        "address": {
            "$anchor": "addressDef",
            "type": "object",
            "properties": {"street": {"type": "string"}, "city": {"type": "string"}},
        }
    },
    "properties": {
        "name": {"type": "string"},
        "address": {"$ref": "#/$defs/address"},
        "contactMethod": {"type": "string", "enum": ["phone", "email"]},
        "phone": {"type": "string"},
        "email": {"type": "string"},
    },
    "allOf": [{"anyOf": [{"required": ["phone"]}, {"required": ["email"]}]}],
    "if": {"properties": {"contactMethod": {"const": "phone"}}, "required": ["contactMethod"]},
    "then": {"required": ["phone"]},
    "else": {"required": ["email"]},
    "additionalProperties": False,
}
_MIXED: Final = (
    text("Multiple content types test:"),
    image(),
    embedded("test://mixed-content-resource", '{"test":"data","value":123}', "application/json"),
)
_WHO: Final = {
    "username": {"type": "string", "description": "User's response"},
    "email": {"type": "string", "description": "User's email address"},
}

FIXTURES: Final = (
    Fixture("test_simple_text", "Returns text", _fixed(text("This is a simple text response for testing."))),
    Fixture("test_image_content", "Returns a picture", _fixed(image())),
    Fixture("test_audio_content", "Returns a sound", _fixed(audio())),
    Fixture(
        "test_embedded_resource",
        "Returns a resource",
        _fixed(embedded("test://embedded-resource", "This is an embedded resource content.")),
    ),
    Fixture("test_multiple_content_types", "Returns text, a picture and a resource", _fixed(*_MIXED)),
    Fixture("test_tool_with_logging", "Logs while it works", _logs),
    Fixture("test_logging_tool", "Logs, for those who asked for it", _logs),
    Fixture("test_error_handling", "Fails", _fails),
    Fixture("test_tool_with_progress", "Reports progress", _progresses),
    Fixture("test_sampling", "Asks the client's model", _samples, _object({"prompt": {"type": "string"}})),
    Fixture(
        "test_elicitation",
        "Asks the user",
        _elicits("User response", "Who are you?", _WHO, ("username", "email")),
        _object({"message": {"type": "string"}}),
    ),
    Fixture(
        "test_elicitation_sep1034_defaults",
        "Asks with a default for everything",
        _elicits("Elicitation completed", "Please check the defaults", _DEFAULTS),
    ),
    Fixture(
        "test_elicitation_sep1330_enums",
        "Asks with every form of enum",
        _elicits("Elicitation completed", "Please choose", _ENUMS),
    ),
    Fixture("test_list_roots", "Asks for the client's roots", _lists_roots),
    Fixture("test_reconnection", "Drops its stream and answers on the resumed one", _reconnects),
    Fixture("test_trigger_tool_change", "Adds or removes test_added_tool", _changes_tools),
    Fixture("test_trigger_prompt_change", "Adds or removes test_added_prompt", _changes_prompts),
    Fixture("test_touch_resource", f"Changes {WATCHED}", _touches),
    Fixture("test_wait_for_cancel", "Waits until it is cancelled", _waits),
    Fixture("test_count_cancelled", "Tells how many waits were cancelled", _counts_cancelled),
    Fixture("test_missing_capability", "Needs a client that can sample", _needs_sampling),
    Fixture(
        "test_x_mcp_header",
        "Takes an argument that is mirrored into a header",
        _echoes_region,
        _object({"region": {"type": "string", "x-mcp-header": "Region"}}),
    ),
    Fixture(
        "json_schema_2020_12_tool",
        "Has a schema with all of JSON Schema 2020-12",
        _fixed(text("JSON Schema 2020-12")),
        _JSON_SCHEMA,
    ),
)
