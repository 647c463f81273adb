"""The fixtures of the conformance suite that ask by multi-round-trip results (2026-07-28, SEP-2322).

In a session, which has no such results, they ask one question after the other on the stream of the call, as the
TypeScript SDK does for its servers.
"""

from collections.abc import Mapping
from typing import Any, Final

from everything_server_content import text
from everything_server_state import State
from everything_server_tools import Fixture, Request, answer
from mcp.shared.exceptions import MCPError
from mcp.shared.message import ServerMessageMetadata
from mcp.types import (
    INVALID_PARAMS,
    CallToolRequestParams,
    CallToolResult,
    CreateMessageRequest,
    CreateMessageRequestParams,
    CreateMessageResult,
    ElicitRequest,
    ElicitRequestFormParams,
    ElicitResult,
    GetPromptRequestParams,
    GetPromptResult,
    InputRequest,
    InputRequiredResult,
    ListRootsRequest,
    ListRootsResult,
    PromptMessage,
    SamplingMessage,
)
from mcp.types.version import MODERN_PROTOCOL_VERSIONS


def _ask(message: str, name: str, kind: str = "string") -> ElicitRequest:
    schema = {"type": "object", "properties": {name: {"type": kind}}, "required": [name]}
    return ElicitRequest(params=ElicitRequestFormParams(message=message, requested_schema=schema))


def _sample(question: str, max_tokens: int) -> CreateMessageRequest:
    message = SamplingMessage(role="user", content=text(question))
    return CreateMessageRequest(params=CreateMessageRequestParams(messages=[message], max_tokens=max_tokens))


NAME: Final = _ask("What is your name?", "name")
_NEEDED: Final[Mapping[str, Mapping[str, InputRequest]]] = {
    "test_input_required_result_elicitation": {"user_name": NAME},
    "test_input_required_result_sampling": {"capital_question": _sample("What is the capital of France?", 100)},
    "test_input_required_result_list_roots": {"client_roots": ListRootsRequest()},
    "test_input_required_result_request_state": {"confirm": _ask("Please confirm", "ok", "boolean")},
    "test_input_required_result_tampered_state": {"confirm": _ask("Please confirm", "ok", "boolean")},
    "test_input_required_result_multiple_inputs": {
        "user_name": NAME,
        "greeting": _sample("Generate a greeting", 50),
        "client_roots": ListRootsRequest(),
    },
    "test_streaming_elicitation": {"user_name": NAME},
}
_STEPS: Final = (
    _ask("Step 1: What is your name?", "name"),
    _ask("Step 2: What is your favorite color?", "color"),
)
_STATEFUL: Final = frozenset(
    f"test_input_required_result_{each}" for each in ("request_state", "tampered_state", "multiple_inputs")
)


def _given(params: CallToolRequestParams | GetPromptRequestParams, key: str) -> dict[str, Any] | None:
    """The response to a question as plain data, if there is one; a refused question counts as none."""
    response = (params.input_responses or {}).get(key)
    if response is None:
        return None
    data: dict[str, Any] = response.model_dump(by_alias=True, mode="json", exclude_none=True)
    return data if data.get("action", "accept") == "accept" else None


async def _answers(
    ctx: Request, params: CallToolRequestParams | GetPromptRequestParams, needed: Mapping[str, InputRequest]
) -> dict[str, dict[str, Any] | None]:
    """What was answered to each of the questions: in this round, or in a session when it is asked now."""
    if ctx.protocol_version in MODERN_PROTOCOL_VERSIONS:
        return {key: _given(params, key) for key in needed}
    return {key: await _answer(ctx, question) for key, question in needed.items()}


async def _answer(ctx: Request, question: InputRequest) -> dict[str, Any] | None:
    kinds: dict[str, Any] = {
        "elicitation/create": ElicitResult,
        "sampling/createMessage": CreateMessageResult,
        "roots/list": ListRootsResult,
    }
    related = ServerMessageMetadata(related_request_id=ctx.request_id)
    result = await ctx.session.send_request(question, kinds[question.method], metadata=related)
    data: dict[str, Any] = result.model_dump(by_alias=True, mode="json", exclude_none=True)
    return data if data.get("action", "accept") == "accept" else None


