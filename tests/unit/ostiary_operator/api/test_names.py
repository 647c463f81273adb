from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from ostiary_operator.api.names import Hostname, HostPattern, LabelKey, LabelValue
from ostiary_operator.api.urls import Origin, PathPrefix, ProxyPath, UpstreamUrl

ADAPTERS: dict[str, TypeAdapter[Any]] = {
    "hostname": TypeAdapter(Hostname),
    "host pattern": TypeAdapter(HostPattern),
    "label key": TypeAdapter(LabelKey),
    "label value": TypeAdapter(LabelValue),
    "origin": TypeAdapter(Origin),
    "path": TypeAdapter(ProxyPath),
    "prefix": TypeAdapter(PathPrefix),
    "url": TypeAdapter(UpstreamUrl),
}


def is_valid(kind: str, value: object) -> bool:
    try:
        ADAPTERS[kind].validate_python(value)
    except ValidationError:
        return False
    return True


@pytest.mark.parametrize("value", ["*", "*.example.com", "example.com", "a", "10.0.0.1"])
def test_a_host_pattern_is_a_name_a_suffix_or_everything(value: str) -> None:
    assert is_valid("host pattern", value)


@pytest.mark.parametrize("value", ["", "*.", "*.*", "a.*", "*a.example.com", "A.example.com", "a..b", "*.a\n", "a:80"])
def test_no_other_wildcard_is_a_host_pattern(value: str) -> None:
    assert not is_valid("host pattern", value)


@pytest.mark.parametrize(
    "value", ["https://a.example.com", "http://localhost:6274", "http://[::1]:8080", "app://x", "http://10.0.0.1"]
)
def test_an_origin_is_what_a_browser_sends(value: str) -> None:
    assert is_valid("origin", value)


@pytest.mark.parametrize(
    "value",
    [
        "null",
        "*",
        "https://a/",
        "https://a/b",
        "https://A",
        "https://a:443",
        "http://a:80",
        "https://u@a",
        "https://*.a",
        "http://127.1",
    ],
)
def test_what_no_browser_sends_is_no_origin(value: str) -> None:
    assert not is_valid("origin", value)


@pytest.mark.parametrize("value", ["/", "/a", "/a/b.c"])
def test_a_prefix_is_whole_segments(value: str) -> None:
    assert is_valid("prefix", value)


@pytest.mark.parametrize("value", ["", "a", "/a/", "//", "/..", "/a/./b", "/a*"])
def test_a_prefix_has_no_rest(value: str) -> None:
    assert not is_valid("prefix", value)


@pytest.mark.parametrize(
    ("kind", "value"), [("label key", "a/b"), ("label key", "x.y/Z_1"), ("label value", ""), ("label value", "a.B_c")]
)
def test_labels_are_those_of_kubernetes(kind: str, value: str) -> None:
    assert is_valid(kind, value)


@pytest.mark.parametrize("value", [5, True, None, b"/a", ["/a"], 1.5])
@pytest.mark.parametrize("kind", sorted(ADAPTERS))
def test_only_text_is_text(kind: str, value: object) -> None:
    assert not is_valid(kind, value)


@given(st.sampled_from(sorted(ADAPTERS)), st.text())
def test_no_text_crashes_a_check(kind: str, value: str) -> None:
    assert is_valid(kind, value) in {True, False}


@given(st.lists(st.from_regex(r"\A[A-Za-z0-9_~-]{1,8}\Z"), min_size=1, max_size=8))
def test_any_plain_segments_make_a_path_unless_they_are_reserved(segments: list[str]) -> None:
    reserved = segments[0] == "-" or segments[-1] == "mcp"
    assert is_valid("path", "/" + "/".join(segments)) == (not reserved)


@given(st.from_regex(r"\A[a-z]([-a-z0-9]{0,10}[a-z0-9])?\Z"), st.integers(0, 70_000))
def test_a_url_has_any_port_that_exists(host: str, port: int) -> None:
    assert is_valid("url", f"http://{host}:{port}/mcp") == (1 <= port <= 65_535)


@given(st.ip_addresses(v=4))
def test_every_address_of_four_numbers_is_a_host(address: object) -> None:
    assert is_valid("url", f"http://{address}/mcp")
    assert not is_valid("hostname", str(address))


@given(st.ip_addresses(v=6))
def test_an_address_of_version_six_is_a_host_unless_it_hides_one_of_version_four(address: Any) -> None:
    assert is_valid("url", f"http://[{address.compressed}]/mcp") == (address.ipv4_mapped is None)
    assert is_valid("url", f"http://[{address.exploded}]/mcp") == (address.ipv4_mapped is None)


@pytest.mark.parametrize(
    "value", ["http://[::ffff:7f00:1]/", "http://[0:0:0:0:0:FFFF:7f00:1]:80/", "http://[0000::ffff:1:2]/"]
)
def test_a_mapped_address_is_found_in_every_spelling(value: str) -> None:
    assert not is_valid("url", value)
