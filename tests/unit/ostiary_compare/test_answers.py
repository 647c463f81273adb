"""A response counts only if it is whole, 200, to this request, and the server's result."""

import json

import pytest

from ostiary_bench import messages
from ostiary_compare.answers import require_list, require_result, whole_response
from ostiary_compare.mcp_server import tools
from ostiary_compare.requests import FIRST_ID
from ostiary_tools.common.errors import ToolError

HEAD = b"http/1.1 200 ok"
GOOD = {"jsonrpc": "2.0", "id": FIRST_ID + 7, "result": messages.RESULT}


def changed(**members: object) -> bytes:
    return json.dumps({**GOOD, **members}).encode()


@pytest.mark.parametrize(
    "body",
    [
        messages.encoded(GOOD),
        json.dumps(GOOD, indent=2).encode(),
        messages.as_event(messages.encoded(GOOD)),
        b'id: 0\r\ndata:\r\n\r\nevent: message\r\ndata: {"jsonrpc":"2.0","method":"notifications/progress"}\r\n\r\n'
        b"data: " + json.dumps(GOOD).encode() + b"\r\n\r\n",
        changed(result={**messages.RESULT, "structuredContent": {"result": 1}, "_meta": {"x": 1}}),
    ],
)
def test_the_result_of_the_server_counts_however_it_is_written(body: bytes) -> None:
    require_result(HEAD, body, 7)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"not json",
        changed(id=FIRST_ID + 8),
        changed(id=str(FIRST_ID + 7)),
        changed(result={**messages.RESULT, "isError": True}),
        changed(result={"content": [{"type": "text", "text": "other"}]}),
        json.dumps({"jsonrpc": "2.0", "id": FIRST_ID + 7, "error": {"code": 1, "message": messages.TEXT}}).encode(),
    ],
)
def test_an_answer_that_is_not_the_result_does_not_count(body: bytes) -> None:
    with pytest.raises(ToolError, match="not the result"):
        require_result(HEAD, body, 7)


LISTED = {"jsonrpc": "2.0", "id": FIRST_ID + 7, "result": tools()}


@pytest.mark.parametrize("body", [messages.encoded(LISTED), json.dumps(LISTED).encode()])
def test_a_list_counts_with_as_many_tools_as_it_may_have(body: bytes) -> None:
    assert require_list(HEAD, body, 7, {22, 200}) == 200
    with pytest.raises(ToolError, match="a list had 200 tools"):
        require_list(HEAD, body, 7, {22})


@pytest.mark.parametrize("body", [b"", changed(id=FIRST_ID + 8), changed(error={"code": 1}), changed()])
def test_an_answer_that_is_no_list_does_not_count(body: bytes) -> None:
    with pytest.raises(ToolError, match="a list had 0 tools"):
        require_list(HEAD, body, 7, {22, 200})


def test_an_answer_that_is_not_200_does_not_count() -> None:
    with pytest.raises(ToolError, match="not 200"):
        require_result(b"http/1.1 429 too many requests", messages.encoded(GOOD), 7)


@pytest.mark.parametrize(
    "response",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbody",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nbo\r\n2\r\ndy\r\n0\r\n\r\n",
    ],
)
def test_a_response_is_whole_with_its_last_byte(response: bytes) -> None:
    found = whole_response(response)
    assert found is not None
    assert found[1] == b"body"
    assert all(whole_response(response[:end]) is None for end in range(len(response)))


def test_a_body_without_a_length_is_whole_when_the_connection_ends() -> None:
    response = b"HTTP/1.1 200 OK\r\n\r\nbody"
    assert whole_response(response) is None
    assert whole_response(response, ended=True) == (b"http/1.1 200 ok", b"body")
