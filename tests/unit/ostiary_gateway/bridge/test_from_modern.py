"""What a modern server sends as a legacy client reads it."""

import json
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ostiary_gateway.bridge.from_modern import FromModern, legacy_error, result_type
from ostiary_gateway.errors import InputAsked, UpstreamFault

SERVER_INFO: Final = "io.modelcontextprotocol/serverInfo"
SUBSCRIPTION: Final = "io.modelcontextprotocol/subscriptionId"

json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


def translated(message: dict[str, Any], method: str = "tools/call") -> dict[str, Any]:
    changed: dict[str, Any] = json.loads(json.dumps(message))
    text = FromModern(method).response(json.dumps(message).encode(), changed)
    assert json.loads(text) == changed, "text and message are changed in the same way"
    return changed


def streamed(message: dict[str, Any]) -> dict[str, Any] | None:
    text = FromModern("").streamed(json.dumps(message).encode(), json.loads(json.dumps(message)))
    found: dict[str, Any] | None = None if text is None else json.loads(text)
    return found


def response(result: Any) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": 1, "result": result}


def failure(code: int, data: Any = None) -> dict[str, Any]:
    error = {"code": code, "message": "no"} | ({"data": data} if data is not None else {})
    return {"jsonrpc": "2.0", "id": 1, "error": error}


def test_a_result_loses_what_only_the_modern_era_has() -> None:
    modern = {
        "resultType": "complete",
        "ttlMs": 5,
        "cacheScope": "public",
        "tools": [{"name": "t", "_meta": {SERVER_INFO: "kept: it is the tool's own"}}],
        "_meta": {SERVER_INFO: {"name": "s", "version": "1"}, "mine": 1},
    }

    assert translated(response(modern), "tools/list")["result"] == {"tools": modern["tools"], "_meta": {"mine": 1}}
    assert translated(response({"_meta": {SERVER_INFO: {}}}))["result"] == {}


@given(st.dictionaries(st.sampled_from(["content", "resultType", "ttlMs", "_meta", "x"]), json_values))
def test_a_result_is_complete_or_a_fault_of_the_server(result: dict[str, Any]) -> None:
    try:
        found = translated(response(result))["result"]
    except (UpstreamFault, InputAsked):
        assert result.get("resultType", "complete") != "complete"
        return
    assert found.keys().isdisjoint({"resultType", "ttlMs", "cacheScope"})
    assert found.get("content") == result.get("content")


def test_a_result_that_needs_input_is_told_from_a_complete_one() -> None:
    assert result_type(response({"resultType": "input_required"})) == "input_required"
    assert result_type(response({})) == result_type(response({"resultType": "complete"})) == "complete"
    assert result_type(response({"resultType": ["input_required"]})) == "?"
    assert result_type(failure(-32603)) == ""


@pytest.mark.parametrize("code", [-32603, -32601, -32602, 7, -31001])
def test_an_error_that_both_eras_have_keeps_its_bytes(code: int) -> None:
    text = b'{"jsonrpc":"2.0", "id":1, "error":{"code":%d,"message":"no"}}' % code

    assert FromModern("tools/call").response(text, json.loads(text)) is text


def test_a_resource_that_does_not_exist_has_the_legacy_code() -> None:
    assert translated(failure(-32602, {"uri": "a://b"}), "resources/read")["error"]["code"] == -32002
    assert translated(failure(-32602), "resources/read")["error"]["code"] == -32602
    assert translated(failure(-32602, {"uri": "a://b"}), "prompts/get")["error"]["code"] == -32602


def test_a_tool_that_needs_more_than_the_client_declared_fails_as_a_tool() -> None:
    error = failure(-32021, {"requiredCapabilities": {"elicitation": {}, "evil <b>": {}}})

    result = translated(error)["result"]

    assert result["isError"] is True
    assert "(it needs the capabilities elicitation)" in result["content"][0]["text"]
    assert translated(error, "prompts/get")["error"] == {"code": -32603, "message": "no"}


@pytest.mark.parametrize("code", [-32020, -32022])
def test_an_error_between_gateway_and_server_is_an_internal_one(code: int) -> None:
    assert translated(failure(code, {"supported": ["2199-01-01"]}))["error"] == {"code": -32603, "message": "no"}


@given(st.dictionaries(st.sampled_from(["code", "message", "data"]), json_values), st.sampled_from(["tools/call", "x"]))
def test_no_error_breaks_the_bridge(error: dict[str, Any], method: str) -> None:
    assert isinstance(legacy_error(error, method=method), dict)


def test_notifications_lose_the_subscription_and_acknowledgements_are_dropped() -> None:
    changed = {"jsonrpc": "2.0", "method": "notifications/tools/list_changed", "params": {"_meta": {SUBSCRIPTION: 1}}}
    progress = {"jsonrpc": "2.0", "method": "notifications/progress", "params": {"progressToken": 1, "progress": 2}}

    assert streamed(changed) == {"jsonrpc": "2.0", "method": "notifications/tools/list_changed", "params": {}}
    assert streamed(progress) == progress
    assert streamed({"jsonrpc": "2.0", "method": "notifications/subscriptions/acknowledged", "params": {}}) is None


def test_a_request_of_a_modern_server_reaches_no_client() -> None:
    assert streamed({"jsonrpc": "2.0", "id": 1, "method": "sampling/createMessage", "params": {}}) is None
    assert streamed({"jsonrpc": "2.0", "id": 1, "result": {}}) is None


@given(json_values, json_values)
def test_no_streamed_message_breaks_the_bridge(method: Any, params: Any) -> None:
    found = streamed({"jsonrpc": "2.0", "method": method, "params": params})

    assert found is None or found["method"] == method


@pytest.mark.parametrize("method", ["tools/call", "prompts/get", "resources/read"])
def test_a_server_that_asks_for_input_has_not_responded_yet(method: str) -> None:
    asked = {"resultType": "input_required", "requestState": "s"}

    with pytest.raises(InputAsked) as caught:
        translated(response(asked), method)

    assert caught.value.result == asked


def test_only_some_methods_may_ask_for_input() -> None:
    with pytest.raises(UpstreamFault):
        translated(response({"resultType": "input_required", "requestState": "s"}), "tools/list")
