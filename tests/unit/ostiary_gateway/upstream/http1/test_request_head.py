"""The bytes of a request to a server, and the cache of its headers."""

import pytest
from yarl import URL

from ostiary_gateway.errors import UpstreamFault
from ostiary_gateway.upstream.http1 import request_head as http1


@pytest.mark.parametrize("header", [("Mcp-Param-" + "x" * 30_000, "1"), ("Mcp-Name", "x" * 4000)])
def test_long_headers_are_not_remembered_whichever_part_is_long(header: tuple[str, str]) -> None:
    name, value = header
    before = http1._cached_line.cache_info().currsize

    assert http1.lines({name: value}) == f"{name}: {value}\r\n".encode()
    assert http1._cached_line.cache_info().currsize == before


@pytest.mark.parametrize("header", [("a b", "x"), ("a", "x\ny"), ("a:", "x"), ("", "x"), ("a" * 300, "x\r\ny")])
def test_what_would_break_out_of_its_line_is_refused_also_when_it_comes_again(header: tuple[str, str]) -> None:
    name, value = header
    for _ in range(2):
        with pytest.raises(UpstreamFault):
            http1.lines({name: value})


def test_the_default_port_is_not_in_the_header_host() -> None:
    assert b"\r\nHost: a\r\n" in http1.head_start("POST", URL("http://a:80/mcp"), {})
    assert b"\r\nHost: a:443\r\n" in http1.head_start("POST", URL("http://a:443/mcp"), {})
    assert b"\r\nHost: [::1]:8\r\n" in http1.head_start("POST", URL("http://[::1]:8/mcp"), {})


def test_another_host_is_sent_where_one_is_set() -> None:
    head = http1.head_start("POST", URL("http://a/mcp?tenant=b%20c"), {}, host="localhost:8000")
    assert head == b"POST /mcp?tenant=b%20c HTTP/1.1\r\nHost: localhost:8000\r\n"
