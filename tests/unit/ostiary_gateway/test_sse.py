"""Events read and written: no second view of a block (HTML specification, Server-sent events)."""

import re

import pytest
from event_streams import meaning, mixtures, split, streams
from hypothesis import given
from hypothesis import strategies as st

from ostiary_gateway.sse import KEEP_ALIVE, clean, data_of, event, is_message, read, value_of, with_data


@given(mixtures)
def test_the_data_are_what_the_data_lines_say_whether_they_are_few_or_many(block: bytes) -> None:
    lines = re.split(rb"\r\n|\n|\r", block)
    data = [line.removeprefix(b"data:").removeprefix(b" ") for line in lines if line.startswith(b"data:")]

    assert data_of(block) == (b"\n".join(data) if b"\n".join(data).strip() else None)


@given(mixtures)
def test_a_block_is_read_alike_whether_its_lines_are_few_or_many(block: bytes) -> None:
    found, cleaned = read(block), clean(block)

    assert (found.block, found.data) == (cleaned, data_of(cleaned))
    assert (found.id, found.is_message) == (value_of(cleaned, b"id"), is_message(cleaned))


@given(mixtures)
def test_a_clean_block_contains_fields_and_comments_only(block: bytes) -> None:
    lines = re.split(rb"\r\n|\n|\r", block)
    stray = any(line and line.partition(b":")[0] not in {b"", b"data", b"event", b"id", b"retry"} for line in lines)

    assert (clean(block) is not block) is stray


@pytest.mark.parametrize(
    ("block", "data"),
    [
        (b'data: {"a":1}\n\n', b'{"a":1}'),
        (b'data:{"a":1}\n\n', b'{"a":1}'),
        (b'data: {"a":\ndata: 1}\n\n', b'{"a":\n1}'),
        (b'event: message\r\nid: 7\r\ndata: {"a":1}\r\n\r\n', b'{"a":1}'),
        (b"data:  two spaces\n\n", b" two spaces"),
        (b"id: 7\ndata:\n\n", None),
        (b"data\ndata:\n\n", None),
        (b": data: none\n\n", None),
        (b"dataset: none\n\n", None),
        (b"retry: 3000\n\n", None),
    ],
)
def test_the_data_of_a_block_are_its_data_lines_joined(block: bytes, data: bytes | None) -> None:
    assert data_of(block) == data


def test_other_data_keep_the_other_fields_and_write_the_type_out() -> None:
    block = b": hello\r\nid: 7\r\nretry: 5\r\ndata: {\r\ndata: }\r\ndata\r\n\r\n"

    assert with_data(block, b"[]") == b"event: message\n: hello\nid: 7\nretry: 5\ndata: []\n\n"
    assert with_data(b"event: message\ndata: 1\n\n", b"2") == b"event: message\ndata: 2\n\n"
    assert with_data(b"event\ndata: 1\n\n", b"2") == b"event: message\ndata: 2\n\n"


@given(streams, st.binary(min_size=1, max_size=20).filter(lambda b: not set(b) & set(b"\r\n") and b.strip() != b""))
def test_other_data_are_all_the_data_that_a_client_sees(stream: bytes, data: bytes) -> None:
    for block in split(stream)[0]:
        written = with_data(block, data)
        assert split(written) == ([written], b"")
        assert data_of(written) == data
        assert value_of(written, b"id") == value_of(block, b"id")


@pytest.mark.parametrize(
    "block",
    [b"data: x\n\n", b"id\n\n", b"event:a\r\ndata:b\r\n\r\n", b"\n", b"\r\n\r\n", b": note\n\n", b"data\n\n", b":\r\r"],
)
def test_a_block_of_fields_and_comments_is_clean(block: bytes) -> None:
    assert clean(block) is block


@pytest.mark.parametrize(
    ("block", "kept"),
    [
        (b'{"jsonrpc":"2.0"}\n\n', b""),
        (b" data: 1\n\n", b""),
        (b"identity: 1\ndata: 2\n\n", b"data: 2\n\n"),
        (b'data: 2\r\n{"x":1}\r\n\r\n', b"data: 2\n\n"),
        (b"Data: 1\rdata: 2\r\r", b"data: 2\n\n"),
    ],
)
def test_lines_that_are_no_fields_are_removed(block: bytes, kept: bytes) -> None:
    assert clean(block) == kept


@given(streams)
def test_cleaning_changes_nothing_for_a_client_that_keeps_the_specification(stream: bytes) -> None:
    blocks = split(stream)[0]
    cleaned = [clean(block) for block in blocks]

    assert meaning(cleaned) == meaning(blocks)
    assert all(clean(block) == block for block in cleaned)


@pytest.mark.parametrize(
    ("block", "whether"),
    [
        (b"data: 1\n\n", True),
        (b"event: message\ndata: 1\n\n", True),
        (b"event:\ndata: 1\n\n", True),
        (b"event: message\nevent: ping\ndata: 1\n\n", False),
        (b"event: ping\ndata: 1\n\n", False),
        (b'data: {"event": "ping"}\n\n', True),
    ],
)
def test_only_the_default_type_is_that_of_messages(block: bytes, whether: bool) -> None:
    assert is_message(block) is whether


def test_our_own_events_are_whole_blocks() -> None:
    assert split(event(b"{}") + KEEP_ALIVE) == ([event(b"{}"), KEEP_ALIVE], b"")
    assert data_of(event(b"{}")) == b"{}"
    assert data_of(KEEP_ALIVE) is None
