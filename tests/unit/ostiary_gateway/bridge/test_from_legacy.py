"""What a legacy server sends as a modern client reads it."""

import json
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mcp_types import methods

from ostiary_gateway.bridge.from_legacy import FromLegacy, http_status

INFO: Final = {"name": "old", "version": "1"}
SERVER_INFO: Final = "io.modelcontextprotocol/serverInfo"
URLS: Final[dict[str, Any]] = {"elicitation": {"form": {}, "url": {}}}

json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


def translated(text: str | bytes, method: str = "tools/call", **more: Any) -> tuple[bytes, dict[str, Any]]:
    """A response as the caller gets it: its text, and the message that is its content."""
    text = text.encode() if isinstance(text, str) else text
    message = json.loads(text)
    found = FromLegacy(method, info=INFO, capabilities=more.pop("capabilities", {}), **more).response(text, message)
    assert json.loads(found) == message, "text and message are changed in the same way"
    return found, message


def response(result: Any) -> dict[str, Any]:
    """A response with this result."""
    return {"jsonrpc": "2.0", "id": "our-1", "result": result}


def streamed(message: dict[str, Any], **more: Any) -> dict[str, Any] | None:
    """A notification as the caller gets it."""
    translation = FromLegacy("tools/call", info=INFO, capabilities={}, **more)
    text = translation.streamed(json.dumps(message).encode(), message)
    found: dict[str, Any] | None = None if text is None else json.loads(text)
    return found


@pytest.mark.parametrize(
    "text",
    [
        '{"result":{"content":[],"x":1e2},"jsonrpc":"2.0","id":"our-1"}',
        '{"jsonrpc":"2.0","id":"our-1","result":{"content":[],"x":1e2}}',
        '{ "jsonrpc": "2.0", "result" : { "content": [], "x":1e2 }, "id": "our-1" }',
    ],
)
def test_a_result_gains_its_type_and_the_rest_keeps_its_bytes(text: str) -> None:
    found, message = translated(text)
    assert message["result"]["resultType"] == "complete"
    assert message["result"]["_meta"] == {SERVER_INFO: INFO}
    assert "ttlMs" not in message["result"]
    assert b"1e2" in found


@pytest.mark.parametrize(
    ("method", "result"),
    [
        ("tools/list", {"tools": [{"name": "a", "inputSchema": {"type": "object"}}]}),
        ("resources/list", {"resources": [{"name": "a", "uri": "a://b"}]}),
        ("resources/templates/list", {"resourceTemplates": []}),
        ("prompts/list", {"prompts": []}),
        ("resources/read", {"contents": [{"uri": "a://b", "text": "c"}]}),
        ("tools/call", {"content": [{"type": "text", "text": "a"}], "isError": True, "_meta": {"own": 1}}),
        ("prompts/get", {"messages": []}),
        ("completion/complete", {"completion": {"values": []}}),
    ],
)
def test_the_official_types_read_each_result(method: str, result: dict[str, Any]) -> None:
    _, message = translated(json.dumps(response(result)), method)
    methods.validate_server_result(method, "2026-07-28", message["result"])
    assert ("ttlMs" in message["result"]) == (method.endswith("/list") or method == "resources/read")


@given(st.dictionaries(st.text(max_size=5), json_values, max_size=4))
def test_no_member_of_a_result_is_lost_or_changed(result: dict[str, Any]) -> None:
    for text in (json.dumps(response(result)), json.dumps(response(result), separators=(",", ":"))):
        _, message = translated(text)
        for name, value in result.items():
            if name not in ("resultType", "ttlMs", "cacheScope", "inputRequests", "requestState", "_meta"):
                assert message["result"][name] == value
        assert message["result"]["resultType"] == "complete"


def test_a_legacy_server_cannot_ask_by_a_member_that_its_era_does_not_have() -> None:
    asked = {"resultType": "input_required", "inputRequests": {"a": {}}, "requestState": "x", "ttlMs": 9, "content": []}
    _, message = translated(json.dumps(response(asked)))
    assert message["result"] == {"resultType": "complete", "_meta": {SERVER_INFO: INFO}, "content": []}


