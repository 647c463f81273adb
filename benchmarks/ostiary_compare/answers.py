"""What a response must be to count: whole, 200, to this request, and with the result of the server."""

import json
from collections.abc import Container
from typing import Any, Final

from ostiary_bench import messages
from ostiary_compare.mcp_server import unchunked
from ostiary_compare.requests import FIRST_ID
from ostiary_tools.common.errors import ToolError

_TEXT: Final = messages.TEXT.encode()


def whole_response(buffer: bytes, *, ended: bool = False) -> tuple[bytes, bytes] | None:
    """Return lower-case head and body of the response in a buffer, or None while a part is missing.

    Args:
        buffer: what has come since the request was sent.
        ended: whether the peer closed the connection, which ends a body without a length.
    """
    end = buffer.find(b"\r\n\r\n")
    if end < 0:
        return None
    head, start = buffer[:end].lower(), end + 4
    at = head.find(b"\r\ncontent-length:")
    if at >= 0:
        length = int(head[at + 17 :].split(b"\r\n", 1)[0])
        return (head, buffer[start:]) if len(buffer) - start >= length else None
    if b"\r\ntransfer-encoding: chunked" in head:
        if not buffer.endswith(b"0\r\n\r\n"):
            return None
        found = unchunked(buffer, start)
        return (head, found[0]) if found else None
    return (head, buffer[start:]) if ended else None


def require_result(head: bytes, body: bytes, number: int) -> None:
    """Check that a response is the server's result for the request with this number.

    Raises:
        ToolError: it is not; the message has the start of the response.
    """
    if not head.startswith(b"http/1.1 200"):
        raise ToolError(f"an answer was not 200: {head[:60]!r} {body[:300]!r}")
    given = FIRST_ID + number
    # The usual case without a parser, which would cost more than the call. Nothing in the result has the words.
    if b'"id":%d' % given in body and _TEXT in body and b'"error"' not in body and b'"isError":true' not in body:
        return
    if not any(_is_result(message, given) for message in _messages(body)):
        raise ToolError(f"an answer was not the result of the server: {body[:300]!r}")


def require_list(head: bytes, body: bytes, number: int, sizes: Container[int]) -> int:
    """Check that a response is a list of as many tools as one of ``sizes``, for the request with this number.

    Return how many tools it has.

    Raises:
        ToolError: it is not; the message has the start of the response.
    """
    if not head.startswith(b"http/1.1 200"):
        raise ToolError(f"an answer was not 200: {head[:60]!r} {body[:300]!r}")
    given = FIRST_ID + number
    if b'"id":%d' % given in body and b'"error"' not in body:  # the usual case, as above
        count = body.count(b'"inputSchema"')
    else:
        found = [it for it in _messages(body) if isinstance(it, dict) and it.get("id") == given and "result" in it]
        count = len(found[0]["result"].get("tools", ())) if found else -1
    if count not in sizes:
        raise ToolError(f"a list had {max(count, 0)} tools: {body[:300]!r}")
    return count


def _is_result(message: Any, given: int) -> bool:
    if not isinstance(message, dict) or message.get("id") != given or not isinstance(message.get("result"), dict):
        return False
    result = message["result"]
    texts = [item.get("text") for item in result.get("content", []) if isinstance(item, dict)]
    return texts == [messages.TEXT] and not result.get("isError")


def _messages(body: bytes) -> list[Any]:
    """Return the JSON documents of a body: one, or one for each event."""
    found = []
    lines = body.replace(b"\r\n", b"\n").split(b"\n") if b"data:" in body[:200] else [body]
    for line in lines:
        try:
            found.append(json.loads(line.removeprefix(b"data:")))
        except ValueError:
            continue
    return found
