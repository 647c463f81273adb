"""The gateway's HTTP server on any bytes: the same result however they are split, and none that h11 contradicts.

h11 is strict. Where ours takes what h11 refuses there is a name and a reason in ``LAXER``.
"""

import re
from collections.abc import Iterator

import pytest
from byte_pieces import split_at
from http_server_comparison import ServerComparison, ServerReading, http_server_comparison, read_by_h11
from hypothesis import event, example, given
from hypothesis import strategies as st

#: Errors of h11 where our server continues, and why that is no second reading of the same bytes.
LAXER = {
    "illegal request line": "llhttp takes more than one space around the target; the target is the same",
    "no request line received": "empty lines before a request are passed over (RFC 9112 §2.2)",
    "illegal header line": "llhttp takes bytes beyond ASCII in values; they arrive as they were sent",
    "Missing mandatory Host: header": "the line refuses it, with an answer that names it (400 NoHost)",
    "Found multiple Host: headers": "the line refuses it, with an answer that names it (400 DuplicateHeader)",
    "bad Content-Length": "leading zeros, any number of them, are a number; h11 takes twenty digits",
}


@pytest.fixture(scope="module")
def lab() -> Iterator[ServerComparison]:
    with http_server_comparison() as running:
        yield running


names = st.sampled_from(
    ["Host", "X", "Content-Length", "Transfer-Encoding", "Connection", "Upgrade", "Expect", "Content-Type", "TE", "é"]
)
values = st.sampled_from(
    [
        *["x", "0", "5", "05", "+5", "5, 5", "5 ", "-1", "0x5", "99999999999999999999", "chunked", "Chunked"],
        *["gzip, chunked", "chunked, gzip", "identity", "\tchunked", "close", "keep-alive", "upgrade", "h2c"],
        *[
            "upgrade, close",
            "websocket",
            "100-continue",
            "a\x00b",
            "a\rb",
            "a\nb",
            "",
            " ",
            "é",
            "\udcff",
            "\x0bchunked",
        ],
    ]
)
lines = st.builds(
    lambda name, space, value: f"{name}{space}{value}", names, st.sampled_from([": ", ":", " : "]), values
)
methods = st.sampled_from(["GET", "POST", "POST", "DELETE", "OPTIONS", "CONNECT", "PRI", "get", "PURGE", "M-SEARCH"])
targets = st.sampled_from(["/", "/a?b", "/unread", "*", "http://h/a", "h:80", "//h/a", "/a b", "/\udcff", "/a#b", ""])
versions = st.sampled_from(
    ["HTTP/1.1", "HTTP/1.1", "HTTP/1.1", "HTTP/1.0", "HTTP/0.9", "HTTP/2.0", "HTTP/1.2", "HTTP/11"]
)
ends = st.sampled_from(["\r\n", "\r\n", "\r\n", "\r\n", "\n", "\r", "\r\r\n", "\r\n "])
bodies = st.sampled_from(
    [
        *[
            b"",
            b"hello",
            b"5\r\nhello\r\n0\r\n\r\n",
            b"5;a=b\r\nhello\r\n0\r\nX: y\r\n\r\n",
            b"0\r\n\r\n",
            b"5\r\nhello",
        ],
        *[b"5\nhello\n0\n\n", b"05\r\nhello\r\n00\r\n\r\n", b"5\r\nhello0\r\n\r\n", b"0\r\nContent-Length: 5\r\n\r\n"],
        *[b"GET /smuggled HTTP/1.1\r\nHost: h\r\n\r\n", b"0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: h\r\n\r\n", b"\r\n"],
        *[
            b"fffffffffffffffff\r\n",
            b"5 \r\nhello\r\n0\r\n\r\n",
            b"5;\n0\r\nhello\r\n0\r\n\r\n",
            b"-1\r\nhello\r\n0\r\n\r\n",
        ],
    ]
)


@st.composite
def odd_requests(draw: st.DrawFn) -> bytes:
    """Something like a request: each part may be wrong."""
    end = draw(ends)
    first = f"{draw(methods)} {draw(targets)} {draw(versions)}{draw(ends)}"
    host = draw(st.sampled_from(["Host: h\r\n", "Host: h\r\n", "Host: h\r\n", ""]))
    head = first + host + "".join(f"{line}{end}" for line in draw(st.lists(lines, max_size=4))) + end
    return head.encode("utf-8", "surrogateescape") + draw(bodies)