def _text_of(response: Mapping[str, Any]) -> str:
    """The text of a response."""
    if "roots" in response:
        return ", ".join(str(root["uri"]) for root in response["roots"])
    content = response.get("content") or {}
    return str(content.get("text") or next(iter(content.values()), ""))


async def _asks(_state: State, ctx: Request, params: CallToolRequestParams) -> CallToolResult | InputRequiredResult:
    needed = _NEEDED[params.name]
    responses = await _answers(ctx, params, needed)
    stateful = params.name in _STATEFUL and ctx.protocol_version in MODERN_PROTOCOL_VERSIONS
    if not all(responses.values()) or (stateful and params.request_state is None):
        return InputRequiredResult(input_requests=dict(needed), request_state="asked" if stateful else None)
    if stateful and params.request_state != "asked":
        raise MCPError(INVALID_PARAMS, "requestState is not ours")
    texts = [_text_of(response) for response in responses.values() if response]
    words = f"Hello, {texts[0]}!" if "user_name" in needed else f"You said: {texts[0]}"
    return answer(text(f"{words} {'state-ok ' if stateful else ''}({'; '.join(texts)})"))


async def _rounds(_state: State, ctx: Request, params: CallToolRequestParams) -> CallToolResult | InputRequiredResult:
    if ctx.protocol_version not in MODERN_PROTOCOL_VERSIONS:
        answered = await _answers(ctx, params, {"step1": _STEPS[0], "step2": _STEPS[1]})
        return answer(text(f"Your favourite colour is {_text_of(answered['step2'] or {})}"))
    colour = _given(params, "step2")
    if params.request_state == "step 2" and colour:
        return answer(text(f"Your favourite colour is {_text_of(colour)}"))
    if params.request_state in {"step 1", "step 2"} and (params.request_state == "step 2" or _given(params, "step1")):
        return InputRequiredResult(input_requests={"step2": _STEPS[1]}, request_state="step 2")
    return InputRequiredResult(input_requests={"step1": _STEPS[0]}, request_state="step 1")


async def _capabilities(
    _state: State, ctx: Request, params: CallToolRequestParams
) -> CallToolResult | InputRequiredResult:
    declared = ctx.session.client_capabilities
    possible: dict[str, tuple[Any, InputRequest]] = {
        "user_name": (declared and declared.elicitation, NAME),
        "greeting": (declared and declared.sampling, _sample("Generate a greeting", 50)),
        "client_roots": (declared and declared.roots, ListRootsRequest()),
    }
    wanted: dict[str, InputRequest] = {key: question for key, (can, question) in possible.items() if can is not None}
    given = await _answers(ctx, params, wanted)
    missing = {key: question for key, question in wanted.items() if not given[key]}
    if missing:
        return InputRequiredResult(input_requests=missing)
    return answer(text("Asked for what the client can do, and no more"))


async def prompt(ctx: Request, params: GetPromptRequestParams) -> GetPromptResult | InputRequiredResult:
    """Answer `prompts/get` for the prompt that needs a context."""
    needed: dict[str, InputRequest] = {"user_context": _ask("What context should the prompt use?", "context")}
    context = (await _answers(ctx, params, needed))["user_context"]
    if context is None:
        return InputRequiredResult(input_requests=needed)
    return GetPromptResult(messages=[PromptMessage(role="user", content=text(f"Context: {_text_of(context)}"))])


FIXTURES: Final = (
    *(Fixture(name, "Asks by an input-required result", _asks) for name in _NEEDED),
    Fixture("test_input_required_result_multi_round", "Asks twice, one question after the other", _rounds),
    Fixture("test_input_required_result_capabilities", "Asks only for what the client declared", _capabilities),
)
