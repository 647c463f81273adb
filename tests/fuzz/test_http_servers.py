"""Both HTTP servers of the data port on any bytes: none reads a request that the other one reads otherwise.

This is what smuggling needs (RFC 9112 §11.2). Where one of them reads less, it has refused or ended the connection.
"""

from collections.abc import Iterator

import pytest
from byte_pieces import split_at
from http_server_comparison import ServerComparison, ServerReading, http_server_comparison
from hypothesis import event, example, given
from hypothesis import strategies as st
from request_bytes import bare, cuts, good_requests, mangled, streams

from ostiary_gateway.server.http_servers import AIOHTTP, LLHTTP

FOLLOWING = b"GET /following HTTP/1.1\r\nHost: h\r\n\r\n"


@pytest.fixture(scope="module")
def llhttp() -> Iterator[ServerComparison]:
    with http_server_comparison(LLHTTP) as running:
        yield running


@pytest.fixture(scope="module")
def aiohttp() -> Iterator[ServerComparison]:
    with http_server_comparison(AIOHTTP) as running:
        yield running


def check_agreement(one: ServerReading, other: ServerReading) -> None:
    """Check that one reading begins like the other, and that the shorter one ended."""
    shorter, longer = sorted((one, other), key=lambda each: len(each.requests))
    assert bare(shorter) == bare(longer)[: len(shorter.requests)]
    if len(shorter.requests) < len(longer.requests):
        assert shorter.ended is not None


@given(st.lists(good_requests(), min_size=1, max_size=5), cuts)
def test_requests_that_keep_the_rules_are_read_by_both(
    llhttp: ServerComparison, aiohttp: ServerComparison, requests: list[bytes], places: list[int]
) -> None:
    pieces = split_at(b"".join(requests), places)
    one, other = llhttp.read(pieces), aiohttp.read(pieces)
    check_agreement(one, other)
    event(f"aiohttp ended: {other.ended}")
    assert len(other.requests) >= 1
    assert other.ended in {None, "closed"}


@given(st.one_of(streams, streams.flatmap(mangled)), cuts)
@example(b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + FOLLOWING, [])
@example(b"GET / HTTP/1.1\r\nHost: h\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n" + FOLLOWING, [])
def test_no_bytes_are_read_in_two_ways(
    llhttp: ServerComparison, aiohttp: ServerComparison, data: bytes, places: list[int]
) -> None:
    pieces = split_at(data, places)
    check_agreement(llhttp.read(pieces), aiohttp.read(pieces))


@given(st.one_of(st.binary(max_size=200), streams.flatmap(mangled)), cuts)
def test_no_bytes_make_aiohttp_fail_otherwise_than_with_an_answer(
    aiohttp: ServerComparison, data: bytes, places: list[int]
) -> None:
    assert aiohttp.read(split_at(data, places)).ended in {None, "closed", "400", "408", "414", "431"}
