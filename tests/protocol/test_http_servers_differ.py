"""Both HTTP servers of the data port are sent the same bytes, and their answers are compared message by message.

What differs is here and in the table of docs/reference/http-servers.md, and nothing else does.
"""

import json
import re
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from http_server_comparison import ServerComparison, http_server_comparison

from ostiary_gateway.server.http_servers import AIOHTTP, LLHTTP

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "http-servers.md"


class Message(NamedTuple):
    """One answer: its status, its headers but date and length, and its body; of an error only the code."""

    status: int
    headers: tuple[bytes, ...]
    body: Any


class Answers(NamedTuple):
    """All answers on a connection, and whether it was closed."""

    messages: tuple[Message, ...]
    is_closed: bool

    @property
    def statuses(self) -> tuple[int, ...]:
        """The status of each answer."""
        return tuple(each.status for each in self.messages)


class Difference(NamedTuple):
    """A row of the table: what is sent, as words and as bytes; words and statuses for each server."""

    sent: str
    data: bytes
    llhttp: str
    aiohttp: str
    by_llhttp: tuple[int, ...]
    by_aiohttp: tuple[int, ...]


def request(*lines: str, method: str = "GET", target: str = "/", version: str = "1.1", host: str = "Host: h") -> bytes:
    """A head without a body."""
    return "\r\n".join([f"{method} {target} HTTP/{version}", *filter(None, [host]), *lines, "", ""]).encode()


NEXT = request(target="/next")
CHUNKED = request("Transfer-Encoding: chunked", method="POST")
UPGRADE = request("Connection: upgrade", "Upgrade: h2c")
REFUSED = "400, connection closed"
HANDED_ON = "400 by the gateway, which names the header; the connection stays"

DIFFERENCES = (
    Difference("HTTP/1.1 without a `Host` header", request(host=""), HANDED_ON, REFUSED, (200,), (400,)),
    Difference("Two `Host` headers", request("Host: h"), HANDED_ON, REFUSED, (200,), (400,)),
    Difference(
        "Two `Content-Type` headers",
        request("Content-Type: a", "Content-Type: a", "Content-Length: 0", method="POST"),
        "The gateway refuses it where the header decides something",
        REFUSED,
        (200,),
        (400,),
    ),
    Difference(
        "A target that is no URL, such as `*` in a POST",
        request("Content-Length: 0", method="POST", target="*"),
        "404 by the gateway",
        REFUSED,
        (200,),
        (400,),
    ),
    Difference(
        "`Sec-WebSocket-Key1`, of a draft of WebSocket",
        request("Sec-WebSocket-Key1: x"),
        "Answered as without it",
        REFUSED,
        (200,),
        (400,),
    ),
    Difference(
        "A request, and in the same packet one that is malformed",
        NEXT + b"nonsense\r\n\r\n",
        "The answer to the first, then 400",
        REFUSED,
        (200, 400),
        (400,),
    ),
    Difference(
        "`Connection: close`, and more in the same packet",
        request("Connection: close") + NEXT,
        "The first is answered, the rest dropped",
        REFUSED,
        (200,),
        (400,),
    ),
    Difference(
        "`Upgrade`, and in the same packet another request",
        UPGRADE + NEXT,
        "Both are answered",
        "The first is answered, and the connection closed: the client sends the second again",
        (200, 200),
        (200,),
    ),
    Difference(
        "A trailer with the name of a header that may occur once",
        CHUNKED + b"0\r\nHost: x\r\nHost: y\r\n\r\n",
        "Dropped, as every trailer",
        REFUSED,
        (200,),
        (400,),
    ),
    Difference(
        "A malformed chunk in the same packet as its head",
        CHUNKED + b"zz\r\n\r\n",
        "Connection closed",
        REFUSED,
        (),
        (400,),
    ),
)

