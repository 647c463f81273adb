"""The gateway's HTTP server on any bytes: the same result however they are split, and none that h11 contradicts.

h11 is strict. Where ours takes what h11 refuses there is a name and a reason in ``LAXER``.
"""

import re
from collections.abc import Iterator

import pytest
from byte_pieces import split_at
from http_listener import HTTP_SERVER
from http_server_comparison import ServerComparison, http_server_comparison, read_by_h11
from hypothesis import event, example, given
from hypothesis import strategies as st
from request_bytes import bare, cuts, good_requests, mangled, streams

from ostiary_gateway.server.http_servers import AIOHTTP

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
    else:
        assert ours.ended == "closed"
        assert bare(ours) == bare(theirs)[: len(ours.requests)]
        never_read = b"100-continue" in data and b"/unread" in data  # a body that is not there, and was not asked for
        assert never_read or closed_after_an_upgrade(data)


def closed_after_an_upgrade(data: bytes) -> bool:
    """A difference of aiohttp that docs/reference/http-servers.md names: what comes with an upgrade is not read."""
    return HTTP_SERVER == AIOHTTP and b"Upgrade:" in data


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
