"""The bytes of a request to a server, and what is remembered of its headers."""

import pytest

from ostiary_gateway.errors import UpstreamFault
from ostiary_gateway.upstream.http1 import request as http1


@pytest.mark.parametrize("header", [("Mcp-Param-" + "x" * 30_000, "1"), ("Mcp-Name", "x" * 4000)])
def test_long_headers_are_not_remembered_whichever_part_is_long(header: tuple[str, str]) -> None:
    name, value = header
    before = http1._remembered.cache_info().currsize

    assert http1.lines({name: value}) == f"{name}: {value}\r\n".encode()
    assert http1._remembered.cache_info().currsize == before


@pytest.mark.parametrize("header", [("a b", "x"), ("a", "x\ny"), ("a:", "x"), ("", "x"), ("a" * 300, "x\r\ny")])
def test_what_would_break_out_of_its_line_is_refused_also_when_it_comes_again(header: tuple[str, str]) -> None:
    name, value = header
    for _ in range(2):
        with pytest.raises(UpstreamFault):
            http1.lines({name: value})