@st.composite
def good_requests(draw: st.DrawFn) -> bytes:
    """A request that keeps the rules, in one of the forms that there are."""
    method, body = draw(st.sampled_from(["GET", "POST", "DELETE", "OPTIONS"])), draw(st.binary(max_size=40))
    more = draw(
        st.lists(
            st.sampled_from(["X: y", "Accept: */*", "Expect: 100-continue", "Connection: keep-alive"]),
            max_size=2,
            unique=True,
        )
    )
    more += draw(st.sampled_from([[], [], ["Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c"]]))
    head = [f"{method} /{draw(st.sampled_from(['', 'a', 'unread', 'a?b=c']))} HTTP/1.1", "Host: h", *more]
    if not body:
        return "\r\n".join([*head, "", ""]).encode()
    if draw(st.booleans()):
        return "\r\n".join([*head, f"Content-Length: {len(body)}", "", ""]).encode() + body
    pieces = split_at(body, [draw(st.integers(0, len(body)))])
    chunks = b"".join(b"%x;x=y\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\nTrailer: t\r\n\r\n"
    return "\r\n".join([*head, "Transfer-Encoding: chunked", "", ""]).encode() + chunks


streams = st.lists(st.one_of(good_requests(), odd_requests()), min_size=1, max_size=4).map(b"".join)
cuts = st.lists(st.integers(0, 400), max_size=6)


def mangled(data: bytes) -> st.SearchStrategy[bytes]:
    """These bytes with one of them replaced, lost, or doubled."""

    def mangle(place: int, byte: int, how: str) -> bytes:
        at = place % max(1, len(data))
        if how == "lose":
            return data[:at] + data[at + 1 :]
        return data[:at] + bytes([byte]) + data[at + (how == "replace") :]

    bytes_ = st.sampled_from(b"\x00\t\n\r ,:;\x7f\x80\xff0a") | st.integers(0, 255)
    return st.builds(mangle, st.integers(0, 1000), bytes_, st.sampled_from(["replace", "lose", "add"]))


def bare(reading: ServerReading) -> list[tuple[str, str, bytes]]:
    """What two servers must agree on; our unread bodies count as read."""
    return [
        (each.method, each.target, b"" if each.target.startswith("/unread") else each.body) for each in reading.requests
    ]


PIPELINED = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"
NAMES_RTSP = b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nRTSP/"


@given(st.lists(good_requests(), min_size=1, max_size=5), cuts)
@example([PIPELINED, NAMES_RTSP], [])
def test_requests_that_keep_the_rules_are_understood_as_h11_understands_them(
    lab: ServerComparison, requests: list[bytes], places: list[int]
) -> None:
    data = b"".join(requests)
    ours, theirs = lab.read(split_at(data, places)), read_by_h11(data)

    if ours.ended is None:
        assert bare(ours) == bare(theirs)
    elif ours.ended == "400":  # pipelined requests: after a body, a first line of RTSP or ICE looks like its text
        assert bare(ours) == bare(theirs)[: len(ours.requests)]
        assert len(requests) > 1
        assert b"RTSP/" in data or b"ICE/" in data
    else:  # a body that was not asked for and is not there yet
        assert ours.ended == "closed"
        assert bare(ours) == bare(theirs)[: len(ours.requests)]
        assert b"100-continue" in data
        assert b"/unread" in data


@given(streams, cuts)
@example(
    b"POST / HTTP/1.1\r\nHost: h\r\nConnection: upgrade\r\nUpgrade: h2c\r\nContent-Length: 5\r\n\r\nhello" * 2, [90]
)
@example(
    b"POST /unread HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 36\r\n\r\n"
    b"GET /smuggled HTTP/1.1\r\nHost: h\r\n\r\n",
    [90],
)
def test_however_bytes_are_cut_there_is_one_reading(lab: ServerComparison, data: bytes, places: list[int]) -> None:
    whole, pieces = lab.read([data]), lab.read(split_at(data, places))

    event(f"ended: {whole.ended}")
    if "100-continue" in data.decode("latin-1") and whole != pieces:
        shorter, longer = sorted((whole.requests, pieces.requests), key=len)
        assert longer[: len(shorter)] == shorter  # a body that came before it was asked for lets the connection go on
        return
    assert (whole.requests, whole.ended is None) == (pieces.requests, pieces.ended is None)


@given(streams)
@example(b"GET / HTTP/1.1\r\nHost: h\r\n\r\nGET  /  HTTP/1.1\r\nHost: h\r\n\r\n")
@example(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 0000000000000000000000005\r\n\r\nhello")
@example(b"\r\n\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n")
def test_what_we_understand_h11_does_not_understand_otherwise(lab: ServerComparison, data: bytes) -> None:
    ours, theirs = lab.read([data]), read_by_h11(data)

    agreed = min(len(ours.requests), len(theirs.requests))
    assert bare(ours)[:agreed] == bare(theirs)[:agreed]
    if len(ours.requests) > len(theirs.requests):
        event(f"laxer: {theirs.ended}")
        assert any(re.match(re.escape(words), theirs.ended or "") for words in LAXER), theirs


@given(st.one_of(st.binary(max_size=200), streams.flatmap(mangled)), cuts)
def test_no_bytes_make_the_server_fail_otherwise_than_with_an_answer(
    lab: ServerComparison, data: bytes, places: list[int]
) -> None:
    reading = lab.read(split_at(data, places))

    assert reading.ended in {None, "closed", "400", "414", "431"}