SAME = {
    "a GET": [NEXT],
    "a HEAD": [request(method="HEAD")],
    "three requests": [NEXT * 3],
    "a body": [request("Content-Length: 5", method="POST") + b"hello" + NEXT],
    "a body in pieces": [request("Content-Length: 5", method="POST"), b"h", b"ello" + NEXT],
    "a chunked body": [CHUNKED + b"5;a=b\r\nhello\r\n0\r\nX: y\r\n\r\n" + NEXT],
    "a chunked body in pieces": [CHUNKED, b"5\r", b"\nhello\r\n0", b"\r\n\r\n" + NEXT],
    "a body that is not read": [request("Content-Length: 5", method="POST", target="/unread"), b"hello" + NEXT],
    "HTTP/1.0": [request(version="1.0")],
    "HTTP/1.0 with keep-alive": [request("Connection: keep-alive", version="1.0") * 2],
    "Connection: close": [request("Connection: close")],
    "100-continue": [request("Expect: 100-continue", "Content-Length: 5", method="POST"), b"hello"],
    "100-continue that is refused": [request("Expect: 100-continue", "Content-Length: 5", target="/unread"), b"hello"],
    "an upgrade": [UPGRADE],
    "a websocket": [request("Connection: upgrade", "Upgrade: websocket")],
    "CONNECT": [request(method="CONNECT", target="h:80") + b"anything"],
    "an unknown method": [request(method="PURGED")],
    "empty lines first": [b"\r\n\r\n" + NEXT],
    "bytes beyond ASCII": [b"GET /\xff HTTP/1.1\r\nHost: h\r\nX: \xff\r\n\r\n"],
    "a compressed body": [request("Content-Encoding: gzip", "Content-Length: 5", method="POST") + b"hello"],
    "a length with zeros": [request("Content-Length: 00005", method="POST") + b"hello"],
    "nonsense": [b"nonsense\r\n\r\n"],
    "TLS": [b"\x16\x03\x01\x02\x00\x01"],
    "bare line feeds": [b"GET / HTTP/1.1\nHost: h\n\n"],
    "a folded header": [request("X: a", " b")],
    "a space before a colon": [request("X : a")],
    "a NUL": [request("X: a\0b")],
    "HTTP/0.9": [request(version="0.9")],
    "HTTP/2.0": [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"],
    "RTSP": [b"OPTIONS * RTSP/1.0\r\nHost: h\r\n\r\n"],
    "two lengths": [request("Content-Length: 5", "Content-Length: 6", method="POST") + b"hello"],
    "a length and chunks": [request("Content-Length: 5", "Transfer-Encoding: chunked") + b"0\r\n\r\n"],
    "another coding": [request("Transfer-Encoding: gzip, chunked") + b"0\r\n\r\n"],
    "a coding in HTTP/1.0": [request("Transfer-Encoding: chunked", version="1.0") + b"0\r\n\r\n"],
    "a malformed chunk": [CHUNKED, b"zz\r\n\r\n"],
    "a long target": [request(target="/" + "x" * 9000)],
    "a large header": [request("X: " + "x" * 40_000)],
    "many headers": [request(*(f"X{number}: 1" for number in range(201)))],
}


@pytest.fixture(scope="module")
def both() -> Iterator[tuple[ServerComparison, ServerComparison]]:
    with ExitStack() as stack:
        yield tuple(stack.enter_context(http_server_comparison(each)) for each in (LLHTTP, AIOHTTP))  # type: ignore[misc]


def answers(server: ServerComparison, pieces: Sequence[bytes]) -> Answers:
    """What a server answers to these pieces of input."""
    written, is_closed = server.answer(pieces)
    messages = []
    while written:
        head, _, written = written.partition(b"\r\n\r\n")
        first, *lines = head.split(b"\r\n")
        length = next((int(line[16:]) for line in lines if line.startswith(b"Content-Length: ")), 0)
        headers = tuple(line for line in lines if not re.match(rb"Date: |Content-Length: ", line))
        is_sent = length if not pieces[0].startswith(b"HEAD") else 0
        body, written = written[:is_sent], written[is_sent:]
        messages.append(Message(int(first.split()[1]), headers, _told(body)))
    return Answers(tuple(messages), is_closed)


def _told(body: bytes) -> Any:
    told = json.loads(body) if body else None
    return told["error"] if isinstance(told, dict) else told  # the parsers explain it in other words


@pytest.mark.parametrize("sent", SAME)
def test_both_servers_answer_the_same(both: tuple[ServerComparison, ServerComparison], sent: str) -> None:
    one, other = (answers(each, SAME[sent]) for each in both)
    assert one == other
    assert one.messages or one.is_closed


@pytest.mark.parametrize("difference", DIFFERENCES, ids=lambda each: each.sent)
def test_a_known_difference_is_as_the_table_says(
    both: tuple[ServerComparison, ServerComparison], difference: Difference
) -> None:
    one, other = (answers(each, [difference.data]) for each in both)
    assert (one.statuses, other.statuses) == (difference.by_llhttp, difference.by_aiohttp)
    assert other.is_closed


def test_the_table_has_all_known_differences_and_no_others() -> None:
    rows = [line for line in PAGE.read_text().splitlines() if line.startswith("| ")][1:]
    assert rows == [f"| {each.sent} | {each.llhttp} | {each.aiohttp} |" for each in DIFFERENCES]