@pytest.mark.parametrize(
    ("method", "code", "then", "status"),
    [
        ("resources/read", -32002, -32602, 200),
        ("tools/call", -32602, -32602, 200),
        ("tools/call", -32601, -32601, 404),
        ("tools/call", -32021, -32603, 200),
        ("tools/call", 7, 7, 200),
    ],
)
def test_an_error_keeps_its_code_unless_it_means_something_else(method: str, code: int, then: int, status: int) -> None:
    text = json.dumps({"jsonrpc": "2.0", "id": 1, "error": {"code": code, "message": "no", "data": {"uri": "a:b"}}})
    found, message = translated(text, method)
    assert message["error"] == {"code": then, "message": "no", "data": {"uri": "a:b"}}
    assert http_status(message) == status
    assert code != then or found == text.encode()


def url_error(elicitations: Any) -> str:
    """The error of a legacy server that sends its user to URLs."""
    error = {"code": -32042, "message": "authorize", "data": {"elicitations": elicitations}}
    return json.dumps({"jsonrpc": "2.0", "id": 1, "error": error})


def test_an_error_that_names_urls_asks_for_them() -> None:
    named = {"mode": "url", "elicitationId": "7", "url": "https://a.example", "message": "authorize"}
    _, message = translated(url_error([named, 7, {"url": 1}]), capabilities=URLS)
    asked = {"mode": "url", "url": "https://a.example", "message": "authorize"}
    assert message["result"]["inputRequests"] == {"url-1": {"method": "elicitation/create", "params": asked}}
    assert message["result"]["resultType"] == "input_required"


@pytest.mark.parametrize("elicitations", [None, [], [{"url": "https://a.example", "message": "x"}]])
def test_a_caller_that_cannot_open_urls_is_told_what_is_missing(elicitations: Any) -> None:
    _, message = translated(url_error(elicitations))
    assert message["error"]["code"] == -32021
    assert message["error"]["data"] == {"requiredCapabilities": {"elicitation": {"url": {}}}}
    assert http_status(message) == 400


def progress(token: Any) -> dict[str, Any]:
    """A notification of progress."""
    return {"jsonrpc": "2.0", "method": "notifications/progress", "params": {"progressToken": token, "progress": 1}}


def test_progress_has_the_token_of_the_caller_and_that_of_another_call_is_dropped() -> None:
    own = streamed(progress("sent-1"), token=0, sent_token="sent-1")
    assert own is not None
    assert own["params"] == {"progressToken": 0, "progress": 1}
    assert streamed(progress("sent-2"), token=0, sent_token="sent-1") is None
    assert streamed(progress(None)) is None


@pytest.mark.parametrize(("wanted", "passes"), [("", False), ("debug", True), ("info", True), ("error", False)])
def test_log_messages_come_only_from_the_level_that_was_asked_for(wanted: str, passes: bool) -> None:
    message = {"jsonrpc": "2.0", "method": "notifications/message", "params": {"level": "info", "data": 1}}
    assert (streamed(message, level=wanted) is not None) == passes


@pytest.mark.parametrize(
    "message",
    [
        {"method": "notifications/tools/list_changed"},
        {"method": "notifications/resources/updated", "params": {"uri": "a:b"}},
        {"method": "notifications/elicitation/complete", "params": {"elicitationId": "1"}},
        {"method": "notifications/cancelled", "params": {"requestId": 1}},
        {"method": "notifications/progress", "id": 1, "params": {}},
        {"method": "notifications/progress", "params": []},
        {"method": 7, "params": {}},
        {"method": "notifications/message", "params": {"level": "loud"}},
    ],
)
def test_what_has_no_place_on_the_stream_of_a_request_is_dropped(message: dict[str, Any]) -> None:
    assert streamed(message, level="debug", token=1, sent_token="x") is None
