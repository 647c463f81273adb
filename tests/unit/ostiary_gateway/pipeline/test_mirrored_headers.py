"""The mirrored headers of 2026-07-28 and their encoding (specification, Value Encoding and Server Validation)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict

from ostiary_gateway.errors import Refusal
from ostiary_gateway.pipeline.mirrored_headers import (
    decoded,
    encoded,
    require_agreement,
    require_name_agreement,
    require_safe,
)

#: The specification's own examples.
EXAMPLES = [
    ("us-west1", "us-west1"),
    ("Hello, 世界", "=?base64?SGVsbG8sIOS4lueVjA==?="),
    (" padded ", "=?base64?IHBhZGRlZCA=?="),
    ("line1\nline2", "=?base64?bGluZTEKbGluZTI=?="),
    ("=?base64?literal?=", "=?base64?PT9iYXNlNjQ/bGl0ZXJhbD89?="),
]
any_text = st.text(alphabet=st.characters(codec="utf-8"), max_size=50)


@pytest.mark.parametrize(("value", "header"), EXAMPLES)
def test_the_examples_of_the_specification_hold(value: str, header: str) -> None:
    assert encoded(value) == header
    assert decoded("Mcp-Name", header) == value


@given(any_text)
def test_every_text_survives_its_header(value: str) -> None:
    header = encoded(value)

    assert decoded("Mcp-Name", header) == value
    assert header == header.strip(" \t")
    assert all(0x20 <= ord(character) <= 0x7E for character in header)


@pytest.mark.parametrize("value", ["=?base64?", "?=", "=?base64?half", "half?=", "=?BASE64?YQ==?=", "=?q?a?="])
def test_half_a_marker_or_another_is_a_literal(value: str) -> None:
    assert decoded("Mcp-Name", value) == value
    assert encoded(value) == value


def test_two_halves_that_overlap_are_read_as_a_literal_and_written_encoded() -> None:
    assert decoded("Mcp-Name", "=?base64?=") == "=?base64?="
    assert encoded("=?base64?=") == "=?base64?PT9iYXNlNjQ/PQ==?="


def test_an_empty_value_can_be_encoded() -> None:
    assert decoded("Mcp-Name", "=?base64??=") == ""


@pytest.mark.parametrize(
    "header",
    [
        "=?base64?YQ=?=",  # padding
        "=?base64?YQ?=",
        "=?base64?Y Q==?=",  # alphabet
        "=?base64?_-8=?=",
        "=?base64?/w==?=",  # not UTF-8
        "=?base64?YR==?=",  # not canonical: bits to spare
        "=?base64?YQ==\n?=",
    ],
)
def test_a_broken_encoding_is_a_mismatch(header: str) -> None:
    with pytest.raises(Refusal) as refused:
        decoded("Mcp-Name", header)

    assert (refused.value.status, refused.value.code) == (400, -32020)


@pytest.mark.parametrize("header", ["tëst", "a\x00b", "a\x7fb", "\udcff", "a\x1fb"])
def test_characters_beyond_visible_ascii_are_a_mismatch_even_where_the_body_has_them(header: str) -> None:
    with pytest.raises(Refusal) as refused:
        require_name_agreement(CIMultiDict({"Mcp-Name": header}), "Mcp-Name", header)

    assert refused.value.code == -32020
    with pytest.raises(Refusal):
        require_safe("Mcp-Param-X", header)


def test_white_space_around_a_value_is_none_of_it() -> None:
    assert decoded("Mcp-Name", " \tget_users ") == "get_users"


def test_names_are_of_any_case_and_values_are_not() -> None:
    headers = CIMultiDict({"MCP-METHOD": "tools/list"})

    require_agreement(headers, "Mcp-Method", "tools/list")
    with pytest.raises(Refusal, match="does not agree with the body"):
        require_agreement(headers, "Mcp-Method", "TOOLS/LIST")


def test_a_missing_header_is_a_mismatch_that_names_it() -> None:
    with pytest.raises(Refusal, match="Mcp-Name is missing") as refused:
        require_name_agreement(CIMultiDict(), "Mcp-Name", "x")

    assert (refused.value.status, refused.value.code) == (400, -32020)


def test_only_names_may_be_encoded() -> None:
    headers = CIMultiDict({"Mcp-Method": "=?base64?dG9vbHMvbGlzdA==?=", "Mcp-Name": "=?base64?dG9vbHMvbGlzdA==?="})

    require_name_agreement(headers, "Mcp-Name", "tools/list")
    with pytest.raises(Refusal):
        require_agreement(headers, "Mcp-Method", "tools/list")


def test_a_name_that_looks_encoded_must_be_encoded() -> None:
    headers = CIMultiDict({"Mcp-Name": "=?base64?YQ==?="})

    require_name_agreement(headers, "Mcp-Name", "a")
    with pytest.raises(Refusal):
        require_name_agreement(headers, "Mcp-Name", "=?base64?YQ==?=")
