"""The MCP server that all compared gateways get: it speaks both eras, and refuses what a real one refuses."""

import json
from typing import Any

import pytest

from ostiary_bench import messages
from ostiary_compare.mcp_server import (
    LEGACY,
    MODERN,
    OTHER_TOOL,
    STREAMING_TOOL,
    TOOLS,
    McpServer,
    allowed_tools,
    next_request,
    unchunked,
)


def posted(server: McpServer, message: Any, **headers: str) -> tuple[bytes, bytes]:
    lines = ["post /mcp http/1.1", *(f"{name.replace('_', '-')}: {value}" for name, value in headers.items())]
    head, _, body = server.answer("\r\n".join(lines).encode(), messages.encoded(message)).partition(b"\r\n\r\n")
    return head, body


def call(given: object = 1, tool: str = messages.TOOL) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": given, "method": "tools/call", "params": {"name": tool}}


def opened(server: McpServer) -> str:
    params = {"protocolVersion": LEGACY[1], "capabilities": {}}
    head, body = posted(server, {"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params})
    assert json.loads(body)["result"]["protocolVersion"] == LEGACY[1]
    return head.lower().split(b"mcp-session-id: ")[1].split(b"\r\n")[0].decode()


def test_a_session_is_opened_and_a_call_in_it_has_the_result_under_its_own_id() -> None:
    server = McpServer()
    _, body = posted(server, call("seven"), mcp_session_id=opened(server))
    assert json.loads(body) == {"jsonrpc": "2.0", "id": "seven", "result": messages.RESULT}


def test_a_call_without_the_session_that_was_given_is_refused() -> None:
    assert posted(McpServer(), call())[0].startswith(b"HTTP/1.1 400")
    assert posted(McpServer(), call(), mcp_session_id="of-another")[0].startswith(b"HTTP/1.1 400")


def test_a_call_that_stands_alone_needs_no_session_and_has_the_hints_of_its_revision() -> None:
    _, body = posted(McpServer(), call(), mcp_protocol_version=MODERN)
    assert json.loads(body)["result"] == {**messages.RESULT, "resultType": "complete"}


LIST = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}


def listed(server: McpServer) -> list[dict[str, Any]]:
    _, body = posted(server, LIST, mcp_protocol_version=MODERN)
    found: list[dict[str, Any]] = json.loads(body)["result"]["tools"]
    return found


def test_a_list_has_the_tools_that_are_called_among_others_of_which_some_are_allowed() -> None:
    names = [each["name"] for each in listed(McpServer())]
    assert len(set(names)) == TOOLS
    assert {messages.TOOL, STREAMING_TOOL, OTHER_TOOL} <= set(names)
    assert {messages.TOOL, STREAMING_TOOL} <= set(allowed_tools())
    assert OTHER_TOOL not in allowed_tools()


def test_lists_are_the_same_until_new_ones_are_asked_for_of_which_no_two_are() -> None:
    server = McpServer()
    known = listed(server)
    assert listed(server) == known
    server.answer(b"get /lists/new http/1.1", b"")
    seen = [listed(server) for _ in range(2 * TOOLS)]
    assert len({json.dumps(each) for each in seen}) == len(seen)
    assert all([it["name"] for it in each] == [it["name"] for it in known] for each in seen)
    server.answer(b"get /lists/known http/1.1", b"")
    assert listed(server) == known


def test_one_tool_answers_with_an_event_stream() -> None:
    server = McpServer()
    head, body = posted(server, call(tool=STREAMING_TOOL), mcp_protocol_version=MODERN)
    assert b"text/event-stream" in head
    found = unchunked(body, 0)
    assert found is not None
    assert json.loads(found[0].partition(b"data: ")[2])["result"]["content"] == messages.RESULT["content"]


def test_an_unknown_tool_is_an_error_even_after_a_good_call() -> None:
    server = McpServer()
    posted(server, call(), mcp_protocol_version=MODERN)
    _, body = posted(server, call(tool="other"), mcp_protocol_version=MODERN)
    assert "error" in json.loads(body)


def test_a_notification_is_accepted_and_every_message_is_counted_until_it_is_asked() -> None:
    server = McpServer()
    assert posted(server, {"jsonrpc": "2.0", "method": "notifications/initialized"})[0].startswith(b"HTTP/1.1 202")
    assert server.answer(b"get /count http/1.1", b"").endswith(b"\r\n\r\n1")
    assert server.answer(b"get /count http/1.1", b"").endswith(b"\r\n\r\n0")


@pytest.mark.parametrize("body", [b"", b"[]", b"1", b'{"id":1}', b'{"method":"ping","id":1,"params":3}'])
def test_a_body_that_is_no_message_is_refused(body: bytes) -> None:
    assert McpServer().answer(b"post /mcp http/1.1", body).startswith(b"HTTP/1.1 4")


@pytest.mark.parametrize("cut", range(0, 45, 4))
def test_a_request_is_taken_only_when_it_is_whole_and_the_next_one_is_kept(cut: int) -> None:
    whole = b"POST /mcp HTTP/1.1\r\nContent-Length: 4\r\n\r\nbody"
    assert next_request(whole[:cut]) is None
    assert next_request(whole + b"POST") == (b"post /mcp http/1.1\r\ncontent-length: 4", b"body", b"POST")


def test_a_chunked_body_is_joined_and_what_follows_is_kept() -> None:
    body = b"3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\nnext"
    assert unchunked(body, 0) == (b"abcde", len(body) - len(b"next"))
    assert unchunked(body[:10], 0) is None
